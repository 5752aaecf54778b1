//! Which connections are open, to which client network each belongs, and which one is evicted next. Uses no sockets, no
//! clock and no threads.
//!
//! The order of eviction depends on how long a client has been without a complete request, not on when it last sent a byte:
//! a client that sends single bytes is evicted like a silent one. Clients that read their answers slowly are evicted after
//! those. A client that waits for the server is never evicted.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use slab::Slab;

/// How long an evicted connection may take to close before another one is evicted.
pub(crate) const LEAVE_TIME: Duration = Duration::from_secs(1);

/// The state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// No byte of a request has arrived.
    Idle,
    /// A part of a request has arrived.
    Receiving,
    /// The client waits for the server.
    Waiting,
    /// The server has answered, and the client reads the answer more slowly than it could be sent.
    Writing,
    /// The last answer was sent, and only the client's close is awaited.
    Closing,
    /// The connection was ended for another client, or because the gate stops.
    Evicted,
}

/// The phase of a connection, and the instant that orders connections of the same phase.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    pub(crate) phase: Phase,
    /// Since when the client has been without a complete request; in phase `Writing`, since when it has been reading its
    /// answer.
    pub(crate) since: Instant,
}

impl Progress {
    /// The sort key for eviction: the smallest is evicted first. `None` must not be evicted.
    fn order(self) -> Option<(u8, Instant)> {
        let class = match self.phase {
            // Evicting a connection that only waits for the client's close costs nothing.
            Phase::Closing => 0,
            Phase::Idle | Phase::Receiving => 1,
            Phase::Writing => 2,
            Phase::Waiting | Phase::Evicted => return None,
        };
        Some((class, self.since))
    }
}

/// What eviction needs of a connection.
pub(crate) trait Evictable {
    fn progress(&self) -> Progress;

    /// Ends the connection, and sets its phase to [`Phase::Evicted`]. False if the client waits for the server by now.
    fn evict(&self) -> bool;
}

/// Whether there is a slot for one more connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vacancy {
    /// A slot is free.
    Free,
    /// All slots are taken, and an evicted connection is about to free one.
    Evicting,
    /// All slots are taken, and all clients wait for the server.
    AllBusy,
    /// The client's network has reached its limit, and all of its connections wait for the server.
    NetworkBusy,
}

/// The slots for connections, with a limit for each client network.
#[derive(Debug)]
pub(crate) struct SlotTable<C> {
    slots: Slab<Entry<C>>,
    /// The number of connections of each network, without the evicted ones.
    networks: HashMap<IpAddr, usize>,
    limit: usize,
    limit_per_network: Option<usize>,
}

#[derive(Debug)]
struct Entry<C> {
    connection: C,
    /// The network for which the connection is counted; `None` if it is not counted.
    network: Option<IpAddr>,
    /// When the connection was evicted.
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

    /// Whether a network has reached its connection limit.
    pub(crate) fn is_network_full(&self, network: Option<IpAddr>) -> bool {
        let count = network.and_then(|network| self.networks.get(&network));
        matches!((count, self.limit_per_network), (Some(count), Some(limit)) if *count >= limit)
    }

    /// Looks for a slot for a connection of `network`, and evicts another connection if necessary: one of the same network
    /// if the network has reached its limit, otherwise one of any network.
    pub(crate) fn make_room(&mut self, network: Option<IpAddr>, now: Instant) -> Vacancy {
        if self.is_network_full(network) && !self.evict(now, |slot| slot.network == network) {
            return Vacancy::NetworkBusy;
        }
        if self.taken() < self.limit {
            Vacancy::Free
        } else if self.is_any_leaving(now) || self.evict_any(now) {
            Vacancy::Evicting
        } else {
            Vacancy::AllBusy
        }
    }

    /// Evicts the next connection of any network. False if there is none to evict.
    pub(crate) fn evict_any(&mut self, now: Instant) -> bool {
        self.evict(now, |_| true)
    }

    /// Evicts the next connection whose [`Progress::since`] is at least `age` ago. False if there is none to evict.
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

    /// Puts a connection into a slot and returns the slot's number. Call only after [`Vacancy::Free`].
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
