//! The limits on failed logins.
//!
//! An attempt is counted as in progress before its password is hashed, so that concurrent attempts cannot exceed a
//! limit together. If the attempts in progress could use up the rest of a limit, the next attempt is queued until one
//! of them has ended; only failures refuse an attempt. Queued attempts go on in the order of arrival, or in no order if
//! the counters are in a database.
//!
//! The limit per account is different: the right password from a known address is exempt from it. So it is applied to
//! the result, after the usual work, so a client cannot find out from the answer or its time that its address is known
//! to the account. An attempt that this limit refuses counts as failed, since it took a hash.
//!
//! A server that is alone with its database counts in memory; servers that share a database count in it.

mod address_locks;
mod counters;
mod in_database;
mod in_memory;
mod limits;
mod login_counts;
mod persistence;
mod queue;
mod refusals;
mod release;
#[cfg(test)]
mod tests;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Error;
use crate::account::Username;
use crate::hashing::{self, Member};
use crate::store::{AttemptId, CounterKey, Identity, LimitKind, Store};
use counters::{Keys, whole_seconds};
use in_database::{InDatabase, POLL_INTERVAL};
use in_memory::InMemory;

pub use counters::MAX_ENTRIES;
pub(super) use limits::BEFORE_HASHING;
pub use limits::{ClientNetwork, FailedLoginLimits};
pub(super) use persistence::about;

/// Decides which login attempts are admitted.
pub struct Throttle {
    /// Mixed into every key, so that clients cannot choose usernames that collide.
    secret: [u8; 16],
    counters: Backend,
}

/// Where the counters are kept.
enum Backend {
    InMemory(Box<InMemory>),
    InDatabase(Box<InDatabase>),
}

/// The username and client of an attempt, as keys of counters.
#[derive(Clone, Copy)]
pub struct Subject {
    keys: Keys,
    client: IpAddr,
    generation: u64,
}

/// The decision about an attempt that is not refused.
#[must_use]
pub enum Admission {
    /// The attempt may go on.
    Granted(Attempt),
    /// The attempt has to wait for attempts in progress.
    Queued(QueuedAttempt),
}

/// An attempt that waits for attempts in progress. Dropping it removes it from the queue.
pub struct QueuedAttempt {
    throttle: Arc<Throttle>,
    number: u64,
    attempt: Receiver<Attempt>,
}

/// An attempt in progress. Dropping it ends the attempt without counting a failure.
pub struct Attempt {
    throttle: Arc<Throttle>,
    subject: Subject,
    /// The user, if the username is known.
    user_uuid: Option<String>,
    /// Its reservation in the database, if the counters are kept there.
    reserved: Option<AttemptId>,
}

impl Throttle {
    /// An empty throttle in memory. To restore stored counters, `secret` has to be the one that they were stored with.
    pub fn new(secret: [u8; 16], limits: FailedLoginLimits) -> Self {
        let counters = Backend::InMemory(Box::new(InMemory::new(limits)));
        Self { secret, counters }
    }

    /// A throttle with the counters of a database. `secret` is the database's secret, `max_wait` the longest time that
    /// an attempt waits for its hashing.
    ///
    /// # Errors
    /// The operating system could not start a thread.
    pub fn in_database(
        secret: [u8; 16],
        limits: FailedLoginLimits,
        store: Arc<Store>,
        max_wait: Duration,
    ) -> io::Result<Self> {
        let database = InDatabase::start(store, limits, max_wait)?;
        let counters = Backend::InDatabase(Box::new(database));
        Ok(Self { secret, counters })
    }

    /// The keys of an attempt with this username from this client.
    pub fn subject(&self, username: &Username, client: IpAddr) -> Subject {
        let name = self.key("name", &[username.key().as_bytes()]);
        let address = ClientNetwork::from(client).0.to_string();
        // An address contains no NUL, so no two pairs have the same bytes.
        let pair = self.key("pair", &[address.as_bytes(), b"\0", &name]);
        let keys = [pair, self.key("address", &[address.as_bytes()]), name];
        Subject {
            keys,
            client,
            generation: match &self.counters {
                Backend::InMemory(memory) => memory.generation(),
                Backend::InDatabase(_) => 0,
            },
        }
    }

