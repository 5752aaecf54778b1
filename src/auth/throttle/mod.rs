//! The limits on failed logins.
//!
//! A try is counted as in flight before its password is hashed, so that tries at once do not all slip under a limit. If those in
//! flight might use up what is left of a limit, the next one waits for its turn; only failures refuse it. Turns are given
//! in the order of arrival, by the thread that ends a try; where servers count in a database, in no order.
//!
//! The limit per account is another matter: the right password from a known address gets past it. So it is applied to the
//! outcome, after as much work as ever: a client that shares a known address sees neither by answer nor by time that it is
//! known. A try that it refuses counts as failed, since it took a hash.
//!
//! A server that is alone with its database counts in memory; servers that share one count in it.

mod counters;
mod ending;
mod in_database;
mod in_memory;
mod kept;
mod limits;
mod lines;
mod queue;
mod refusing;
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
use in_database::{InDatabase, LOOKS_EVERY};
use in_memory::InMemory;

pub use counters::MAX_ENTRIES;
pub(super) use kept::about;
pub(super) use limits::BEFORE_HASHING;
pub use limits::{ClientNetwork, Limits};

/// Decides which tries to log in go on.
pub struct Throttle {
    /// Mixed into every key, so that nobody can choose names that collide.
    secret: [u8; 16],
    counting: Counting,
}

/// Where the counters are.
enum Counting {
    InMemory(Box<InMemory>),
    InDatabase(Box<InDatabase>),
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
    /// Whom its username means.
    user_uuid: Option<String>,
    /// Where the database counts it as in flight.
    reserved: Option<AttemptId>,
}

impl Throttle {
    /// Starts with nothing counted, in memory. The secret is that of all counters that it goes on with.
    pub fn new(secret: [u8; 16], limits: Limits) -> Self {
        let counting = Counting::InMemory(Box::new(InMemory::new(limits)));
        Self { secret, counting }
    }

