//! Converts between the counters in memory and those that the database stores for the next server.

use std::net::IpAddr;

use super::{Backend, ClientNetwork, Subject, Throttle};
use crate::clock::Now;
use crate::store::{CounterKey, FailedLogins, LimitKind};

impl Throttle {
    /// The present counters of a subject, and the keys of those whose windows have ended. `None` if the throttle has
    /// been cleared since the attempt. Both lists are empty if the counters are kept in the database.
    pub fn snapshot(
        &self,
        subject: &Subject,
        now: Now,
    ) -> Option<(Vec<FailedLogins>, Vec<CounterKey>)> {
        let (mut counters, mut ended) = (Vec::new(), Vec::new());
        let Backend::InMemory(memory) = &self.counters else {
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

    /// Restores counters of earlier servers, the oldest first. Returns those that have to be stored again.
    pub fn restore(
        &self,
        counters: impl Iterator<Item = FailedLogins>,
        now: Now,
    ) -> Vec<FailedLogins> {
        let Backend::InMemory(memory) = &self.counters else {
            return Vec::new();
        };
        let mut state = memory.state.lock();
        counters
            .filter_map(|counter| state.counters.restore(counter, now))
            .collect()
    }

    /// Marks the subject's client as known to the account, by a login on an earlier server.
    pub fn know(&self, subject: &Subject) {
        if let Backend::InMemory(memory) = &self.counters {
            memory.state.lock().counters.know(&subject.keys);
        }
    }
}

/// Adds the user and the address to a counter, as far as its kind has them.
pub(in crate::auth) fn about(
    counter: FailedLogins,
    user_uuid: Option<&str>,
    client: IpAddr,
) -> FailedLogins {
    let user_uuid = user_uuid.filter(|_| counter.kind != LimitKind::Address);
    let network = || ClientNetwork::from(client).to_string();
    FailedLogins {
        user_uuid: user_uuid.map(str::to_owned),
        address: (counter.kind != LimitKind::Username).then(network),
        ..counter
    }
}
