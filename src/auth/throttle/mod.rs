//! The limits on failed logins.
//!
//! A try is counted as in flight before its password is hashed, so that tries at once do not all slip under a limit. If those in
//! flight might use up what is left of a limit, the next one waits for its turn; only failures refuse it. Turns are given
//! in the order of arrival, by whichever thread ends a try.
//!
//! The limit per account is another matter: the right password from a known address gets past it. So it is applied to the
//! outcome, after as much work as ever: a client that shares a known address sees neither by answer nor by time that it is
//! known. A try that it refuses counts as failed, since it took a hash.

mod counters;
mod kept;
mod limits;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use parking_lot::Mutex;
use sha2::{Digest, Sha256};

use super::Error;
use crate::account::Username;
use crate::hashing::{self, Member};
use crate::store::{CounterKey, LimitKind};
use counters::{Counters, Keys, whole_seconds};

pub use counters::MAX_ENTRIES;
pub(super) use limits::BEFORE_HASHING;
pub use limits::{ClientNetwork, Limits};

/// Decides which tries to log in go on.
pub struct Throttle {
    /// Mixed into every key, so that nobody can choose names that collide.
    secret: [u8; 16],
    state: Mutex<State>,
}

struct State {
    counters: Counters,
    /// By number, so the first one came first.
    waiting: BTreeMap<u64, Waiting>,
    next_number: u64,
    /// Raised by [`Throttle::clear`], which tries that were in flight then must not undo.
    generation: u64,
    is_stopped: bool,
}

struct Waiting {
    subject: Subject,
    /// Dropped without an attempt, it has the try decided again.
    attempt: SyncSender<Attempt>,
}

/// What a try counts against: a username and a client.
#[derive(Clone, Copy)]
pub struct Subject {
    keys: Keys,
    client: IpAddr,
    generation: u64,
}

/// What becomes of a try that is not refused.
#[must_use]
pub enum Admission {
    /// It may go on.
    Granted(Attempt),
    /// Those in flight come first.
    Queued(Turn),
}

/// A try that waits for others in flight. Dropping it gives up.
pub struct Turn {
    throttle: Arc<Throttle>,
    number: u64,
    attempt: Receiver<Attempt>,
}

/// One try in flight. Dropped, it counts for nothing.
pub struct Attempt {
    throttle: Arc<Throttle>,
    subject: Subject,
}

impl Throttle {
    /// Starts with nothing counted. The secret is that of all counters that it goes on with.
    pub fn new(secret: [u8; 16], limits: Limits) -> Self {
        let state = Mutex::new(State {
            counters: Counters::new(limits),
            waiting: BTreeMap::new(),
            next_number: 0,
            generation: 0,
            is_stopped: false,
        });
        Self { secret, state }
    }

    /// What a try of this username from this client counts against.
    pub fn subject(&self, username: &Username, client: IpAddr) -> Subject {
        let name = self.key("name", &[username.as_str().to_ascii_lowercase().as_bytes()]);
        let address = ClientNetwork::from(client).0.to_string();
        // An address has no NUL in it.
        let pair = self.key("pair", &[address.as_bytes(), b"\0", &name]);
        let keys = [pair, self.key("address", &[address.as_bytes()]), name];
        Subject {
            keys,
            client,
            generation: self.state.lock().generation,
        }
    }

    /// Counts a try as in flight or queues it, unless failures alone reach one of the limits. `now` is an uptime.
    ///
    /// # Errors
    /// [`Error::Throttled`] with the time until all of the limits are open again; nothing is counted then. Once stopped,
    /// [`hashing::Error::Stopped`] for a try that would be queued.
    pub fn admit(self: &Arc<Self>, subject: Subject, now: Duration) -> Result<Admission, Error> {
        let keys = &subject.keys;
        let mut state = self.state.lock();
        if let Some(wait) = state.counters.throttled_for(keys, now) {
            return Err(throttled(wait));
        }
        if !state.counters.is_full(keys) {
            let attempt = self.start(&mut state.counters, subject);
            return Ok(Admission::Granted(attempt));
        }
        if state.is_stopped {
            return Err(hashing::Error::Stopped.into());
        }
        let (sender, attempt) = sync_channel(1);
        let number = state.next_number;
        state.next_number += 1;
        let waiting = Waiting {
            subject,
            attempt: sender,
        };
        state.waiting.insert(number, waiting);
        Ok(Admission::Queued(Turn {
            throttle: Arc::clone(self),
            number,
            attempt,
        }))
    }

