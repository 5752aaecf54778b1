//! The connections of a gate, shared by its threads: which slot each has, and how all of them end.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use super::progress::Client;
use super::slot_table::{LEAVE_TIME, SlotTable, Vacancy};
use super::socket::Socket;
use super::stop::StopSignal;
use crate::gate::deadline::Deadline;

/// Of the time that a stop has, one part in so many is kept for closing what was not done.
const CUT_SHARE: u32 = 20;

/// A client whose connection is as young as this may have sent a request that is not here yet.
const SPARED: Duration = Duration::from_millis(250);

type Slots = SlotTable<Arc<Client>>;

/// The slots of a gate.
#[derive(Debug)]
pub(crate) struct ConnectionSlots {
    slots: Mutex<Slots>,
    /// Notified whenever a client has left, and when the gate stops.
    changed: Condvar,
    stop: Arc<StopSignal>,
}

impl ConnectionSlots {
    pub(crate) fn new(
        limit: usize,
        limit_per_network: Option<usize>,
        stop: Arc<StopSignal>,
    ) -> Arc<Self> {
        Arc::new(Self {
            slots: Mutex::new(SlotTable::new(limit, limit_per_network)),
            changed: Condvar::new(),
            stop,
        })
    }

    /// Whether a client network has as many connections as it may have.
    pub(crate) fn is_network_full(&self, network: Option<IpAddr>) -> bool {
        self.slots.lock().is_network_full(network)
    }

    /// Looks for room for a client of `network`, and evicts another where there is none. It waits a moment at most for
    /// one that was evicted to leave.
    pub(crate) fn make_room(&self, network: Option<IpAddr>) -> Vacancy {
        let mut slots = self.slots.lock();
        let vacancy = slots.make_room(network, Instant::now());
        if matches!(vacancy, Vacancy::Leaving | Vacancy::AllWaiting) {
            self.wait_for_leaving(slots);
        }
        vacancy
    }

    /// Evicts one without a new client, and waits a moment for it: file descriptors or threads have run out. Spares those
    /// that came, or were answered, only just: their requests may be on the way.
    pub(crate) fn shrink(&self) {
        let mut slots = self.slots.lock();
        slots.evict_any_older_than(SPARED, Instant::now());
        self.wait_for_leaving(slots);
    }

    /// Gives a client a slot, for which there is room.
    pub(crate) fn enter(self: &Arc<Self>, socket: Socket, network: Option<IpAddr>) -> Slot {
        let client = Arc::new(Client::new(socket));
        let number = self.slots.lock().add(Arc::clone(&client), network);
        Slot {
            client,
            slots: Arc::clone(self),
            number,
        }
    }

    /// How many slots are taken.
    pub(crate) fn taken(&self) -> usize {
        self.slots.lock().taken()
    }

    /// Ends accepting, and every connection as soon as it may end.
    pub(crate) fn stop(&self) {
        self.stop.set();
        // Under the lock: a thread that has just found the signal not set must be waiting by now.
        let slots = self.slots.lock();
        self.changed.notify_all();
        drop(slots);
    }

    /// Waits for all connections to end, and cuts off what is left so that all is over within `grace`. False when any was
    /// cut off.
    pub(crate) fn drain(&self, grace: Duration) -> bool {
        let end = Deadline::after(grace);
        let cut = Deadline::after(grace - grace / CUT_SHARE);
        let mut slots = self.slots.lock();
        self.wait_until_empty(&mut slots, cut);
        let all_left = slots.taken() == 0;
        for client in slots.connections() {
            client.cut();
        }
        self.wait_until_empty(&mut slots, end);
        all_left
    }

    fn wait_until_empty(&self, slots: &mut MutexGuard<'_, Slots>, deadline: Deadline) {
        while slots.taken() > 0
            && let Ok(left) = deadline.remaining()
        {
            self.changed.wait_for(slots, left);
        }
    }

    fn wait_for_leaving(&self, mut slots: MutexGuard<'_, Slots>) {
        if !self.stop.is_set() {
            self.changed.wait_for(&mut slots, LEAVE_TIME);
        }
    }
}

/// A client's slot, given back on drop.
#[derive(Debug)]
pub(crate) struct Slot {
    client: Arc<Client>,
    slots: Arc<ConnectionSlots>,
    number: usize,
}

impl Deref for Slot {
    type Target = Arc<Client>;

    fn deref(&self) -> &Arc<Client> {
        &self.client
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.slots.lock().remove(self.number);
        self.slots.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    fn slots(limit: usize) -> Arc<ConnectionSlots> {
        ConnectionSlots::new(limit, None, Arc::new(StopSignal::new().unwrap()))
    }

    fn enter(slots: &Arc<ConnectionSlots>) -> (Slot, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        (slots.enter(Socket::Unix(ours), None), theirs)
    }

    fn reads_end(slot: &Slot) -> bool {
        let Socket::Unix(socket) = &slot.socket else {
            panic!("the test made a Unix socket");
        };
        (&*socket).read(&mut [0]).is_ok_and(|read| read == 0)
    }

    #[test]
    fn an_evicted_client_learns_it_by_the_end_of_its_input_and_leaves() {
        let slots = slots(2);
        let (answered, _a) = enter(&slots);
        let (dripping, _b) = enter(&slots);
        assert!(answered.set_waiting());
        dripping.set_receiving();
        let leaving = thread::spawn(move || {
            assert!(reads_end(&dripping));
            assert!(dripping.is_evicted());
            assert!(!dripping.set_waiting(), "too late");
        });
        while slots.make_room(None) != Vacancy::Free {}
        leaving.join().unwrap();
        assert!(!answered.is_evicted());
    }

    #[test]
    fn an_answer_that_is_sent_at_once_is_no_reason_to_stay() {
        let slots = slots(1);
        let (slot, _a) = enter(&slots);
        assert!(slot.set_waiting());
        assert_eq!(slots.make_room(None), Vacancy::AllWaiting);
        slot.set_idle();
        slot.set_writing().unwrap();
        assert_eq!(slots.make_room(None), Vacancy::Leaving);
        assert!(slot.set_writing().is_err());
    }

    #[test]
    fn stopping_waits_until_every_client_has_left() {
        let slots = slots(2);
        let (idle, _a) = enter(&slots);
        let (answered, _b) = enter(&slots);
        slots.stop();
        let leaving = thread::spawn({
            let slots = Arc::clone(&slots);
            move || {
                slots.stop.sleep(Duration::MAX).unwrap();
                drop(idle);
                while slots.taken() > 1 {
                    thread::yield_now();
                }
                drop(answered);
            }
        });
        assert!(slots.drain(Duration::from_secs(5)));
        leaving.join().unwrap();
    }

    #[test]
    fn who_is_not_done_after_the_grace_is_cut_off() {
        let slots = slots(2);
        let (waiting, mut client) = enter(&slots);
        assert!(waiting.set_waiting());
        let (late, _b) = enter(&slots);
        let cut = thread::spawn(move || {
            late.set_receiving();
            while !late.is_evicted() {
                thread::yield_now();
            }
            assert!(reads_end(&waiting));
        });
        assert!(!slots.drain(Duration::from_millis(100)));
        cut.join().unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}
