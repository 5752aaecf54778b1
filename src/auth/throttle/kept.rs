//! What outlives the server: its counters as the database has them, and going on from there.

use std::net::IpAddr;

use super::{ClientNetwork, Counting, Subject, Throttle};
use crate::clock::Now;
use crate::store::{CounterKey, FailedLogins, LimitKind};

impl Throttle {
    /// The counters that a try counts in as they are now, and the keys of those that are over; `None` when all was cleared
    /// since. None are to be written where they are in the database anyway.
    pub fn snapshot(
        &self,
        subject: &Subject,
        now: Now,
    ) -> Option<(Vec<FailedLogins>, Vec<CounterKey>)> {
        let (mut counters, mut ended) = (Vec::new(), Vec::new());
        let Counting::InMemory(memory) = &self.counting else {
            return Some((counters, ended));
        };
        let state = memory.state.lock();
        if state.generation != subject.generation {
            return None;
        }
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
        let Counting::InMemory(memory) = &self.counting else {
            return Vec::new();
        };
        let mut state = memory.state.lock();
        counters
            .filter_map(|counter| state.counters.restore(counter, now))
            .collect()
    }

    /// The client of it has logged in to the account in an earlier run.
    pub fn know(&self, subject: &Subject) {
        if let Counting::InMemory(memory) = &self.counting {
            memory.state.lock().counters.know(&subject.keys);
        }
    }
}

/// A counter with what it is about.
pub(in crate::auth) fn about(
    counter: FailedLogins,
    user_uuid: Option<&str>,
    client: IpAddr,
) -> FailedLogins {
    let user_uuid = user_uuid.filter(|_| counter.kind != LimitKind::Address);
    let network = || ClientNetwork::from(client).to_string();
    FailedLogins {
        user_uuid: user_uuid.map(str::to_owned),
        address: (counter.kind != LimitKind::Account).then(network),
        ..counter
    }
}
