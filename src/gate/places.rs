//! Who is connected: a bounded number of places, and who must give way when all are taken.
//!
//! What counts is how long a client has been without a whole request, not when it last sent a byte: one that drips bytes
//! gives way like one that is silent. A client whose request is being answered is never sent away for another.

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::deadline::Deadline;
use super::wire::Socket;

/// After this long another client is asked to leave, should the first not manage to.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(250);

/// The places of a gate.
#[derive(Debug)]
pub(super) struct Places {
    table: Mutex<Table>,
    /// Told whenever somebody left, and when the gate stops.
    changed: Condvar,
    /// Told once, when the gate stops: who only waits for time to pass need not wake for each that leaves.
    stopped: Condvar,
    limit: usize,
    stopping: AtomicBool,
}

#[derive(Debug, Default)]
struct Table {
    /// Free places are `None`, and listed in `free`.
    places: Vec<Option<Arc<Occupant>>>,
    free: Vec<usize>,
}

impl Table {
    fn taken(&self) -> usize {
        self.places.len() - self.free.len()
    }

    fn occupants(&self) -> impl Iterator<Item = &Arc<Occupant>> {
        self.places.iter().flatten()
    }
}

/// What its connection's thread and the gate both know of a client.
#[derive(Debug)]
pub(super) struct Occupant {
    pub(super) socket: Socket,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    phase: Phase,
    /// Since when the client has been without a whole request.
    since: Instant,
    /// Whether reads no longer wait, since the gate stops.
    ended: bool,
}

/// Where a connection is in the round of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No byte of a request has come.
    Idle,
    /// Some bytes of a request have come, not all.
    Receiving,
    /// A request is with the server, or its answer on the way.
    Answering,
    /// All is said; the client has only to close.
    Closing,
    /// Told to leave for another client.
    Dismissed,
}

impl Phase {
    /// Whether a client may be told to leave.
    fn may_leave(self) -> bool {
        matches!(self, Phase::Idle | Phase::Receiving | Phase::Closing)
    }
}

impl Occupant {
    pub(super) fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Whether reads bring only what has already arrived, since the gate stops.
    pub(super) fn is_ended(&self) -> bool {
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

impl Places {
    pub(super) fn new(limit: usize) -> Arc<Places> {
        Arc::new(Places {
            table: Mutex::default(),
            changed: Condvar::new(),
            stopped: Condvar::new(),
            limit,
            stopping: AtomicBool::new(false),
        })
    }

    /// Gives a client a place, when necessary that of the one longest without a whole request. Waits while all are being
    /// answered; `None` once the gate stops.
    pub(super) fn enter(self: &Arc<Places>, socket: Socket) -> Option<Place> {
        let occupant = Arc::new(Occupant {
            socket,
            state: Mutex::new(State {
                phase: Phase::Idle,
                since: Instant::now(),
                ended: false,
            }),
        });
        let mut table = lock(&self.table);
        while table.taken() >= self.limit {
            if self.is_stopping() {
                return None;
            }
            dismiss_longest_waiting(&table, Duration::ZERO);
            table = self.wait(table, LEAVE_TIMEOUT);
        }
        let number = match table.free.pop() {
            Some(number) => number,
            None => {
                table.places.push(None);
                table.places.len() - 1
            }
        };
        table.places[number] = Some(Arc::clone(&occupant));
        Some(Place {
            occupant,
            places: Arc::clone(self),
            number,
        })
    }

    /// Makes room without a new client, and waits a moment for it: file descriptors or threads have run out. Spares those
    /// who came, or were answered, only just: their requests may be on the way.
    pub(super) fn make_room(&self) {
        let table = lock(&self.table);
        dismiss_longest_waiting(&table, LEAVE_TIMEOUT);
        drop(self.wait(table, LEAVE_TIMEOUT));
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        lock(&self.table).taken()
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// From now on nobody new is let in.
    pub(super) fn begin_stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        // Under the lock: who has just looked at `stopping` must be waiting by now.
        let table = lock(&self.table);
        self.changed.notify_all();
        self.stopped.notify_all();
        drop(table);
    }

    /// Sends idle clients away, lets the others be answered until `grace` is over, then cuts them off. False when any
    /// was cut off.
    pub(super) fn empty(&self, grace: Duration) -> bool {
        self.begin_stopping();
        let mut table = lock(&self.table);
        for occupant in table.occupants() {
            let state = occupant.state();
            match state.phase {
                Phase::Idle => occupant.end_silence(state),
                Phase::Closing => occupant.end_input(state),
                Phase::Receiving | Phase::Answering | Phase::Dismissed => {}
            }
        }
        table = self.wait_until_empty(table, grace);
        let all_left = table.taken() == 0;
        for occupant in table.occupants() {
            occupant.socket.shutdown(Shutdown::Both);
        }
        drop(self.wait_until_empty(table, Duration::from_secs(1)));
        all_left
    }

    fn wait_until_empty<'a>(
        &self,
        mut table: MutexGuard<'a, Table>,
        time: Duration,
    ) -> MutexGuard<'a, Table> {
        let deadline = Deadline::after(time);
        while table.taken() > 0 {
            match deadline.remaining() {
                Ok(left) => table = self.wait(table, left),
                Err(_) => break,
            }
        }
        table
    }

    fn wait<'a>(&self, table: MutexGuard<'a, Table>, time: Duration) -> MutexGuard<'a, Table> {
        let result = self.changed.wait_timeout(table, time);
        result.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Tells a client that has waited for at least so long to leave, by the end of its input. Does nothing when there is none.
