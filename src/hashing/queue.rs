//! What is hashed next, and on which core.
//!
//! In what order is for `turns` to say; what has low precedence comes after everything else. A thread takes no more than its share of
//! all work, so that two logins come to two cores before they share one. Never hashes and never blocks a caller: callers
//! wait in `engine`, threads of the engine in [`Seat::next`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::Error;
use super::job::{Job, Precedence};
use super::turns::Turns;

/// What waits, and how much is in work.
pub(super) struct Queue {
    inner: Mutex<Inner>,
    work_added: Condvar,
    /// How many jobs wait, for a look without the lock.
    waiting: AtomicUsize,
    /// Whether one of them may use a lane that is held back.
    has_alone: AtomicBool,
    in_work: AtomicUsize,
}

#[derive(Default)]
struct Inner {
    normal: Turns,
    low: VecDeque<(u64, Job)>,
    next_number: u64,
    threads: usize,
    stopped: bool,
}

/// Who may have a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Everybody.
    Shared,
    /// A job of a group that has nothing else in work or waiting.
    HeldBack,
}

/// What a job in the queue is found by.
#[derive(Clone, Copy)]
pub(super) struct Number(u64);

impl Queue {
    /// `threads` is how many seats will be taken.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            inner: Mutex::new(Inner {
                threads,
                ..Inner::default()
            }),
            work_added: Condvar::new(),
            waiting: AtomicUsize::new(0),
            has_alone: AtomicBool::new(false),
            in_work: AtomicUsize::new(0),
        }
    }

    /// Puts a job where it has to wait. Once the queue is stopped it is dropped, which closes its channel.
    pub(super) fn add(&self, job: Job) -> Number {
        let mut inner = self.inner.lock();
        let number = inner.next_number;
        inner.next_number += 1;
        if !inner.stopped {
            match job.precedence {
                Precedence::Normal => inner.normal.add(number, job),
                Precedence::Low => inner.low.push_back((number, job)),
            }
            self.count(&inner);
            // Only threads without any work wait for it; those that have some look by themselves.
            self.work_added.notify_one();
        }
        Number(number)
    }

    /// Takes a job back; false when it is begun already.
    pub(super) fn withdraw(&self, number: Number) -> bool {
        let mut inner = self.inner.lock();
        let mut found = inner.normal.withdraw(number.0);
        if let Some(place) = inner.low.iter().position(|(other, _)| *other == number.0) {
            found = inner.low.remove(place).is_some();
        }
        self.count(&inner);
        found
    }

    /// Ends the threads, once they have done what they have begun. Whoever waits is told by a closed channel.
    pub(super) fn stop(&self) {
        let mut inner = self.inner.lock();
        inner.stop();
        self.count(&inner);
        self.work_added.notify_all();
    }

    /// Gives up the logins that wait; each finds its channel closed.
    pub(super) fn give_up_waiting(&self) {
        let mut inner = self.inner.lock();
        inner.normal = Turns::default();
        self.count(&inner);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn in_work(&self) -> usize {
        self.in_work.load(Ordering::Relaxed)
    }

    /// A thread's access.
    pub(super) fn seat(&self) -> Seat<'_> {
        Seat {
            queue: self,
            in_work: 0,
            low_in_work: 0,
        }
    }

    fn count(&self, inner: &Inner) {
        let waiting = inner.normal.len() + inner.low.len();
        self.waiting.store(waiting, Ordering::Relaxed);
        self.has_alone
            .store(inner.normal.has_alone(), Ordering::Relaxed);
    }
}

impl Inner {
    fn stop(&mut self) {
        self.stopped = true;
        self.normal = Turns::default();
        self.low.clear();
    }
}

/// One thread's place at the queue.
pub(super) struct Seat<'a> {
    queue: &'a Queue,
    in_work: usize,
    low_in_work: usize,
}

