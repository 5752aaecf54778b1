//! The counters in the database that have refused a try of this server: such tries are asked about without a lock, and each
//! window has one line in the log.

use std::time::Duration;

use jiff::Timestamp;
use lru::LruCache;

use super::counters::put_bounded;
use crate::store::{CounterKey, FailedLogins};

pub(super) struct Refusing(LruCache<CounterKey, Window>);

struct Window {
    first_failure: Timestamp,
    /// As uptime.
    end: Duration,
    /// Whether the log has a line about it.
    is_logged: bool,
}

impl Default for Refusing {
    fn default() -> Self {
        Self(LruCache::unbounded())
    }
}

impl Refusing {
    /// Whether a counter has refused a try, in a window that may still last.
    pub(super) fn lasts(&mut self, key: &CounterKey, now: Duration) -> bool {
        self.0.get(key).is_some_and(|window| window.end > now)
    }

    /// A counter refuses a try, in a window that ends then.
    pub(super) fn note(&mut self, counter: &FailedLogins, end: Duration) {
        match self.0.get_mut(&counter.key) {
            Some(window) if window.first_failure == counter.first_failure => window.end = end,
            _ => {
                let window = Window {
                    first_failure: counter.first_failure,
                    end,
                    is_logged: false,
                };
                put_bounded(&mut self.0, counter.key, window);
            }
        }
    }

    /// The rest of a window that has refused a try, the first time that it is asked for.
    pub(super) fn first_refusal(&mut self, key: &CounterKey, now: Duration) -> Option<Duration> {
        let window = self.0.get_mut(key)?;
        let remaining = window.end.checked_sub(now)?;
        let is_first = !std::mem::replace(&mut window.is_logged, true);
        (is_first && !remaining.is_zero()).then_some(remaining)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
