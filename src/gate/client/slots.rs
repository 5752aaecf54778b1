//! The connection slots of a gate, shared by its threads, and how a stop ends all connections.

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

/// The last parts of a stop's grace period, as one part in this number: for answering requests whose waits were ended,
/// and then for closing connections that did not finish.
const LAST_ANSWERS_SHARE: u32 = 10;
const CUT_SHARE: u32 = 20;

/// Age below which an idle connection is not evicted by [`ConnectionSlots::evict_one`]: the client's request may be on
/// its way.
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

    /// Whether a client network has reached its connection limit.
    pub(crate) fn is_network_full(&self, network: Option<IpAddr>) -> bool {
        self.slots.lock().is_network_full(network)
    }

    /// Looks for a slot for a client of `network`, and evicts another client if there is none. Waits at most
    /// [`LEAVE_TIME`] for the evicted one to close its connection.
    pub(crate) fn make_room(&self, network: Option<IpAddr>) -> Vacancy {
        let mut slots = self.slots.lock();
        let vacancy = slots.make_room(network, Instant::now());
        if matches!(vacancy, Vacancy::Evicting | Vacancy::AllBusy) {
            self.wait_for_leaving(slots);
        }
        vacancy
    }

    /// Evicts a client because file descriptors or threads have run out, and waits at most [`LEAVE_TIME`] for it to close
    /// its connection. Clients that have just connected or been answered are spared: their requests may be on their way.
    pub(crate) fn evict_one(&self) {
        let mut slots = self.slots.lock();
        slots.evict_any_older_than(SPARED, Instant::now());
        self.wait_for_leaving(slots);
    }

    /// Gives a client a slot. Call only after [`Vacancy::Free`].
    pub(crate) fn enter(self: &Arc<Self>, socket: Socket, network: Option<IpAddr>) -> Slot {
        let client = Arc::new(Client::new(socket));
        let number = self.slots.lock().add(Arc::clone(&client), network);
        Slot {
            client,
            slots: Arc::clone(self),
            number,
        }
    }

    /// The number of taken slots.
    pub(crate) fn taken(&self) -> usize {
        self.slots.lock().taken()
    }

    /// Ends accepting, and lets every connection end as soon as its request is answered.
    pub(crate) fn stop(&self) {
        self.stop.set();
        // Notified under the lock, so that a thread which found the signal not set is already waiting.
        let slots = self.slots.lock();
        self.changed.notify_all();
        drop(slots);
    }

    /// Waits for all connections to end. Shortly before `grace` is over, calls `end_waits` if some are left, and shuts
    /// down those that do not end then either. False if any had to be shut down.
    pub(crate) fn drain(&self, grace: Duration, end_waits: impl FnOnce()) -> bool {
        let end = Deadline::after(grace);
        let cut = Deadline::after(grace - grace / CUT_SHARE);
        let last_answers = Deadline::after(grace - grace / LAST_ANSWERS_SHARE);
        let mut slots = self.slots.lock();
        self.wait_until_empty(&mut slots, last_answers);
        if slots.taken() > 0 {
            MutexGuard::unlocked(&mut slots, end_waits);
        }
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

/// A client's slot, freed on drop.
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
    fn an_eviction_ends_the_input_of_the_client_and_frees_its_slot() {
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
    fn a_client_can_be_evicted_once_it_is_answered() {
        let slots = slots(1);
        let (slot, _a) = enter(&slots);
        assert!(slot.set_waiting());
        assert_eq!(slots.make_room(None), Vacancy::AllBusy);
        slot.set_idle();
        slot.set_writing().unwrap();
        assert_eq!(slots.make_room(None), Vacancy::Evicting);
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
        assert!(slots.drain(Duration::from_secs(5), || panic!("all have left")));
        leaving.join().unwrap();
    }

    #[test]
    fn connections_that_are_open_after_the_grace_period_are_shut_down() {
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
        let mut ended_waits = false;
        assert!(!slots.drain(Duration::from_millis(100), || ended_waits = true));
        assert!(ended_waits);
        cut.join().unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}