impl Seat<'_> {
    /// The next job for a lane of this thread. Without any work it waits for one, and `None` then means that the engine stops.
    pub(super) fn next(&mut self, lane: Lane) -> Option<Job> {
        let has_any = match lane {
            Lane::Shared => self.queue.waiting() > 0,
            Lane::HeldBack => self.queue.has_alone.load(Ordering::Relaxed),
        };
        if self.in_work > 0 && !has_any {
            return None;
        }
        let mut inner = self.queue.inner.lock();
        let job = loop {
            let job = self.take(&mut inner, lane);
            self.queue.count(&inner);
            if let Some(job) = job {
                break job;
            }
            if self.in_work > 0 || inner.stopped {
                return None;
            }
            self.queue.work_added.wait(&mut inner);
        };
        self.in_work += 1;
        self.low_in_work += usize::from(job.precedence == Precedence::Low);
        self.queue.in_work.fetch_add(1, Ordering::Relaxed);
        Some(job)
    }

    /// Says that a job is done.
    pub(super) fn done(&mut self, precedence: Precedence) {
        self.in_work -= 1;
        self.low_in_work -= usize::from(precedence == Precedence::Low);
        self.queue.in_work.fetch_sub(1, Ordering::Relaxed);
    }

    fn take(&self, inner: &mut Inner, lane: Lane) -> Option<Job> {
        let now = Instant::now();
        loop {
            let is_low = inner.normal.len() == 0;
            if is_low && (self.low_in_work > 0 || lane == Lane::HeldBack) {
                return None;
            }
            let waiting = if is_low {
                inner.low.len()
            } else {
                inner.normal.len()
            };
            let all = self.queue.in_work() + waiting;
            // Some thread is always below its share while anything waits, so nothing is left lying.
            if self.in_work >= all.div_ceil(inner.threads.max(1)) {
                return None;
            }
            let job = match lane {
                Lane::HeldBack => inner.normal.next_alone(),
                Lane::Shared if is_low => inner.low.pop_front().map(|(_, job)| job),
                Lane::Shared => inner.normal.next(),
            }?;
            if job.begin_before.is_none_or(|limit| now <= limit) {
                return Some(job);
            }
            // A caller that is gone needs no answer.
            let _ = job.done.send(Err(Error::WaitTooLong));
        }
    }
}

