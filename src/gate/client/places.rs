//! The connections of a gate, shared by its threads: which slot each has, how far it is, and how all of them end.

use std::io;
use std::net::{IpAddr, Shutdown};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::slots::{ConnectionSlots, Evictable, LEAVE_TIME, Phase, Progress, Room};
use super::socket::Socket;
use crate::gate::deadline::Deadline;

/// Of the time that a stop has, one part in so many is kept for closing what was not done.
const CUT_SHARE: u32 = 20;

type Slots = ConnectionSlots<Arc<Occupant>>;

/// The places of a gate.
#[derive(Debug)]
pub(crate) struct Places {
    slots: Mutex<Slots>,
    /// Notified whenever a client has left, and when the gate stops.
    changed: Condvar,
    /// Notified once, when the gate stops: who only waits for time to pass need not wake for each that leaves.
    stopped: Condvar,
    stopping: AtomicBool,
}

/// What its connection's thread and the gate both know of a client.
#[derive(Debug)]
pub(crate) struct Occupant {
    pub(crate) socket: Socket,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    progress: Progress,
    /// Whether reads no longer wait, since the gate stops.
    ended: bool,
}

impl Evictable for Arc<Occupant> {
    fn progress(&self) -> Progress {
        self.state().progress
    }

    /// One that has not sent its request whole is only told that nothing more is read, so that it still gets its answer.
    fn evict(&self) -> bool {
        let mut state = self.state();
        let how = match state.progress.phase {
            Phase::Idle | Phase::Receiving | Phase::Closing => Shutdown::Read,
            Phase::Writing => Shutdown::Both,
            Phase::Waiting | Phase::Evicted => return false,
        };
        state.progress.phase = Phase::Evicted;
        self.socket.shutdown(how);
        true
    }
}

impl Occupant {
    fn new(socket: Socket) -> Occupant {
        let progress = Progress {
            phase: Phase::Idle,
            since: Instant::now(),
        };
        let state = Mutex::new(State {
            progress,
            ended: false,
        });
        Occupant { socket, state }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.state().progress.phase
    }

    /// The client takes no more for now. An error when it was evicted.
    pub(crate) fn block_on_client(&self) -> io::Result<()> {
        let progress = &mut self.state().progress;
        match progress.phase {
            Phase::Evicted => return Err(io::ErrorKind::ConnectionAborted.into()),
            Phase::Waiting => progress.since = Instant::now(),
            Phase::Idle | Phase::Receiving | Phase::Writing | Phase::Closing => {}
        }
        progress.phase = Phase::Writing;
        Ok(())
    }

    /// Ends a connection whatever it is at.
    fn cut(&self) {
        self.state().progress.phase = Phase::Evicted;
        self.socket.shutdown(Shutdown::Both);
    }

    /// Whether reads bring only what has already arrived, since the gate stops.
    pub(crate) fn is_ended(&self) -> bool {
        self.state().ended
    }

    /// Ends the input of a client of which nothing waits to be read; what waits may be the beginning of a request.
    fn end_silence(&self, state: MutexGuard<'_, State>) {
        if !self.socket.has_input() {
            self.end_input(state);
        }
    }