    /// Starts again, with nothing counted and no address known. Tries in flight no longer count.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        state.counters.clear();
        state.generation += 1;
    }

    /// Forgets what was counted against a user, from this client and over all of them, before it was unlocked for the
    /// `unlocks`th time.
    pub fn unlock(&self, subject: &Subject, unlocks: i64) {
        self.state.lock().counters.unlock(&subject.keys, unlocks);
    }

    /// Logs the limits of these kinds that refuse a try, once in each window. Not the name: it may be nobody's, and a
    /// password typed into the wrong field.
    pub fn log_refusal(
        &self,
        kinds: &[LimitKind],
        subject: &Subject,
        user: Option<&str>,
        now: Duration,
    ) {
        for &kind in kinds {
            let mut state = self.state.lock();
            let refusal = state.counters.first_refusal(kind, &subject.keys, now);
            drop(state);
            if let Some(remaining) = refusal {
                let (client, seconds) = (subject.client, whole_seconds(remaining));
                tracing::warn!(limit = ?kind, %client, seconds, user, "failed logins are throttled");
            }
        }
    }

    /// Ends the wait of all who wait, now and later.
    pub fn stop(&self) {
        let mut state = self.state.lock();
        state.is_stopped = true;
        state.waiting.clear();
    }

    fn key(&self, kind: &str, parts: &[&[u8]]) -> CounterKey {
        let start = Sha256::new()
            .chain_update(self.secret)
            .chain_update(kind)
            .chain_update(b"\0");
        let digest = parts.iter().fold(start, Sha256::chain_update).finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        key
    }

    fn start(self: &Arc<Self>, counters: &mut Counters, subject: Subject) -> Attempt {
        counters.start(&subject.keys);
        Attempt {
            throttle: Arc::clone(self),
            subject,
        }
    }

    fn end(self: &Arc<Self>, keys: &Keys) {
        let mut state = self.state.lock();
        state.counters.end(keys);
        let turns = self.take_turns(&mut state, keys);
        // An attempt that nobody takes any more is dropped, and that takes the lock again.
        drop(state);
        for (turn, attempt) in turns {
            let _ = turn.send(attempt);
        }
    }

    /// The tries whose turn it is now that one counted under `keys` has ended. Those that failures refuse now are admitted
    /// once more instead, by callers who know what time it is.
    fn take_turns(
        self: &Arc<Self>,
        state: &mut State,
        keys: &Keys,
    ) -> Vec<(SyncSender<Attempt>, Attempt)> {
        let State {
            counters, waiting, ..
        } = state;
        let mut turns = Vec::new();
        waiting.retain(|_, waiting| {
            let waits_for = &waiting.subject.keys;
            if !waits_for.iter().any(|key| keys.contains(key)) {
                return true;
            }
            if counters.has_failed_out(waits_for) {
                return false;
            }
            if counters.is_full(waits_for) {
                return true;
            }
            let attempt = self.start(counters, waiting.subject);
            turns.push((waiting.attempt.clone(), attempt));
            false
        });
        turns
    }
}

impl Turn {
    /// Waits for no longer than `limit`. `None` when the try is to be admitted once more, as if it were a new one.
    ///
    /// # Errors
    /// [`hashing::Error::WaitTooLong`].
    pub fn wait(self, limit: Duration) -> Result<Option<Attempt>, Error> {
        match self.attempt.recv_timeout(limit) {
            Ok(attempt) => Ok(Some(attempt)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => Err(hashing::Error::WaitTooLong.into()),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.throttle.state.lock().waiting.remove(&self.number);
    }
}

impl Subject {
    /// The client's address.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// Names the username and the client's network.
    pub fn pair(&self) -> CounterKey {
        self.keys[LimitKind::User as usize]
    }
}

impl Attempt {
    /// Whose turns at hashing it takes: the username, within its network.
    pub fn member(&self) -> Member {
        Member(u128::from_be_bytes(self.subject.pair()))
    }

    /// What it counts against.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// The credentials of a try made at `now` were wrong, of a user that was unlocked `unlocks` times. Gives the answer to
    /// it, which is another one while the account is closed.
    pub fn fail(self, now: Duration, unlocks: i64) -> Error {
        let closed_for = self.throttle.state.lock().fail(&self, now, unlocks);
        closed_for.map_or(Error::BadCredentials { user_uuid: None }, throttled)
    }

    /// The credentials were right. Goes on unless the account is closed to this address, which then counts as a failure.
    ///
    /// # Errors
    /// [`Error::Throttled`].
    pub fn pass(self, now: Duration, unlocks: i64) -> Result<Self, Error> {
        let closed_for = self.throttle.state.lock().pass(&self, now, unlocks);
        closed_for.map_or(Ok(self), |wait| Err(throttled(wait)))
    }

    /// The login succeeded. Says whether there were failures before it.
    pub fn succeed(self) -> bool {
        let mut state = self.throttle.state.lock();
        self.subject.generation == state.generation && state.counters.succeed(&self.subject.keys)
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.throttle.end(&self.subject.keys);
    }
}

impl State {
    /// Counts a failure, and says how long the account is closed if it was before.
    fn fail(&mut self, attempt: &Attempt, now: Duration, unlocks: i64) -> Option<Duration> {
        if attempt.subject.generation != self.generation {
            return None;
        }
        let keys = &attempt.subject.keys;
        self.counters.unlock(keys, unlocks);
        let closed_for = self.counters.closed_for(keys, now);
        self.counters.fail(keys, now, unlocks);
        closed_for
    }

    fn pass(&mut self, attempt: &Attempt, now: Duration, unlocks: i64) -> Option<Duration> {
        let keys = &attempt.subject.keys;
        if self.counters.is_known(keys) {
            return None;
        }
        self.counters.unlock(keys, unlocks);
        self.counters.closed_for(keys, now)?;
        self.fail(attempt, now, unlocks)
    }
}

fn throttled(wait: Duration) -> Error {
    Error::Throttled {
        retry_after_seconds: whole_seconds(wait),
        user_uuid: None,
    }
}
