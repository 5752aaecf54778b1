//! The counters of a server that is alone with its database: in memory.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use parking_lot::Mutex;

use super::counters::Counters;
use super::queue::Queue;
use super::{Admission, Attempt, Limits, Subject, Throttle, Turn, throttled};
use crate::auth::Error;
use crate::store::LimitKind;

pub(super) struct InMemory {
    pub(super) state: Mutex<State>,
}

pub(super) struct State {
    pub(super) counters: Counters,
    pub(super) queue: Queue,
    /// Raised by [`InMemory::clear`], which tries that were in flight then must not undo.
    pub(super) generation: u64,
}

impl InMemory {
    pub(super) fn new(limits: Limits) -> Self {
        let state = State {
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
        Ok(Admission::Queued(Turn {
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

    /// Counts a failure, and says how long the account is closed if it was before.
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

    /// A try is in flight no longer.
    pub(super) fn end(&self, throttle: &Arc<Throttle>, subject: &Subject) {
        let mut state = self.state.lock();
        state.counters.end(&subject.keys);
        let turns = state.take_turns(throttle, subject);
        // An attempt that nobody takes any more is dropped, and that takes the lock again.
        drop(state);
        for (turn, attempt) in turns {
            let _ = turn.send(attempt);
        }
    }
}

impl State {
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

    /// The tries whose turn it is now that one of a subject has ended. Those that failures refuse now are admitted once more
    /// instead, by callers who know what time it is.
    fn take_turns(
        &mut self,
        throttle: &Arc<Throttle>,
        subject: &Subject,
    ) -> Vec<(SyncSender<Attempt>, Attempt)> {
        let Self {
            counters, queue, ..
        } = self;
        let mut turns = Vec::new();
        queue.waiting.retain(|_, waiting| {
            let waits_for = &waiting.subject.keys;
            if !waiting.subject.may_wait_for(subject) {
                return true;
            }
            if counters.has_failed_out(waits_for) {
                return false;
            }
            if counters.is_full(waits_for) {
                return true;
            }
            counters.start(waits_for);
            let attempt = Attempt::new(throttle, waiting.subject);
            turns.push((waiting.attempt.clone(), attempt));
            false
        });
        turns
    }
}
