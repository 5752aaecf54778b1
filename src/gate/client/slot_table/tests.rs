//! Tests of eviction with connections in every phase, at injected times.

use std::cell::Cell;
use std::rc::Rc;

use super::*;

type Connection = Rc<Cell<Progress>>;

impl Evictable for Connection {
    fn progress(&self) -> Progress {
        self.get()
    }

    fn evict(&self) -> bool {
        let progress = self.get();
        self.set(Progress {
            phase: Phase::Evicted,
            ..progress
        });
        progress.phase != Phase::Waiting
    }
}

struct Table {
    slots: SlotTable<Connection>,
    start: Instant,
    connections: Vec<Connection>,
}

impl Table {
    fn new(limit: usize, limit_per_network: Option<usize>) -> Self {
        Self {
            slots: SlotTable::new(limit, limit_per_network),
            start: Instant::now(),
            connections: Vec::new(),
        }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    fn add(&mut self, phase: Phase, since: u64, network: Option<u8>) -> usize {
        let since = self.at(since);
        let connection = Rc::new(Cell::new(Progress { phase, since }));
        self.connections.push(Rc::clone(&connection));
        self.slots.add(connection, network.map(address))
    }

    fn make_room(&mut self, network: Option<u8>, now: u64) -> Vacancy {
        let now = self.at(now);
        self.slots.make_room(network.map(address), now)
    }

    fn evicted(&self) -> Vec<usize> {
        let phases = self.connections.iter().map(|connection| connection.get());
        let evicted = phases
            .enumerate()
            .filter(|(_, progress)| progress.phase == Phase::Evicted);
        evicted.map(|(at, _)| at).collect()
    }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([192, 0, 2, last])
}

#[test]
fn connections_are_evicted_in_the_order_of_their_phase_and_time() {
    use Phase::{Closing, Idle, Receiving, Waiting, Writing};
    let mut table = Table::new(7, None);
    for (phase, since) in [
        (Waiting, 0),
        (Writing, 2),
        (Writing, 1),
        (Idle, 4),
        (Receiving, 3),
        (Closing, 9),
        (Idle, 5),
    ] {
        table.add(phase, since, None);
    }
    for (number, now) in [5, 4, 3, 6, 2, 1].into_iter().zip((10..).step_by(2)) {
        assert_eq!(table.make_room(None, now), Vacancy::Evicting);
        let phase = table.connections[number].get().phase;
        assert_eq!(phase, Phase::Evicted, "{number}");
        let others = table.evicted().len();
        // While an evicted connection is about to close, no other one is evicted.
        assert_eq!(table.make_room(None, now), Vacancy::Evicting);
        assert_eq!(table.evicted().len(), others);
    }
    assert_eq!(table.make_room(None, 30), Vacancy::AllBusy);
    table.slots.remove(5);
    assert_eq!(table.make_room(None, 30), Vacancy::Free);
}

#[test]
fn a_network_at_its_limit_loses_its_own_connections_only() {
    let mut table = Table::new(8, Some(2));
    table.add(Phase::Idle, 0, Some(1));
    table.add(Phase::Idle, 0, None);
    table.add(Phase::Writing, 3, Some(2));
    table.add(Phase::Idle, 4, Some(2));
    assert_eq!(table.make_room(Some(1), 9), Vacancy::Free);
    assert!(table.evicted().is_empty());
    // An evicted connection is no longer counted, even before it has closed.
    assert_eq!(table.make_room(Some(2), 9), Vacancy::Free);
    assert_eq!(table.evicted(), [3]);
    assert!(!table.slots.is_network_full(Some(address(2))));
    table.add(Phase::Waiting, 9, Some(2));
    assert_eq!(table.make_room(Some(2), 9), Vacancy::Free);
    assert_eq!(table.evicted(), [2, 3]);
    table.add(Phase::Waiting, 9, Some(2));
    assert_eq!(table.make_room(Some(2), 9), Vacancy::NetworkBusy);
    assert_eq!(table.evicted(), [2, 3]);
    // Connections without a network are not limited.
    table.add(Phase::Idle, 9, None);
    assert_eq!(table.make_room(None, 9), Vacancy::Free);
    table.slots.remove(4);
    assert_eq!(table.make_room(Some(2), 9), Vacancy::Free);
}

#[test]
fn with_all_slots_taken_a_network_at_its_limit_still_loses_its_own() {
    let mut table = Table::new(3, Some(2));
    table.add(Phase::Idle, 0, Some(1));
    table.add(Phase::Idle, 1, Some(2));
    table.add(Phase::Idle, 2, Some(2));
    assert_eq!(table.make_room(Some(2), 3), Vacancy::Evicting);
    assert_eq!(table.evicted(), [1]);
    assert_eq!(table.make_room(Some(2), 3), Vacancy::Evicting);
    assert_eq!(table.evicted(), [1]);
    table.slots.remove(1);
    assert_eq!(table.make_room(Some(2), 3), Vacancy::Free);
}

#[test]
fn networks_without_connections_are_forgotten() {
    let mut table = Table::new(9, Some(2));
    let numbers = [1, 2, 2].map(|network| table.add(Phase::Idle, 0, Some(network)));
    assert_eq!(table.make_room(Some(2), 1), Vacancy::Free);
    for number in numbers {
        table.slots.remove(number);
    }
    assert!(table.slots.networks.is_empty());
    assert_eq!(table.slots.taken(), 0);
}
