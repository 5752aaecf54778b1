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

    /// Takes a job back; false when it is started already.
    pub(super) fn withdraw(&self, number: Number) -> bool {
        let mut inner = self.inner.lock();
        let mut found = inner.normal.withdraw(number.0);
        if let Some(place) = inner.low.iter().position(|(other, _)| *other == number.0) {
            found = inner.low.remove(place).is_some();
        }
        self.count(&inner);
        found
    }

    /// Ends the threads, once they have done what they have started. A closed channel informs those that wait.
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
mod tests;
