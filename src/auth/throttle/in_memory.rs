//! Counters in memory, for a server that is alone with its database.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use parking_lot::Mutex;

use super::counters::Counters;
use super::queue::Queue;
use super::{Admission, Attempt, FailedLoginLimits, QueuedAttempt, Subject, Throttle, throttled};
use crate::auth::Error;
use crate::store::LimitKind;

pub(super) struct InMemory {
    pub(super) state: Mutex<MemoryState>,
}

pub(super) struct MemoryState {
    pub(super) counters: Counters,
    pub(super) queue: Queue,
    /// Incremented by [`InMemory::clear`], so that attempts that were in progress before it are not counted afterwards.
    pub(super) generation: u64,
}

impl InMemory {
    pub(super) fn new(limits: FailedLoginLimits) -> Self {
        let state = MemoryState {
            counters: Counters::new(limits),
            queue: Queue::default(),
            generation: 0,
        };
        Self {
            state: Mutex::new(state),
        }
    }

    pub(super) fn generation(&self) -> u64 {
        self.state.lock().generation
    }

    pub(super) fn admit(
        &self,
        throttle: &Arc<Throttle>,
        subject: Subject,
        now: Duration,
    ) -> Result<Admission, Error> {
        let keys = &subject.keys;
        let mut state = self.state.lock();
        if let Some(wait) = state.counters.throttled_for(keys, now) {
            return Err(throttled(wait));
        }
        if !state.counters.is_full(keys) {
            state.counters.start(keys);
            return Ok(Admission::Granted(Attempt::new(throttle, subject)));
        }
        let (number, attempt) = state.queue.add(subject)?;
        Ok(Admission::Queued(QueuedAttempt {
            throttle: Arc::clone(throttle),
            number,
            attempt,
        }))
    }

    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        state.counters.clear();
        state.generation += 1;
    }

    pub(super) fn unlock(&self, subject: &Subject, unlocks: i64) -> bool {
        self.state.lock().counters.unlock(&subject.keys, unlocks)
    }

    pub(super) fn first_refusal(
        &self,
        kind: LimitKind,
        subject: &Subject,
        now: Duration,
    ) -> Option<Duration> {
        let mut state = self.state.lock();
        state.counters.first_refusal(kind, &subject.keys, now)
    }

    /// Counts a failure. Returns for how long the account is closed, if it was closed before.
    pub(super) fn fail(&self, subject: &Subject, now: Duration, unlocks: i64) -> Option<Duration> {
        self.state.lock().fail(subject, now, unlocks)
    }

    pub(super) fn pass(&self, subject: &Subject, now: Duration, unlocks: i64) -> Option<Duration> {
        let mut state = self.state.lock();
        let keys = &subject.keys;
        if state.counters.is_known(keys) {
            return None;
        }
        state.counters.unlock(keys, unlocks);
        state.counters.closed_for(keys, now)?;
        state.fail(subject, now, unlocks)
    }

    pub(super) fn succeed(&self, subject: &Subject) -> bool {
        let mut state = self.state.lock();
        subject.generation == state.generation && state.counters.succeed(&subject.keys)
    }

    /// Counts an attempt as no longer in progress, and lets queued attempts go on.
    pub(super) fn end(&self, throttle: &Arc<Throttle>, subject: &Subject) {
        let mut state = self.state.lock();
        state.counters.end(&subject.keys);
        let granted = state.grant_queued(throttle, subject);
        // If the receiver is gone the attempt is dropped, which takes the lock again.
        drop(state);
        for (sender, attempt) in granted {
            let _ = sender.send(attempt);
        }
    }
}

impl MemoryState {
    fn fail(&mut self, subject: &Subject, now: Duration, unlocks: i64) -> Option<Duration> {
        if subject.generation != self.generation {
            return None;
        }
        let keys = &subject.keys;
        self.counters.unlock(keys, unlocks);
        let closed_for = self.counters.closed_for(keys, now);
        self.counters.fail(keys, now, unlocks);
        closed_for
    }

    /// Removes and returns the queued attempts that may go on now that an attempt of this subject has ended. Attempts
    /// that failures refuse now are removed as well: their callers, who know the time, admit them again.
    fn grant_queued(
        &mut self,
        throttle: &Arc<Throttle>,
        subject: &Subject,
    ) -> Vec<(SyncSender<Attempt>, Attempt)> {
        let Self {
            counters, queue, ..
        } = self;
        let mut granted = Vec::new();
        queue.waiting.retain(|_, waiting| {
            let keys = &waiting.subject.keys;
            if !waiting.subject.may_wait_for(subject) {
                return true;
            }
            if counters.is_refused_by_failures(keys) {
                return false;
            }
            if counters.is_full(keys) {
                return true;
            }
            counters.start(keys);
            let attempt = Attempt::new(throttle, waiting.subject);
            granted.push((waiting.attempt.clone(), attempt));
            false
        });
        granted
    }
}