    /// Decides about an attempt without waiting for other processes. `None` if the database has to decide, which may
    /// take a while; an attempt that this server has refused before is refused at once, unless the counters have
    /// changed.
    ///
    /// # Errors
    /// See [`Throttle::admit`].
    pub fn admit_at_once(
        self: &Arc<Self>,
        subject: Subject,
        now: Duration,
    ) -> Result<Option<Admission>, Error> {
        match &self.counters {
            Backend::InMemory(memory) => memory.admit(self, subject, now).map(Some),
            Backend::InDatabase(database) => database.refuse_again(&subject, now).map(|()| None),
        }
    }

    /// Counts an attempt as in progress or queues it, unless failures alone reach a limit. `now` is an uptime.
    ///
    /// # Errors
    /// [`Error::Throttled`] with the time until none of the limits refuses attempts; nothing is counted then. After
    /// [`Throttle::stop`], [`hashing::Error::Stopped`] for an attempt that would be queued. [`Error::Store`].
    pub fn admit(self: &Arc<Self>, subject: Subject, now: Duration) -> Result<Admission, Error> {
        match &self.counters {
            Backend::InMemory(memory) => memory.admit(self, subject, now),
            Backend::InDatabase(database) => database.admit(self, subject, now),
        }
    }

    /// Removes all counters and known addresses. Attempts in progress no longer count.
    pub fn clear(&self) {
        match &self.counters {
            Backend::InMemory(memory) => memory.clear(),
            Backend::InDatabase(database) => database.clear(),
        }
    }

    /// Removes what was counted against a user, from this client and from all clients, before the user was unlocked for
    /// the `unlocks`th time. Returns whether there was anything to remove.
    pub fn unlock(&self, subject: &Subject, unlocks: i64) -> bool {
        match &self.counters {
            Backend::InMemory(memory) => memory.unlock(subject, unlocks),
            Backend::InDatabase(database) => database.unlock(subject, unlocks),
        }
    }

    /// Logs the limits of these kinds that refuse an attempt, once in each window. The username is not logged, since an
    /// unknown username may be a password typed into the wrong field.
    pub fn log_refusal(
        &self,
        kinds: &[LimitKind],
        subject: &Subject,
        user: Option<&str>,
        now: Duration,
    ) {
        for &kind in kinds {
            let refusal = match &self.counters {
                Backend::InMemory(memory) => memory.first_refusal(kind, subject, now),
                Backend::InDatabase(database) => database.first_refusal(kind, subject, now),
            };
            if let Some(remaining) = refusal {
                let (client, seconds) = (subject.client, whole_seconds(remaining));
                tracing::warn!(limit = %logged_name(kind), %client, seconds, user, "failed logins are throttled");
            }
        }
    }

    /// Ends all waits. Later attempts do not wait.
    pub fn stop(&self) {
        match &self.counters {
            Backend::InMemory(memory) => memory.state.lock().queue.stop(),
            Backend::InDatabase(database) => database.stop(),
        }
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
}

impl QueuedAttempt {
    /// Waits for `limit` at most. `None` when the attempt has to be admitted again, like a new one.
    ///
    /// # Errors
    /// [`hashing::Error::WaitTooLong`].
    pub fn wait(self, limit: Duration) -> Result<Option<Attempt>, Error> {
        let patience = match self.throttle.counters {
            Backend::InMemory(_) => limit,
            Backend::InDatabase(_) => limit.min(POLL_INTERVAL),
        };
        match self.attempt.recv_timeout(patience) {
            Ok(attempt) => Ok(Some(attempt)),
            Err(RecvTimeoutError::Timeout) if patience == limit => {
                Err(hashing::Error::WaitTooLong.into())
            }
            Err(_) => Ok(None),
        }
    }
}

impl Drop for QueuedAttempt {
    fn drop(&mut self) {
        match &self.throttle.counters {
            Backend::InMemory(memory) => {
                memory.state.lock().queue.waiting.remove(&self.number);
            }
            Backend::InDatabase(database) => database.leave_queue(self.number),
        }
    }
}

impl Subject {
    /// The address of the client.
    pub fn client(&self) -> IpAddr {
        self.client
    }