impl Drop for Seat<'_> {
    /// A thread that panics leaves its share to the others; without any, nobody must wait any longer.
    fn drop(&mut self) {
        self.queue
            .in_work
            .fetch_sub(self.in_work, Ordering::Relaxed);
        let mut inner = self.queue.inner.lock();
        inner.threads = inner.threads.saturating_sub(1);
        if inner.threads == 0 {
            inner.stop();
            self.queue.count(&inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
    use std::time::Duration;

    use super::super::Cost;
    use super::super::job::{Group, Owner};
    use super::super::lanes::{Digest, Order};
    use super::*;

    type Answer = Receiver<Result<Digest, Error>>;

    /// A job that is known by its work.
    fn job(work: u8, precedence: Precedence, begin_before: Option<Instant>) -> (Job, Answer) {
        let (done, answer) = sync_channel(1);
        let order = Order::new(b"any", &[0; 16], Cost::MIN, Cost::new(work).unwrap());
        let job = Job {
            order: Box::new(order),
            owner: Owner::default(),
            precedence,
            begin_before,
            done,
        };
        (job, answer)
    }

    fn add(queue: &Queue, work: u8, precedence: Precedence) -> (Number, Answer) {
        let (job, answer) = job(work, precedence, None);
        (queue.add(job), answer)
    }

    fn add_of(queue: &Queue, work: u8, group: u128, held: usize) {
        let (mut job, _) = job(work, Precedence::Normal, None);
        job.owner.group = Group(group);
        job.owner.held = Some(Arc::new(AtomicUsize::new(held)));
        queue.add(job);
    }

    /// The works of all jobs that this seat gets now for such lanes.
    fn works_in(seat: &mut Seat<'_>, lane: Lane) -> Vec<u8> {
        let jobs = std::iter::from_fn(|| {
            let blocks = seat.in_work == 0 && seat.queue.waiting() == 0;
            if blocks { None } else { seat.next(lane) }
        });
        jobs.map(|job| job.order.rounds().trailing_zeros() as u8)
            .collect()
    }

    fn works(seat: &mut Seat<'_>) -> Vec<u8> {
        works_in(seat, Lane::Shared)
    }

    #[test]
    fn in_turn_and_low_precedence_last() {
        let queue = Queue::new(1);
        let mut seat = queue.seat();
        for (work, precedence) in [
            (4, Precedence::Low),
            (5, Precedence::Normal),
            (6, Precedence::Low),
            (7, Precedence::Normal),
        ] {
            let _ = add(&queue, work, precedence);
        }
        assert_eq!(
            works(&mut seat),
            [5, 7, 4],
            "and a second low one has to wait"
        );
        seat.done(Precedence::Normal);
        assert!(works(&mut seat).is_empty());
        seat.done(Precedence::Low);
        assert_eq!(works(&mut seat), [6]);
        assert_eq!((queue.in_work(), queue.waiting()), (2, 0));
    }

    #[test]
    fn who_waits_may_be_given_up_and_what_has_low_precedence_goes_on() {
        let queue = Queue::new(1);
        let (_, waiting) = add(&queue, 4, Precedence::Normal);
        let (_, _low) = add(&queue, 5, Precedence::Low);
        queue.give_up_waiting();
        assert!(matches!(
            waiting.try_recv(),
            Err(TryRecvError::Disconnected)
        ));
        assert_eq!(works(&mut queue.seat()), [5]);
    }

    #[test]
    fn a_lane_that_is_held_back_is_for_who_has_nothing_else() {
        let queue = Queue::new(1);
        let mut seat = queue.seat();
        for work in [4, 5, 6] {
            add_of(&queue, work, 1, 3);
        }
        let _ = add(&queue, 7, Precedence::Low);
        assert_eq!(seat.next(Lane::Shared).unwrap().order.rounds(), 1 << 4);
        assert!(works_in(&mut seat, Lane::HeldBack).is_empty());
        add_of(&queue, 8, 2, 1);
        add_of(&queue, 9, 3, 1);
        assert_eq!(works_in(&mut seat, Lane::HeldBack), [8, 9]);
        assert_eq!(works(&mut seat), [5, 6, 7]);
    }

    #[test]
    fn work_goes_to_idle_threads_before_two_share_one() {
        let queue = Queue::new(2);
        let (mut one, mut other) = (queue.seat(), queue.seat());
        let _ = add(&queue, 4, Precedence::Normal);
        assert_eq!(works(&mut one), [4]);
        let _ = add(&queue, 5, Precedence::Normal);
        assert!(works(&mut one).is_empty());
        assert_eq!(works(&mut other), [5]);
        for work in [6, 7, 8, 9] {
            let _ = add(&queue, work, Precedence::Normal);
        }
        assert_eq!(works(&mut other), [6, 7]);
        assert_eq!(works(&mut one), [8, 9]);
    }

    #[test]
    fn what_waited_too_long_is_answered_and_skipped() {
        let queue = Queue::new(1);
        let mut seat = queue.seat();
        let past = Instant::now().checked_sub(Duration::from_millis(1));
        let (late, answer) = job(4, Precedence::Normal, past);
        queue.add(late);
        let _ = add(&queue, 5, Precedence::Normal);
        assert_eq!(works(&mut seat), [5]);
        assert!(matches!(answer.try_recv(), Ok(Err(Error::WaitTooLong))));
    }

    #[test]
    fn only_what_still_waits_is_withdrawn() {
        let queue = Queue::new(1);
        let mut seat = queue.seat();
        let (begun, _) = add(&queue, 4, Precedence::Normal);
        assert_eq!(works(&mut seat), [4]);
        let (waiting, _) = add(&queue, 5, Precedence::Low);
        assert!(!queue.withdraw(begun));
        assert!(queue.withdraw(waiting));
        assert!(works(&mut seat).is_empty());
    }

    #[test]
    fn nobody_waits_for_threads_that_are_gone() {
        let queue = Queue::new(2);
        let (one, other) = (queue.seat(), queue.seat());
        let (_, answer) = add(&queue, 4, Precedence::Normal);
        drop(one);
        assert!(matches!(answer.try_recv(), Err(TryRecvError::Empty)));
        drop(other);
        assert!(matches!(answer.try_recv(), Err(TryRecvError::Disconnected)));
        let (_, later) = add(&queue, 5, Precedence::Normal);
        assert!(matches!(later.try_recv(), Err(TryRecvError::Disconnected)));
    }
}
