//! `/__stub/clock/`: the server's time, which can be moved forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use serde::Serialize;

use super::input::Input;
use super::outcome::{Error, Faults};
use crate::clock::Now;
use crate::duration;
use crate::http::{Body, Reply};

/// A century: far beyond any token, and far from the end of what a timestamp can hold.
const MAX_ADVANCED_MS: i64 = 100 * 365 * 24 * 60 * 60 * 1000;

/// The time of this machine, and how far beyond it the stub is. Clones are the same clock.
#[derive(Clone, Default)]
pub(super) struct MovableClock {
    advanced_ms: Arc<AtomicI64>,
}

#[derive(Serialize)]
struct Answer {
    now: String,
    advanced_seconds: serde_json::Number,
}

impl MovableClock {
    pub(super) fn now(&self) -> Now {
        let advanced_ms = self.advanced_ms.load(Ordering::SeqCst).unsigned_abs();
        Now::read().advanced_by(Duration::from_millis(advanced_ms))
    }

    pub(super) fn advance(&self, by: Duration) -> Result<(), Error> {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let advanced = |before: i64| {
            before
                .checked_add(by)
                .filter(|after| *after <= MAX_ADVANCED_MS)
        };
        let moved = self
            .advanced_ms
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, advanced);
        match moved {
            Ok(_) => Ok(()),
            Err(_) => refuse("The clock goes no further than a century."),
        }
    }

    pub(super) fn reset(&self) {
        self.advanced_ms.store(0, Ordering::SeqCst);
    }

    pub(super) fn reply(&self) -> Reply {
        let milliseconds = self.advanced_ms.load(Ordering::SeqCst);
        let seconds = if milliseconds % 1000 == 0 {
            Some((milliseconds / 1000).into())
        } else {
            // So few digits are exact in a float.
            serde_json::Number::from_f64(milliseconds as f64 / 1000.0)
        };
        Reply::json(
            200,
            &Answer {
                now: format!("{:.6}", self.now().date),
                advanced_seconds: seconds.unwrap_or_else(|| 0.into()),
            },
        )
    }
}

/// How far a body wants the clock to move.
pub(super) fn read_advance(body: &Body) -> Result<Duration, Error> {
    let mut input = Input::of(body, &["advance"])?;
    let text = input.text("advance")?;
    let advance = text.as_deref().map(duration::parse);
    match &advance {
        None => input.fault("advance", "Expected a duration, such as 250ms, 15m or 2h."),
        Some(Err(wrong)) => input.fault("advance", wrong.clone()),
        Some(Ok(_)) => {}
    }
    input.finish()?;
    Ok(advance.and_then(Result::ok).unwrap_or_default())
}

fn refuse(message: &str) -> Result<(), Error> {
    let mut faults = Faults::default();
    faults.add("advance", message);
    faults.into_result()
}
