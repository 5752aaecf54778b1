//! Which connections are open, of which client network each is, and which one is evicted next. No sockets, no clock, no
//! threads.
//!
//! What counts is how long a client has been without a whole request, not when it last sent a byte: one that drips bytes
//! is evicted like one that is silent. Clients that take their answers slowly come after those. A client that waits for the
//! server is never evicted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use slab::Slab;

/// An evicted connection is expected to be gone within this time; after it, another one is evicted.
pub(crate) const LEAVE_TIME: Duration = Duration::from_secs(1);

/// Where a connection is in the round of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No byte of a request has come.
    Idle,
    /// Some bytes of a request have come, not all.
    Receiving,
    /// The client waits for the server.
    Waiting,
    /// The server's answer is there, and the client does not take it as fast as it could be sent.
    Writing,
    /// All is said; the client has only to close.
    Closing,
    /// Closed for another client, or since the gate stops.
    Evicted,
}

/// A phase, and the instant that orders connections of one phase.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) phase: Phase,
    /// Since when the client has been without a whole request; while `Writing`, since when its answer has been there.
    pub(crate) since: Instant,
}

impl Progress {
    /// The smallest is evicted first; `None` must not be evicted.
    fn order(self) -> Option<(u8, Instant)> {
        let class = match self.phase {
            // Nobody misses a connection that is only being closed.
            Phase::Closing => 0,
            Phase::Idle | Phase::Receiving => 1,
            Phase::Writing => 2,
            Phase::Waiting | Phase::Evicted => return None,
        };
        Some((class, self.since))
    }
}

/// A connection, as far as eviction needs to know it.
pub(crate) trait Evictable {
    fn progress(&self) -> Progress;

    /// Closes the connection, and makes its phase [`Phase::Evicted`]. False when it has come to wait for the server
    /// meanwhile.
    fn evict(&self) -> bool;
}

/// What stands in the way of one more connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vacancy {
    /// Nothing.
    Free,
    /// All slots are taken, and an evicted connection is about to leave one.
    Leaving,
    /// All slots are taken, and all clients wait for the server.
    AllWaiting,
    /// Its network has as many as it may have, and all of them wait for the server.
    NetworkWaiting,
}

/// The slots for connections, of which one client network may take only so many.
#[derive(Debug)]
pub(crate) struct SlotTable<C> {
    slots: Slab<Entry<C>>,
    /// The connections of each network that were not evicted.
    networks: HashMap<IpAddr, usize>,
    limit: usize,
    limit_per_network: Option<usize>,
}

#[derive(Debug)]
struct Entry<C> {
    connection: C,
    /// `None` is not counted.
    network: Option<IpAddr>,
    evicted: Option<Instant>,
}

impl<C: Evictable> SlotTable<C> {
    pub(crate) fn new(limit: usize, limit_per_network: Option<usize>) -> Self {
        Self {
            slots: Slab::new(),
            networks: HashMap::new(),
            limit,
            limit_per_network,
        }
    }

    pub(crate) fn taken(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = &C> {
        self.slots.iter().map(|(_, slot)| &slot.connection)
    }

    /// Whether a network has as many connections as it may have.
    pub(crate) fn is_network_full(&self, network: Option<IpAddr>) -> bool {
        let count = network.and_then(|network| self.networks.get(&network));
        matches!((count, self.limit_per_network), (Some(count), Some(limit)) if *count >= limit)
    }

    /// Looks for a slot for a connection of `network`, and evicts what has to leave for it: of a network that has as many
    /// as it may have, one of its own.
    pub(crate) fn make_room(&mut self, network: Option<IpAddr>, now: Instant) -> Vacancy {
        if self.is_network_full(network) && !self.evict(now, |slot| slot.network == network) {
            return Vacancy::NetworkWaiting;
        }
        if self.taken() < self.limit {
            Vacancy::Free
        } else if self.is_any_leaving(now) || self.evict_any(now) {
            Vacancy::Leaving
        } else {
            Vacancy::AllWaiting
        }
    }

    /// Evicts the next one of any network, if there is one.
    pub(crate) fn evict_any(&mut self, now: Instant) -> bool {
        self.evict(now, |_| true)
    }

    /// The same, but of those that have been in their phase for at least `age`.
    pub(crate) fn evict_any_older_than(&mut self, age: Duration, now: Instant) -> bool {
        self.evict(now, |slot| {
            now.saturating_duration_since(slot.connection.progress().since) >= age
        })
    }

    fn is_any_leaving(&self, now: Instant) -> bool {
        let evicted = self.slots.iter().filter_map(|(_, slot)| slot.evicted);
        evicted
            .into_iter()
            .any(|evicted| now.saturating_duration_since(evicted) < LEAVE_TIME)
    }

    fn evict(&mut self, now: Instant, is_candidate: impl Fn(&Entry<C>) -> bool) -> bool {
        loop {
            let slots = self.slots.iter_mut().map(|(_, slot)| slot);
            let candidates = slots.filter(|slot| is_candidate(slot)).filter_map(|slot| {
                let order = slot.connection.progress().order()?;
                Some((order, slot))
            });
            let Some((_, slot)) = candidates.min_by_key(|(order, _)| *order) else {
                return false;
            };
            if slot.connection.evict() {
                slot.evicted = Some(now);
                let network = slot.network;
                self.uncount(network);
                return true;
            }
        }
    }

    /// Takes a slot, which [`Vacancy::Free`] said is there, and gives its number.
    pub(crate) fn add(&mut self, connection: C, network: Option<IpAddr>) -> usize {
        if let Some(network) = network {
            *self.networks.entry(network).or_default() += 1;
        }
        self.slots.insert(Entry {
            connection,
            network,
            evicted: None,
        })
    }

    /// Frees a slot.
    pub(crate) fn remove(&mut self, number: usize) {
        let slot = self.slots.try_remove(number);
        if let Some(slot) = slot.filter(|slot| slot.evicted.is_none()) {
            self.uncount(slot.network);
        }
    }

    fn uncount(&mut self, network: Option<IpAddr>) {
        let Some(network) = network else { return };
        if let Some(count) = self.networks.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.networks.remove(&network);
            }
        }
    }
}

#[cfg(test)]
mod tests;
