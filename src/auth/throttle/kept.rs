//! What outlives the server: its counters as the database has them, and going on from there.

use super::{Subject, Throttle};
use crate::clock::Now;
use crate::store::{CounterKey, FailedLogins, LimitKind};

impl Throttle {
    /// The counters that a try counts in as they are now, and the keys of those that are over; `None` when all was cleared
    /// since.
    pub fn snapshot(
        &self,
        subject: &Subject,
        now: Now,
    ) -> Option<(Vec<FailedLogins>, Vec<CounterKey>)> {
        let state = self.state.lock();
        if state.generation != subject.generation {
            return None;
        }
        let (mut counters, mut ended) = (Vec::new(), Vec::new());
        for kind in LimitKind::ALL {
            match state.counters.snapshot(kind, &subject.keys, now) {
                Some(Ok(counter)) => counters.push(counter),
                Some(Err(key)) => ended.push(key),
                None => {}
            }
        }
        Some((counters, ended))
    }

    /// Goes on with counters of an earlier run, the oldest first, and gives those that are to be written again.
    pub fn restore(
        &self,
        counters: impl Iterator<Item = FailedLogins>,
        now: Now,
    ) -> Vec<FailedLogins> {
        let mut state = self.state.lock();
        counters
            .filter_map(|counter| state.counters.restore(counter, now))
            .collect()
    }

    /// The client of it has logged in to the account in an earlier run.
    pub fn know(&self, subject: &Subject) {
        self.state.lock().counters.know(&subject.keys);
    }
}
