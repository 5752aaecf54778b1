//! The limits on failed logins.
//!
//! Every try is counted before its password is hashed: tries in flight at once must not all slip under a limit. A try that
//! turns out not to be a failure is given back.
//!
//! Memory is bounded: each kind of counter keeps at most [`MAX_ENTRIES`], and the least recently touched gives way. A counter
//! that gives way starts at zero when it is needed again. To push one out within a window, an attacker must make that many
//! other counted tries of the same kind, each of which costs a whole bcrypt hash and, past a hundred, another address;
//! a refused try counts nothing and pushes nothing out. An account under attack is touched by every try, so its counter is
//! the last to go.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use lru::LruCache;
use sha2::{Digest, Sha256};

use super::Error;
use crate::account::Username;

/// Counters of one kind, some 100 bytes each.
const MAX_ENTRIES: usize = 1 << 16;

/// How many failed logins are too many.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The length of the window, which begins with its first failure.
    pub window: Duration,
    /// Failures of one username from one client address; 0 is no limit.
    pub per_user: u32,
    /// Failures from one client address; 0 is no limit.
    pub per_address: u32,
    /// Failures of one username from all addresses; 0 is no limit. An address that has logged in to the account since the
    /// server started is let through, so that a stranger's failures do not lock its owner out.
    pub per_account: u32,
}

impl Limits {
    /// What guards real accounts unless the operator says otherwise.
    pub const DEFAULT: Limits = Limits {
        window: Duration::from_secs(15 * 60),
        per_user: 10,
        per_address: 100,
        per_account: 100,
    };
    /// Nothing is counted.
    pub const NONE: Limits = Limits {
        per_user: 0,
        per_address: 0,
        per_account: 0,
        ..Limits::DEFAULT
    };
}

/// A client as the limits see it: an IPv4 address, or the /64 that one IPv6 customer has at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientNetwork(IpAddr);

impl From<IpAddr> for ClientNetwork {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        })
    }
}

/// The counters of failed logins.
pub struct Throttle {
    limits: Limits,
    /// Mixed into every key, so that nobody can choose names that collide.
    secret: [u8; 16],
    counters: Mutex<Counters>,
}

struct Counters {
    kinds: [LruCache<Key, Window>; 3],
    /// Username and address of logins that succeeded.
    known: LruCache<Key, ()>,
    windows_begun: u64,
}

/// A digest: names have up to a thousand bytes, and a counter needs none of them.
type Key = [u8; 16];

#[derive(Clone, Copy)]
struct Window {
    /// Tells it from an earlier one of the same key.
    number: u64,
    start: Timestamp,
    tries: u32,
    /// Whether the log has been told that this one is closed.
    is_told: bool,
}

/// What a counter counts, in the order of [`Counters::kinds`].
#[derive(Clone, Copy, Debug)]
enum Kind {
    User,
    Address,
    Account,
}

/// One try that has been counted. Dropping it gives it back; a failure is kept with [`Attempt::fail`].
pub struct Attempt {
    throttle: Arc<Throttle>,
    keys: [Key; 3],
    /// The number of the window that each counter was in; `None` where there is no limit.
    windows: [Option<u64>; 3],
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    NoFailure,
    Failed,
    Succeeded,
}

impl Throttle {
    /// Begins with nothing counted.
    ///
    /// # Errors
    /// When the operating system has no random bytes.
    pub fn new(limits: Limits) -> Result<Self, getrandom::Error> {
        let mut secret = [0; 16];
        getrandom::fill(&mut secret)?;
        let counters = Mutex::new(Counters {
            kinds: Kind::ALL.map(|_| LruCache::unbounded()),
            known: LruCache::unbounded(),
            windows_begun: 0,
        });
        Ok(Self {
            limits,
            secret,
            counters,
        })
    }

    /// Counts a try, unless one of the limits is reached.
    ///
    /// # Errors
    /// [`Error::Throttled`] with the time until all of the limits are open again; nothing is counted then.
    pub fn admit(
        self: &Arc<Self>,
        username: &Username,
        client: IpAddr,
        now: Timestamp,
    ) -> Result<Attempt, Error> {
        let keys = self.keys(username, client.into());
        let mut counters = self.lock();
        let wait = Kind::ALL
            .into_iter()
            .filter_map(|kind| self.wait(&mut counters, kind, &keys, client, now))
            .max();
        if let Some(wait) = wait {
            return Err(Error::Throttled {
                retry_after_seconds: whole_seconds(wait),
            });
        }
        let windows = Kind::ALL.map(|kind| self.count(&mut counters, kind, &keys, now));
        Ok(Attempt {
            throttle: Arc::clone(self),
            keys,
            windows,
            outcome: Outcome::NoFailure,
        })
    }

    /// Begins anew, with nothing counted and no address known.
    pub fn clear(&self) {
        let mut counters = self.lock();
        counters.kinds.iter_mut().for_each(LruCache::clear);
        counters.known.clear();
    }

