//! `/__stub/clock/`: the server's time, which can be advanced, set and frozen.
//!
//! The uptime never goes back, as on a machine whose date is set: setting the date back does not extend a throttle.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use serde::Serialize;

use super::error::{Error, FieldErrors};
use super::input::Input;
use crate::clock::Now;
use crate::duration;
use crate::http::{Body, Reply};

/// A century: far beyond the lifetime of any token, and far from the limits of a timestamp.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(100 * 365 * 24);

const KEYS: &[&str] = &["advance", "set", "frozen"];

/// The stub's clock, stored as its difference from this machine's. Clones share one clock.
#[derive(Clone, Default)]
pub(super) struct MovableClock(Arc<Mutex<Offset>>);

#[derive(Clone, Copy, Default)]
struct Offset {
    /// How far the date is ahead of this machine's; negative if it is behind.
    date: SignedDuration,
    /// How far the uptime is ahead of this machine's; negative after the clock was frozen.
    uptime: SignedDuration,
    /// This machine's time when the clock was frozen; `None` if it runs.
    frozen_at: Option<Now>,
}

/// The changes that a body asks for, applied in the order of the fields.
pub(super) struct Setting {
    set: Option<Timestamp>,
    advance: Option<Duration>,
    frozen: Option<bool>,
}

#[derive(Serialize)]
struct ClockAnswer {
    now: String,
    advanced_seconds: serde_json::Number,
    frozen: bool,
}

impl MovableClock {
    pub(super) fn now(&self) -> Now {
        let offset = *self.0.lock();
        offset.at(Now::read())
    }

    /// Applies all changes, or none if the date would be too far from this machine's.
    pub(super) fn change(&self, setting: &Setting) -> Result<(), Error> {
        let mut offset = self.0.lock();
        let changed = offset.changed(setting, Now::read());
        *offset = changed.ok_or_else(|| {
            let mut errors = FieldErrors::default();
            let key = if setting.set.is_some() {
                "set"
            } else {
                "advance"
            };
            errors.add(key, "The clock goes no further than a century from today.");
            Error::Fields(errors)
        })?;
        Ok(())
    }

    pub(super) fn reset(&self) {
        *self.0.lock() = Offset::default();
    }

    pub(super) fn reply(&self) -> Reply {
        let (offset, real) = (*self.0.lock(), Now::read());
        let now = offset.at(real);
        let ahead = offset.ahead(real).as_millis();
        let seconds = if ahead % 1000 == 0 {
            serde_json::Number::from_i128(ahead / 1000)
        } else {
            // A float represents this few digits exactly.
            serde_json::Number::from_f64(ahead as f64 / 1000.0)
        };
        Reply::json(
            200,
            &ClockAnswer {
                now: format!("{:.6}", now.date),
                advanced_seconds: seconds.unwrap_or_else(|| 0.into()),
                frozen: offset.frozen_at.is_some(),
            },
        )
    }
}

impl Offset {
    /// The stub's time at this machine's time `real`.
    fn at(&self, real: Now) -> Now {
        let base = self.frozen_at.unwrap_or(real);
        Now {
            date: base.date.saturating_add(self.date).unwrap_or(base.date),
            uptime: signed(base.uptime)
                .saturating_add(self.uptime)
                .try_into()
                .unwrap_or_default(),
        }
    }

    /// How far the stub's date is ahead of this machine's.
    fn ahead(&self, real: Now) -> SignedDuration {
        match self.frozen_at {
            None => self.date,
            Some(_) => self.at(real).date.duration_since(real.date),
        }
    }

    /// The offset after a change; `None` if the date would be too far from this machine's.
    fn changed(mut self, setting: &Setting, real: Now) -> Option<Self> {
        if let Some(date) = setting.set {
            let by = date.duration_since(self.at(real).date);
            self.advance(by);
        }
        if let Some(by) = setting.advance {
            self.advance(signed(by));
        }
        match setting.frozen {
            Some(true) if self.frozen_at.is_none() => self.frozen_at = Some(real),
            Some(false) => {
                // The clock continues from the time at which it was frozen.
                let stopped = self.frozen_at.take().unwrap_or(real);
                self.date -= real.date.duration_since(stopped.date);
                self.uptime -= signed(real.uptime) - signed(stopped.uptime);
            }
            _ => {}
        }
        let is_near = self.ahead(real).abs() <= MAX_AHEAD;
        is_near.then_some(self)
    }