    fn end_input(&self, mut state: MutexGuard<'_, State>) {
        state.ended = true;
        self.socket.shutdown(Shutdown::Read);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

/// Whose connection is as young as this may have sent a request that is not here yet.
const SPARED: Duration = Duration::from_millis(250);

impl Places {
    pub(crate) fn new(limit: usize, limit_per_network: Option<usize>) -> Arc<Places> {
        Arc::new(Places {
            slots: Mutex::new(ConnectionSlots::new(limit, limit_per_network)),
            changed: Condvar::new(),
            stopped: Condvar::new(),
            stopping: AtomicBool::new(false),
        })
    }

    /// Whether a client network has as many connections as it may have.
    pub(crate) fn is_network_full(&self, network: Option<IpAddr>) -> bool {
        lock(&self.slots).is_network_full(network)
    }

    /// Looks for room for a client of `network`, and evicts who has to leave for it. Where somebody has yet to leave, it
    /// waits for that, a moment at most.
    pub(crate) fn make_room(&self, network: Option<IpAddr>) -> Room {
        let mut slots = lock(&self.slots);
        let room = slots.make_room(network, Instant::now());
        if matches!(room, Room::Leaving | Room::AllWaiting) && !self.is_stopping() {
            drop(self.wait(slots, LEAVE_TIME));
        }
        room
    }

    /// Evicts one without a new client, and waits a moment for it: file descriptors or threads have run out. Spares those
    /// that came, or were answered, only just: their requests may be on the way.
    pub(crate) fn shrink(&self) {
        let mut slots = lock(&self.slots);
        slots.evict_any_older_than(SPARED, Instant::now());
        if !self.is_stopping() {
            drop(self.wait(slots, LEAVE_TIME));
        }
    }

    /// Gives a client its place, for which there is room.
    pub(crate) fn enter(self: &Arc<Places>, socket: Socket, network: Option<IpAddr>) -> Place {
        let occupant = Arc::new(Occupant::new(socket));
        let number = lock(&self.slots).add(Arc::clone(&occupant), network);
        Place {
            occupant,
            places: Arc::clone(self),
            number,
        }
    }

    /// How many places are taken.
    pub(crate) fn taken(&self) -> usize {
        lock(&self.slots).taken()
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// From now on nobody new is let in.
    pub(crate) fn begin_stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Under the lock: who has just looked at `stopping` must be waiting by now.
        let slots = lock(&self.slots);
        self.changed.notify_all();
        self.stopped.notify_all();
        drop(slots);
    }

    /// Sends idle clients away, lets the others be answered, and cuts off what is left so that all is over within `grace`.
    /// False when any was cut off.
    pub(crate) fn empty(&self, grace: Duration) -> bool {
        let end = Deadline::after(grace);
        let cut = Deadline::after(grace - grace / CUT_SHARE);
        self.begin_stopping();
        let mut slots = lock(&self.slots);
        for occupant in slots.connections() {
            let state = occupant.state();
            match state.progress.phase {
                Phase::Idle => occupant.end_silence(state),
                Phase::Closing => occupant.end_input(state),
                Phase::Receiving | Phase::Waiting | Phase::Writing | Phase::Evicted => {}
            }
        }
        slots = self.wait_until_empty(slots, cut);
        let all_left = slots.taken() == 0;
        for occupant in slots.connections() {
            occupant.cut();
        }
        drop(self.wait_until_empty(slots, end));
        all_left
    }

    fn wait_until_empty<'a>(
        &self,
        mut slots: MutexGuard<'a, Slots>,
        deadline: Deadline,
    ) -> MutexGuard<'a, Slots> {
        while slots.taken() > 0 {
            match deadline.remaining() {
                Ok(left) => slots = self.wait(slots, left),
                Err(_) => break,
            }
        }
        slots
    }

    fn wait<'a>(&self, slots: MutexGuard<'a, Slots>, time: Duration) -> MutexGuard<'a, Slots> {
        let result = self.changed.wait_timeout(slots, time);
        result.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// A client's place, given back on drop.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) occupant: Arc<Occupant>,
    places: Arc<Places>,
    number: usize,
}

impl Place {
    /// The answer is whole, and goes out at once unless the client is slow. It counts from now on, and not only once this
    /// thread has seen the last byte leave: by then the client may long have read it.
    pub(crate) fn answered(&self) {
        let progress = &mut self.occupant.state().progress;
        if progress.phase == Phase::Waiting {
            progress.phase = Phase::Idle;
            progress.since = Instant::now();
        }
    }

    /// Waits for a request from now on.
    pub(crate) fn wait(&self) {
        let mut state = self.occupant.state();
        if matches!(state.progress.phase, Phase::Waiting | Phase::Writing) {
            state.progress.phase = Phase::Idle;
            state.progress.since = Instant::now();
        }
        // Whoever stops the gate may have looked at this place before.
        if self.places.is_stopping() {
            self.occupant.end_silence(state);
        }
    }