    /// Drops what was counted against a user until `moment`, from this client and over all of them. What was counted
    /// against the client's address stays: that is about an address, not about a user.
    pub fn forget(&self, username: &Username, client: IpAddr, moment: Timestamp) {
        let keys = self.keys(username, client.into());
        let mut counters = self.lock();
        for kind in [Kind::User, Kind::Account] {
            let windows = &mut counters.kinds[kind as usize];
            let key = &keys[kind as usize];
            if windows
                .peek(key)
                .is_some_and(|window| window.start <= moment)
            {
                windows.pop(key);
            }
        }
    }

    fn keys(&self, username: &Username, client: ClientNetwork) -> [Key; 3] {
        let name = username.as_str().to_ascii_lowercase();
        let address = client.0.to_string();
        // An address has no NUL in it, and a username neither.
        [format!("{address}\0{name}"), address, name].map(|text| self.key(&text))
    }

    fn key(&self, text: &str) -> Key {
        let digest = Sha256::new()
            .chain_update(self.secret)
            .chain_update(text)
            .finalize();
        let mut key = [0; 16];
        key.copy_from_slice(&digest[..16]);
        key
    }

    /// How long this limit refuses the try, if it does.
    fn wait(
        &self,
        counters: &mut Counters,
        kind: Kind,
        keys: &[Key; 3],
        client: IpAddr,
        now: Timestamp,
    ) -> Option<SignedDuration> {
        let limit = self.limit(kind)?;
        if matches!(kind, Kind::Account) && counters.known.get(&keys[Kind::User as usize]).is_some()
        {
            return None;
        }
        let window = counters.kinds[kind as usize].get_mut(&keys[kind as usize])?;
        let wait = self.remaining(window, now)?;
        if window.tries < limit {
            return None;
        }
        if !window.is_told {
            window.is_told = true;
            // Not the name: it may be nobody's, and a password typed into the wrong field.
            tracing::warn!(limit = ?kind, %client, seconds = whole_seconds(wait), "failed logins are throttled");
        }
        Some(wait)
    }

    fn limit(&self, kind: Kind) -> Option<u32> {
        let limit = match kind {
            Kind::User => self.limits.per_user,
            Kind::Address => self.limits.per_address,
            Kind::Account => self.limits.per_account,
        };
        (limit > 0).then_some(limit)
    }

    /// The rest of a window; `None` when it is over. After a step back of the clock it lasts no longer than a whole one.
    fn remaining(&self, window: &Window, now: Timestamp) -> Option<SignedDuration> {
        let length = SignedDuration::try_from(self.limits.window).unwrap_or(SignedDuration::MAX);
        let remaining = length.saturating_sub(now.duration_since(window.start));
        remaining.is_positive().then_some(remaining.min(length))
    }

    /// Gives the number of the window that the try is counted in.
    fn count(
        &self,
        counters: &mut Counters,
        kind: Kind,
        keys: &[Key; 3],
        now: Timestamp,
    ) -> Option<u64> {
        self.limit(kind)?;
        let key = keys[kind as usize];
        let windows = &mut counters.kinds[kind as usize];
        if let Some(window) = windows.get_mut(&key)
            && self.remaining(window, now).is_some()
        {
            window.tries += 1;
            return Some(window.number);
        }
        counters.windows_begun += 1;
        let window = Window {
            number: counters.windows_begun,
            start: now,
            tries: 1,
            is_told: false,
        };
        put_bounded(windows, key, window);
        Some(window.number)
    }

    /// Takes one try back, if its window is still there.
    fn give_back(counters: &mut Counters, kind: Kind, attempt: &Attempt) {
        let key = &attempt.keys[kind as usize];
        let windows = &mut counters.kinds[kind as usize];
        let number = attempt.windows[kind as usize];
        let Some(window) = windows
            .peek_mut(key)
            .filter(|window| Some(window.number) == number)
        else {
            return;
        };
        window.tries -= 1;
        // A window begins with a failure, and there was none.
        if window.tries == 0 {
            windows.pop(key);
        }
    }

    fn settle(&self, attempt: &Attempt) {
        if attempt.outcome == Outcome::Failed {
            return;
        }
        let mut counters = self.lock();
        for kind in Kind::ALL {
            Self::give_back(&mut counters, kind, attempt);
        }
        if attempt.outcome == Outcome::Succeeded {
            let pair = attempt.keys[Kind::User as usize];
            counters.kinds[Kind::User as usize].pop(&pair);
            put_bounded(&mut counters.known, pair, ());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::User, Kind::Address, Kind::Account];
}

impl Attempt {
    /// The credentials were wrong: the try stays counted.
    pub fn fail(mut self) {
        self.outcome = Outcome::Failed;
    }

    /// The login succeeded: its address may go on failing a few times, and is known to the account from now on.
    pub fn succeed(mut self) {
        self.outcome = Outcome::Succeeded;
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.throttle.settle(self);
    }
}

fn put_bounded<V>(map: &mut LruCache<Key, V>, key: Key, value: V) {
    map.put(key, value);
    if map.len() > MAX_ENTRIES {
        map.pop_lru();
    }
}

/// Rounded up: whoever comes back after that many seconds is let in.
fn whole_seconds(duration: SignedDuration) -> u64 {
    let seconds = duration.as_secs() + i64::from(duration.subsec_nanos() > 0);
    seconds.unsigned_abs()
}

#[cfg(test)]
#[path = "throttle_tests.rs"]
mod tests;