    fn advance(&mut self, by: SignedDuration) {
        self.date = self.date.saturating_add(by);
        self.uptime = self.uptime.saturating_add(by.max(SignedDuration::ZERO));
    }
}

fn signed(duration: Duration) -> SignedDuration {
    duration.try_into().unwrap_or(SignedDuration::MAX)
}

impl Setting {
    pub(super) fn read(body: &Body) -> Result<Self, Error> {
        let mut input = Input::of(body, KEYS)?;
        if KEYS.iter().all(|key| input.raw(key).is_none()) {
            let message =
                "Expected a duration, such as 250ms, 15m or 2d; or the key set or frozen.";
            input.error("advance", message);
        }
        let setting = Self {
            set: read_text(&mut input, "set", |text| {
                text.parse()
                    .map_err(|_| "Expected a date, such as 2026-12-31T23:59:00Z.".to_owned())
            })?,
            advance: read_text(&mut input, "advance", duration::parse)?,
            frozen: input.boolean("frozen"),
        };
        input.finish()?;
        Ok(setting)
    }
}

fn read_text<T>(
    input: &mut Input<'_>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, Error> {
    let Some(text) = input.text(key)? else {
        return Ok(None);
    };
    let parsed = parse(&text);
    Ok(parsed.map_err(|wrong| input.error(key, wrong)).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 60 * 60;

    fn real(seconds: i64) -> Now {
        Now {
            date: Timestamp::from_second(1_000_000_000 + seconds).unwrap(),
            uptime: Duration::from_secs(seconds.unsigned_abs()),
        }
    }

    const NOTHING: Setting = Setting {
        set: None,
        advance: None,
        frozen: None,
    };

    /// The date in seconds after the start, and the uptime in seconds.
    fn shown(offset: Offset, at: i64) -> (i64, u64) {
        let now = offset.at(real(at));
        (now.date.as_second() - 1_000_000_000, now.uptime.as_secs())
    }

    fn change(offset: Offset, at: i64, setting: Setting) -> Offset {
        offset.changed(&setting, real(at)).unwrap()
    }

    fn set(at: i64) -> Setting {
        let set = Some(real(at).date);
        Setting { set, ..NOTHING }
    }

    fn frozen(frozen: bool) -> Setting {
        let frozen = Some(frozen);
        Setting { frozen, ..NOTHING }
    }

    fn advance(seconds: u64) -> Setting {
        let advance = Some(Duration::from_secs(seconds));
        Setting { advance, ..NOTHING }
    }

    #[test]
    fn a_set_date_continues_to_run_and_the_uptime_never_goes_back() {
        let offset = change(Offset::default(), 5, set(-DAY));
        assert_eq!(shown(offset, 5), (-DAY, 5));
        assert_eq!(shown(offset, 15), (10 - DAY, 15));
        let offset = change(offset, 15, set(100));
        assert_eq!(shown(offset, 15), (100, 15 + 90 + 86_400));
        let both = Setting {
            advance: Some(Duration::from_secs(7)),
            ..set(0)
        };
        assert_eq!(shown(change(offset, 20, both), 21).0, 8);
    }

    #[test]
    fn a_frozen_clock_stops_and_continues_from_there() {
        let offset = change(change(Offset::default(), 0, advance(60)), 10, frozen(true));
        assert_eq!(shown(offset, 10), (70, 70));
        assert_eq!(shown(offset, 500), (70, 70));
        assert_eq!(offset.ahead(real(500)).as_secs(), -430);
        let offset = change(change(offset, 500, advance(5)), 600, frozen(true));
        assert_eq!(shown(offset, 700), (75, 75));
        let offset = change(offset, 1000, frozen(false));
        assert_eq!(shown(offset, 1001), (76, 76));
        assert_eq!(shown(change(offset, 1002, frozen(false)), 1002), (77, 77));
    }

    #[test]
    fn the_date_is_at_most_a_century_from_this_machines() {
        let century = 100 * 365 * DAY;
        for (at, is_near) in [
            (century, true),
            (century + 1, false),
            (-century, true),
            (-century - 1, false),
        ] {
            let changed = Offset::default().changed(&set(at), real(0));
            assert_eq!(changed.is_some(), is_near, "{at}");
        }
        let far = change(Offset::default(), 0, set(century));
        assert!(far.changed(&advance(1), real(0)).is_none());
        let longest = Setting {
            advance: Some(Duration::MAX),
            ..NOTHING
        };
        assert!(far.changed(&longest, real(0)).is_none());
    }
}