    /// The key of the username together with the client's network.
    pub fn pair(&self) -> CounterKey {
        self.keys[LimitKind::Pair as usize]
    }

    /// Whether this attempt may be waiting for the end of an attempt of the other subject.
    fn may_wait_for(&self, other: &Self) -> bool {
        self.keys.iter().any(|key| other.keys.contains(key))
    }
}

impl Attempt {
    fn new(throttle: &Arc<Throttle>, subject: Subject) -> Self {
        Self {
            throttle: Arc::clone(throttle),
            subject,
            user_uuid: None,
            reserved: None,
        }
    }

    /// The member of the hashing queue on whose behalf it is hashed: this username in this client network.
    pub fn member(&self) -> Member {
        Member(u128::from_be_bytes(self.subject.pair()))
    }

    /// The username and client that it counts against.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// Its reservation in the database, if the counters are kept there.
    pub fn reserved(&self) -> Option<AttemptId> {
        self.reserved
    }

    /// Sets the user, if the username is known.
    pub fn with_user(mut self, identity: Option<&Identity>) -> Self {
        self.user_uuid = identity.map(|identity| identity.user_uuid.clone());
        self
    }

    /// Counts a failure at `now`, of a user who had been unlocked `unlocks` times. Returns the error to answer, which
    /// depends on whether the account is closed.
    pub fn fail(mut self, now: Duration, unlocks: i64) -> Error {
        let throttle = Arc::clone(&self.throttle);
        let closed_for = match &throttle.counters {
            Backend::InMemory(memory) => Ok(memory.fail(&self.subject, now, unlocks)),
            Backend::InDatabase(database) => database.fail(&mut self, now, unlocks),
        };
        match closed_for {
            Ok(closed_for) => {
                closed_for.map_or(Error::BadCredentials { user_uuid: None }, throttled)
            }
            Err(error) => error,
        }
    }

    /// Applies the limit per account after the right password. A refusal counts as a failure.
    ///
    /// # Errors
    /// [`Error::Throttled`]. [`Error::Store`].
    pub fn pass(mut self, now: Duration, unlocks: i64) -> Result<Self, Error> {
        let throttle = Arc::clone(&self.throttle);
        let closed_for = match &throttle.counters {
            Backend::InMemory(memory) => memory.pass(&self.subject, now, unlocks),
            Backend::InDatabase(database) => database.pass(&mut self, now, unlocks)?,
        };
        closed_for.map_or(Ok(self), |wait| Err(throttled(wait)))
    }

    /// Ends the attempt as succeeded; its reservation has already been removed from the database. Returns whether it
    /// removed failures in memory which the database may still have.
    pub fn succeed(mut self) -> bool {
        match &self.throttle.counters {
            Backend::InMemory(memory) => memory.succeed(&self.subject),
            Backend::InDatabase(database) => {
                database.succeed(&self.subject);
                self.reserved = None;
                false
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        match &self.throttle.counters {
            Backend::InMemory(memory) => memory.end(&self.throttle, &self.subject),
            Backend::InDatabase(database) => {
                if let Some(reserved) = self.reserved {
                    database.end(&self.subject, reserved);
                }
            }
        }
    }
}

/// The name of a kind in the log.
fn logged_name(kind: LimitKind) -> &'static str {
    match kind {
        LimitKind::Pair => "User",
        LimitKind::Address => "Address",
        LimitKind::Username => "Account",
    }
}

fn throttled(wait: Duration) -> Error {
    Error::Throttled {
        retry_after_seconds: whole_seconds(wait),
        user_uuid: None,
    }
}
