//! Decides which job is hashed next, and on which core.
//!
//! `turns` decides the order of the jobs of normal precedence; jobs of low precedence come after them. A thread takes
//! no more than its share of all jobs, so that two logins run on two cores before they share one. Never hashes and
//! never blocks a caller: callers wait in `pending`, hashing threads in [`WorkerSlot::next`].

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

use super::Error;
use super::job::{Job, Precedence};
use super::turns::Turns;

/// The waiting jobs, and how many jobs are running.
pub(super) struct Queue {
    inner: Mutex<QueueInner>,
    work_added: Condvar,
    /// How many jobs wait, to be read without the lock.
    waiting: AtomicUsize,
    /// Whether one of the waiting jobs may use a reserved lane.
    has_alone: AtomicBool,
    in_work: AtomicUsize,
}

#[derive(Default)]
struct QueueInner {
    normal: Turns,
    low: VecDeque<(u64, Job)>,
    next_number: u64,
    threads: usize,
    /// Whether jobs of normal precedence are dropped.
    refuses_normal: bool,
    /// Whether all jobs are dropped.
    stopped: bool,
}

/// Which jobs may use a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// All jobs.
    Shared,
    /// A job whose group has no other job, neither waiting nor running.
    Reserved,
}

/// Identifies a job in the queue.
#[derive(Clone, Copy)]
pub(super) struct JobId(u64);

impl Queue {
    /// A queue for `threads` hashing threads, each of which calls [`Queue::slot`] once.
    pub(super) fn new(threads: usize) -> Self {
        Self {
            inner: Mutex::new(QueueInner {
                threads,
                ..QueueInner::default()
            }),
            work_added: Condvar::new(),
            waiting: AtomicUsize::new(0),
            has_alone: AtomicBool::new(false),
            in_work: AtomicUsize::new(0),
        }
    }

    /// Adds a job. A job that the queue no longer takes is dropped, which closes its channel.
    pub(super) fn add(&self, job: Job) -> JobId {
        let mut inner = self.inner.lock();
        let number = inner.next_number;
        inner.next_number += 1;
        let is_refused = inner.refuses_normal && job.precedence == Precedence::Normal;
        if !(inner.stopped || is_refused) {
            match job.precedence {
                Precedence::Normal => inner.normal.add(number, job),
                Precedence::Low => inner.low.push_back((number, job)),
            }
            self.count(&inner);
            // Only idle threads wait for this; busy threads poll the queue between rounds.
            self.work_added.notify_one();
        }
        JobId(number)
    }

    /// Removes a waiting job; false when it has already started.
    pub(super) fn withdraw(&self, number: JobId) -> bool {
        let mut inner = self.inner.lock();
        let mut found = inner.normal.withdraw(number.0);
        if let Some(place) = inner.low.iter().position(|(other, _)| *other == number.0) {
            found = inner.low.remove(place).is_some();
        }
        self.count(&inner);
        found
    }

    /// Ends the threads once they have finished their started jobs. The callers of waiting jobs find their channels
    /// closed.
    pub(super) fn stop(&self) {
        let mut inner = self.inner.lock();
        inner.stop();
        self.count(&inner);
        self.work_added.notify_all();
    }

    /// Drops the waiting jobs of normal precedence, and all that are added later; their callers find their channels
    /// closed.
    pub(super) fn give_up_waiting(&self) {
        let mut inner = self.inner.lock();
        inner.refuses_normal = true;
        inner.normal = Turns::default();
        self.count(&inner);
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    pub(super) fn in_work(&self) -> usize {
        self.in_work.load(Ordering::Relaxed)
    }

    /// The access of one hashing thread.
    pub(super) fn slot(&self) -> WorkerSlot<'_> {
        WorkerSlot {
            queue: self,
            in_work: 0,
            low_in_work: 0,
        }
    }

    fn count(&self, inner: &QueueInner) {
        let waiting = inner.normal.len() + inner.low.len();
        self.waiting.store(waiting, Ordering::Relaxed);
        self.has_alone
            .store(inner.normal.has_alone(), Ordering::Relaxed);
    }
}

impl QueueInner {
    fn stop(&mut self) {
        self.stopped = true;
        self.normal = Turns::default();
        self.low.clear();
    }
}

/// One hashing thread's access to the queue.
pub(super) struct WorkerSlot<'a> {
    queue: &'a Queue,
    in_work: usize,
    low_in_work: usize,
}

impl WorkerSlot<'_> {
    /// The next job for a lane of this thread. An idle thread waits for a job, and gets `None` only when the engine
    /// stops.
    pub(super) fn next(&mut self, lane: Lane) -> Option<Job> {
        let has_any = match lane {
            Lane::Shared => self.queue.waiting() > 0,
            Lane::Reserved => self.queue.has_alone.load(Ordering::Relaxed),
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

    /// Reports a job as finished.
    pub(super) fn done(&mut self, precedence: Precedence) {
        self.in_work -= 1;
        self.low_in_work -= usize::from(precedence == Precedence::Low);
        self.queue.in_work.fetch_sub(1, Ordering::Relaxed);
    }

    fn take(&self, inner: &mut QueueInner, lane: Lane) -> Option<Job> {
        let now = Instant::now();
        loop {
            let is_low = inner.normal.len() == 0;
            if is_low && (self.low_in_work > 0 || lane == Lane::Reserved) {
                return None;
            }
            let waiting = if is_low {
                inner.low.len()
            } else {
                inner.normal.len()
            };
            let all = self.queue.in_work() + waiting;
            // While a job waits, at least one thread is below its share, so no job is left waiting for ever.
            if self.in_work >= all.div_ceil(inner.threads.max(1)) {
                return None;
            }
            let job = match lane {
                Lane::Reserved => inner.normal.next_alone(),
                Lane::Shared if is_low => inner.low.pop_front().map(|(_, job)| job),
                Lane::Shared => inner.normal.next(),
            }?;
            if job.start_before.is_none_or(|limit| now <= limit) {
                return Some(job);
            }
            // The receiver is gone if the caller has given up.
            let _ = job.done.send(Err(Error::WaitTooLong));
        }
    }
}

impl Drop for WorkerSlot<'_> {
    /// The share of a thread that panics goes to the others. With the last thread the queue stops, so that no caller
    /// waits.
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
