//! The counters in the database that have refused an attempt of this server. Further attempts are checked without
//! taking a lock in the database, and each window is logged once.

use std::time::Duration;

use jiff::Timestamp;
use lru::LruCache;

use super::counters::put_bounded;
use crate::store::{CounterKey, FailedLogins};

pub(super) struct Refusals(LruCache<CounterKey, Window>);

struct Window {
    first_failure: Timestamp,
    /// The uptime at which the window ends.
    end: Duration,
    /// Whether the window has been logged.
    is_logged: bool,
}

impl Default for Refusals {
    fn default() -> Self {
        Self(LruCache::unbounded())
    }
}

impl Refusals {
    /// Whether a counter has refused an attempt, in a window that has not ended.
    pub(super) fn is_refusing(&mut self, key: &CounterKey, now: Duration) -> bool {
        self.0.get(key).is_some_and(|window| window.end > now)
    }

    /// Remembers that a counter refuses attempts, in a window that ends at `end`.
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

    /// The rest of the window that refuses an attempt; `None` after the first call for the window.
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