    /// Goes on with what has been counted in a database. The secret is the database's. No try waits for its hashing longer
    /// than `max_wait`.
    ///
    /// # Errors
    /// When the operating system gives no thread.
    pub fn in_database(
        secret: [u8; 16],
        limits: Limits,
        store: Arc<Store>,
        max_wait: Duration,
    ) -> io::Result<Self> {
        let database = InDatabase::start(store, limits, max_wait)?;
        let counting = Counting::InDatabase(Box::new(database));
        Ok(Self { secret, counting })
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
            generation: match &self.counting {
                Counting::InMemory(memory) => memory.generation(),
                Counting::InDatabase(_) => 0,
            },
        }
    }

    /// Admits a try whose admission waits for nothing. `None` where the database is to decide, which may take a while, unless
    /// this server knows that it is refused.
    ///
    /// # Errors
    /// Those of [`Throttle::admit`].
    pub fn admit_at_once(
        self: &Arc<Self>,
        subject: Subject,
        now: Duration,
    ) -> Result<Option<Admission>, Error> {
        match &self.counting {
            Counting::InMemory(memory) => memory.admit(self, subject, now).map(Some),
            Counting::InDatabase(database) => database.refuse_again(&subject, now).map(|()| None),
        }
    }

    /// Counts a try as in flight or queues it, unless failures alone reach one of the limits. `now` is an uptime.
    ///
    /// # Errors
    /// [`Error::Throttled`] with the time until all of the limits are open again; nothing is counted then. Once stopped,
    /// [`hashing::Error::Stopped`] for a try that would be queued. [`Error::Store`].
    pub fn admit(self: &Arc<Self>, subject: Subject, now: Duration) -> Result<Admission, Error> {
        match &self.counting {
            Counting::InMemory(memory) => memory.admit(self, subject, now),
            Counting::InDatabase(database) => database.admit(self, subject, now),
        }
    }

    /// Starts again, with nothing counted and no address known. Tries in flight no longer count.
    pub fn clear(&self) {
        match &self.counting {
            Counting::InMemory(memory) => memory.clear(),
            Counting::InDatabase(database) => database.clear(),
        }
    }

    /// Forgets what was counted against a user, from this client and over all of them, before it was unlocked for the
    /// `unlocks`th time. Says whether that was anything.
    pub fn unlock(&self, subject: &Subject, unlocks: i64) -> bool {
        match &self.counting {
            Counting::InMemory(memory) => memory.unlock(subject, unlocks),
            Counting::InDatabase(database) => database.unlock(subject, unlocks),
        }
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
            let refusal = match &self.counting {
                Counting::InMemory(memory) => memory.first_refusal(kind, subject, now),
                Counting::InDatabase(database) => database.first_refusal(kind, subject, now),
            };
            if let Some(remaining) = refusal {
                let (client, seconds) = (subject.client, whole_seconds(remaining));
                tracing::warn!(limit = ?kind, %client, seconds, user, "failed logins are throttled");
            }
        }
    }

    /// Ends the wait of all who wait, now and later.
    pub fn stop(&self) {
        match &self.counting {
            Counting::InMemory(memory) => memory.state.lock().queue.stop(),
            Counting::InDatabase(database) => database.stop(),
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

impl Turn {
    /// Waits for no longer than `limit`. `None` when the try is to be admitted once more, as if it were a new one.
    ///
    /// # Errors
    /// [`hashing::Error::WaitTooLong`].
    pub fn wait(self, limit: Duration) -> Result<Option<Attempt>, Error> {
        let patience = match self.throttle.counting {
            Counting::InMemory(_) => limit,
            Counting::InDatabase(_) => limit.min(LOOKS_EVERY),
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

impl Drop for Turn {
    fn drop(&mut self) {
        match &self.throttle.counting {
            Counting::InMemory(memory) => {
                memory.state.lock().queue.waiting.remove(&self.number);
            }
            Counting::InDatabase(database) => database.leave_queue(self.number),
        }
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

    /// Whether the end of a try of the other one may be what this one waits for.
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

    /// Whose turns at hashing it takes: the username, within its network.
    pub fn member(&self) -> Member {
        Member(u128::from_be_bytes(self.subject.pair()))
    }

    /// What it counts against.
    pub fn subject(&self) -> Subject {
        self.subject
    }

    /// Where the database counts it as in flight.
    pub fn reserved(&self) -> Option<AttemptId> {
        self.reserved
    }

    /// Notes whom its username means.
    pub fn by(mut self, identity: Option<&Identity>) -> Self {
        self.user_uuid = identity.map(|identity| identity.user_uuid.clone());
        self
    }

    /// The credentials of a try made at `now` were wrong, of a user that was unlocked `unlocks` times. Gives the answer to
    /// it, which is another one while the account is closed.
    pub fn fail(mut self, now: Duration, unlocks: i64) -> Error {
        let throttle = Arc::clone(&self.throttle);
        let closed_for = match &throttle.counting {
            Counting::InMemory(memory) => Ok(memory.fail(&self.subject, now, unlocks)),
            Counting::InDatabase(database) => database.fail(&mut self, now, unlocks),
        };
        match closed_for {
            Ok(closed_for) => {
                closed_for.map_or(Error::BadCredentials { user_uuid: None }, throttled)
            }
            Err(error) => error,
        }
    }

    /// The credentials were right. Goes on unless the account is closed to this address, which then counts as a failure.
    ///
    /// # Errors
    /// [`Error::Throttled`]. [`Error::Store`].
    pub fn pass(mut self, now: Duration, unlocks: i64) -> Result<Self, Error> {
        let throttle = Arc::clone(&self.throttle);
        let closed_for = match &throttle.counting {
            Counting::InMemory(memory) => memory.pass(&self.subject, now, unlocks),
            Counting::InDatabase(database) => database.pass(&mut self, now, unlocks)?,
        };
        closed_for.map_or(Ok(self), |wait| Err(throttled(wait)))
    }

    /// The login succeeded, and the database counts it as in flight no longer. Says whether there were failures before it that the database may still have.
    pub fn succeed(mut self) -> bool {
        match &self.throttle.counting {
            Counting::InMemory(memory) => memory.succeed(&self.subject),
            Counting::InDatabase(database) => {
                database.succeed(&self.subject);
                self.reserved = None;
                false
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        match &self.throttle.counting {
            Counting::InMemory(memory) => memory.end(&self.throttle, &self.subject),
            Counting::InDatabase(database) => {
                if let Some(reserved) = self.reserved {
                    database.end(&self.subject, reserved);
                }
            }
        }
    }
}

fn throttled(wait: Duration) -> Error {
    Error::Throttled {
        retry_after_seconds: whole_seconds(wait),
        user_uuid: None,
    }
}