    /// Lets time pass, unless the gate stops.
    pub(crate) fn pause(&self, time: Duration) {
        let deadline = Deadline::after(time);
        let mut slots = lock(&self.places.slots);
        while !self.is_stopping()
            && let Ok(left) = deadline.remaining()
        {
            let waited = self.places.stopped.wait_timeout(slots, left);
            slots = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the client to close from now on.
    pub(crate) fn leave(&self) {
        let mut state = self.occupant.state();
        if state.progress.phase != Phase::Evicted {
            state.progress.phase = Phase::Closing;
        }
        if self.places.is_stopping() {
            self.occupant.end_input(state);
        }
    }

    /// The request's first bytes are there, and more is waited for.
    pub(crate) fn begin(&self) {
        let progress = &mut self.occupant.state().progress;
        if matches!(progress.phase, Phase::Idle | Phase::Writing) {
            progress.phase = Phase::Receiving;
        }
    }

    /// Bytes can be read. Once the gate stops, only their being read tells whether they are a request or the end.
    pub(crate) fn begin_unless_ended(&self) {
        let mut state = self.occupant.state();
        if state.progress.phase == Phase::Idle && !state.ended {
            state.progress.phase = Phase::Receiving;
        }
    }

    /// The request is whole. False when the client was evicted before that.
    pub(crate) fn answer(&self) -> bool {
        let progress = &mut self.occupant.state().progress;
        let stays = progress.phase != Phase::Evicted;
        if stays {
            progress.phase = Phase::Waiting;
        }
        stays
    }

    /// What is read from now on is only what has already arrived, unless something has that may be a request's beginning.
    pub(crate) fn end_silence(&self) {
        self.occupant.end_silence(self.occupant.state());
    }

    pub(crate) fn is_evicted(&self) -> bool {
        self.occupant.phase() == Phase::Evicted
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.places.is_stopping()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.places.slots).remove(self.number);
        self.places.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::*;

    fn enter(places: &Arc<Places>) -> (Place, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        (places.enter(Socket::Unix(ours), None), theirs)
    }

    fn reads_end(place: &Place) -> bool {
        let Socket::Unix(socket) = &place.occupant.socket else {
            panic!("the test made a Unix socket");
        };
        (&*socket).read(&mut [0]).is_ok_and(|read| read == 0)
    }

    #[test]
    fn an_evicted_client_learns_it_by_the_end_of_its_input_and_leaves() {
        let places = Places::new(2, None);
        let (answered, _a) = enter(&places);
        let (dripping, _b) = enter(&places);
        assert!(answered.answer());
        dripping.begin();
        let leaving = thread::spawn(move || {
            assert!(reads_end(&dripping));
            assert!(dripping.is_evicted());
            assert!(!dripping.answer(), "too late");
        });
        while places.make_room(None) != Room::Free {}
        leaving.join().unwrap();
        assert!(!answered.is_evicted());
    }

    #[test]
    fn an_answer_that_is_sent_at_once_is_no_reason_to_stay() {
        let places = Places::new(1, None);
        let (place, _a) = enter(&places);
        assert!(place.answer());
        place.answered();
        assert_eq!(place.occupant.phase(), Phase::Idle);
        place.occupant.block_on_client().unwrap();
        assert_eq!(place.occupant.phase(), Phase::Writing);
        assert_eq!(places.make_room(None), Room::Leaving);
        assert!(place.occupant.block_on_client().is_err());
    }

    #[test]
    fn stopping_ends_idle_clients_and_waits_for_the_others() {
        let places = Places::new(2, None);
        let (idle, _a) = enter(&places);
        let (answered, _b) = enter(&places);
        assert!(answered.answer());
        let threads = [
            thread::spawn(move || assert!(reads_end(&idle))),
            thread::spawn({
                let places = Arc::clone(&places);
                move || {
                    while places.taken() > 1 {
                        thread::yield_now();
                    }
                    answered.wait();
                    assert!(reads_end(&answered));
                }
            }),
        ];
        assert!(places.empty(Duration::from_secs(5)));
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn who_is_not_done_after_the_grace_is_cut_off() {
        let places = Places::new(2, None);
        let (waiting, mut client) = enter(&places);
        assert!(waiting.answer());
        // Its input was ended by the stop, and then a request started nevertheless.
        let (late, _b) = enter(&places);
        let cut = thread::spawn(move || {
            assert!(reads_end(&late));
            late.begin();
            while !late.is_evicted() {
                thread::yield_now();
            }
            assert!(reads_end(&waiting));
        });
        assert!(!places.empty(Duration::from_millis(100)));
        cut.join().unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}