fn dismiss_longest_waiting(table: &Table, at_least: Duration) {
    let waiting = table.occupants().filter_map(|occupant| {
        let state = *occupant.state();
        // Nobody misses a connection that is only being closed.
        let order = (state.phase != Phase::Closing, state.since);
        let may_leave = state.phase.may_leave() && state.since.elapsed() >= at_least;
        may_leave.then_some((order, occupant))
    });
    let Some((_, occupant)) = waiting.min_by_key(|(order, _)| *order) else {
        return;
    };
    let mut state = occupant.state();
    if state.phase.may_leave() {
        state.phase = Phase::Dismissed;
        occupant.socket.shutdown(Shutdown::Read);
    }
}

/// A client's place, given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) occupant: Arc<Occupant>,
    places: Arc<Places>,
    number: usize,
}

impl Place {
    /// Waits for a request from now on.
    pub(super) fn wait(&self) {
        let mut state = self.occupant.state();
        if state.phase == Phase::Answering {
            state.phase = Phase::Idle;
            state.since = Instant::now();
        }
        // Whoever stops the gate may have looked at this place before.
        if self.places.is_stopping() {
            self.occupant.end_silence(state);
        }
    }

    /// Lets time pass, unless the gate stops.
    pub(super) fn pause(&self, time: Duration) {
        let deadline = Deadline::after(time);
        let mut table = lock(&self.places.table);
        while !self.is_stopping()
            && let Ok(left) = deadline.remaining()
        {
            let waited = self.places.stopped.wait_timeout(table, left);
            table = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the client to close from now on.
    pub(super) fn leave(&self) {
        let mut state = self.occupant.state();
        if state.phase != Phase::Dismissed {
            state.phase = Phase::Closing;
        }
        if self.places.is_stopping() {
            self.occupant.end_input(state);
        }
    }

    /// The request's first bytes are there.
    pub(super) fn begin(&self) {
        let mut state = self.occupant.state();
        if state.phase == Phase::Idle {
            state.phase = Phase::Receiving;
        }
    }

    /// Bytes can be read. Once the gate stops, only their being read tells whether they are a request or the end.
    pub(super) fn begin_unless_ended(&self) {
        let mut state = self.occupant.state();
        if state.phase == Phase::Idle && !state.ended {
            state.phase = Phase::Receiving;
        }
    }

    /// The request is whole. False when the client was told to leave before that.
    pub(super) fn answer(&self) -> bool {
        let mut state = self.occupant.state();
        let stays = state.phase != Phase::Dismissed;
        if stays {
            state.phase = Phase::Answering;
        }
        stays
    }

    /// What is read from now on is only what has already arrived, unless something has that may be a request's beginning.
    pub(super) fn end_silence(&self) {
        self.occupant.end_silence(self.occupant.state());
    }

    pub(super) fn is_dismissed(&self) -> bool {
        self.occupant.phase() == Phase::Dismissed
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.places.is_stopping()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = lock(&self.places.table);
        table.places[self.number] = None;
        table.free.push(self.number);
        self.places.changed.notify_all();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;
    use std::thread;

    fn socket() -> (Socket, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        theirs
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        (Socket::Unix(ours), theirs)
    }

    fn reads_end(place: &Place) -> bool {
        let Socket::Unix(socket) = &place.occupant.socket else {
            panic!("the test made a Unix socket");
        };
        (&*socket).read(&mut [0]).is_ok_and(|read| read == 0)
    }

    #[test]
    fn the_one_longest_without_a_whole_request_gives_way() {
        let places = Places::new(3);
        let enter = || {
            let (ours, theirs) = socket();
            (places.enter(ours).unwrap(), theirs)
        };
        let (answered, _a) = enter();
        let (dripping, _b) = enter();
        let (_idle, _c) = enter();
        assert!(answered.answer());
        dripping.begin();
        let leaving = thread::spawn(move || {
            // The end of its input is how it learns.
            assert!(reads_end(&dripping));
            assert!(dripping.is_dismissed());
            assert!(!dripping.answer(), "too late");
        });
        let (new, _d) = enter();
        leaving.join().unwrap();
        assert_eq!(new.occupant.phase(), Phase::Idle);
        assert!(!answered.is_dismissed());
    }

    #[test]
    fn new_clients_wait_while_all_are_being_answered() {
        let places = Places::new(1);
        let (ours, _theirs) = socket();
        let first = places.enter(ours).unwrap();
        assert!(first.answer());
        let (ours, _theirs_too) = socket();
        let second = thread::spawn({
            let places = Arc::clone(&places);
            move || places.enter(ours).is_some()
        });
        thread::sleep(LEAVE_TIMEOUT * 2);
        assert!(!second.is_finished());
        assert!(!first.is_dismissed());
        drop(first);
        assert!(second.join().unwrap());
    }

    #[test]
    fn stopping_ends_idle_clients_and_waits_for_the_others() {
        let places = Places::new(2);
        let (ours, _a) = socket();
        let idle = places.enter(ours).unwrap();
        let (ours, _b) = socket();
        let answered = places.enter(ours).unwrap();
        assert!(answered.answer());
        let threads = [
            thread::spawn(move || assert!(reads_end(&idle))),
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(50));
                answered.wait();
                assert!(reads_end(&answered));
            }),
        ];
        assert!(places.empty(Duration::from_secs(5)));
        for thread in threads {
            thread.join().unwrap();
        }
    }

    #[test]
    fn who_is_not_done_after_the_grace_is_cut_off() {
        let places = Places::new(1);
        let (ours, mut theirs) = socket();
        let place = places.enter(ours).unwrap();
        assert!(place.answer());
        let cut = thread::spawn(move || assert!(reads_end(&place)));
        assert!(!places.empty(Duration::from_millis(10)));
        cut.join().unwrap();
        assert_eq!(theirs.read(&mut [0]).unwrap(), 0);
    }
}
