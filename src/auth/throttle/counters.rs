//! What is counted: failures, each kind in windows of its own, and the tries in flight.
//!
//! Holds no lock, never waits and reads no clock.
//!
//! Memory is bounded. Of windows, each kind keeps at most [`MAX_ENTRIES`], and the least recently used is evicted: its
//! counter starts at zero when it is needed again. To evict one, an attacker must make that many other failures of the same
//! kind, each of which costs a whole bcrypt hash and, past a hundred, another address; a refused try counts nothing and
//! evicts nothing. An account under attack is used by every try, so its window is the last to go. Tries in flight are
//! as many as logins are in work, and never evicted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::time::Duration;

use lru::LruCache;

use super::limits::{Kind, Limits};

/// Windows of one kind, some 100 bytes each.
pub(super) const MAX_ENTRIES: usize = 1 << 16;

/// A digest: names have up to a thousand bytes, and a counter needs none of them.
pub(super) type Key = [u8; 16];

/// What one try is counted under, in the order of [`Kind::ALL`].
pub(super) type Keys = [Key; 3];

pub(super) struct Counters {
    limits: Limits,
    pub(super) windows: [LruCache<Key, Window>; 3],
    /// In the order of [`Kind::BEFORE_HASHING`]. No count in it is zero.
    in_flight: [HashMap<Key, u32>; 2],
    /// Username and address of logins that succeeded.
    known: LruCache<Key, ()>,
}

pub(super) struct Window {
    /// When its first failure was tried, as uptime.
    start: Duration,
    failures: u32,
    /// How often operators had unlocked the user by then: when that has changed, these failures no longer count.
    unlocks: i64,
    /// Whether the log has a line about the limit that it reached.
    is_logged: bool,
}

impl Counters {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            windows: Kind::ALL.map(|_| LruCache::unbounded()),
            in_flight: Kind::BEFORE_HASHING.map(|_| HashMap::new()),
            known: LruCache::unbounded(),
        }
    }

    /// How long it takes until failures alone reach none of the limits before hashing; `None` when they reach none now.
    pub(super) fn throttled_for(
        &mut self,
        keys: &Keys,
        client: IpAddr,
        now: Duration,
    ) -> Option<Duration> {
        let waits = Kind::BEFORE_HASHING.map(|kind| self.limit_lasts(kind, keys, client, now));
        waits.into_iter().flatten().max()
    }

    /// How long an account stays closed to addresses that are not known to it; `None` when it is open.
    pub(super) fn closed_for(
        &mut self,
        keys: &Keys,
        client: IpAddr,
        now: Duration,
    ) -> Option<Duration> {
        self.limit_lasts(Kind::Account, keys, client, now)
    }

    fn limit_lasts(
        &mut self,
        kind: Kind,
        keys: &Keys,
        client: IpAddr,
        now: Duration,
    ) -> Option<Duration> {
        let limit = self.limits.of(kind)?;
        let (windows, key) = (&mut self.windows[kind as usize], &keys[kind as usize]);
        let window = windows.get_mut(key)?;
        let Some(remaining) = self.limits.remaining(window.start, now) else {
            windows.pop(key);
            return None;
        };
        if window.failures < limit {
            return None;
        }
        if !window.is_logged {
            window.is_logged = true;
            // Not the name: it may be nobody's, and a password typed into the wrong field.
            tracing::warn!(limit = ?kind, %client, seconds = whole_seconds(remaining), "failed logins are throttled");
        }
        Some(remaining)
    }

    /// Whether an address has logged in to an account.
    pub(super) fn is_known(&mut self, keys: &Keys) -> bool {
        self.known.get(&keys[Kind::User as usize]).is_some()
    }

    /// Whether failures alone reach a limit, by the windows that there are, even if they are over.
    pub(super) fn has_failed_out(&self, keys: &Keys) -> bool {
        Kind::BEFORE_HASHING.into_iter().any(|kind| {
            self.limits
                .of(kind)
                .is_some_and(|limit| self.failures(kind, keys) >= limit)
        })
    }

    /// Whether one more try, together with those in flight, could get past a limit.
    pub(super) fn is_full(&self, keys: &Keys) -> bool {
        Kind::BEFORE_HASHING.into_iter().any(|kind| {
            self.limits.of(kind).is_some_and(|limit| {
                let in_flight = self.in_flight[kind as usize].get(&keys[kind as usize]);
                let in_flight = in_flight.copied().unwrap_or_default();
                self.failures(kind, keys).saturating_add(in_flight) >= limit
            })
        })
    }

    fn failures(&self, kind: Kind, keys: &Keys) -> u32 {
        self.windows[kind as usize]
            .peek(&keys[kind as usize])
            .map_or(0, |window| window.failures)
    }

    /// Counts a try as in flight.
    pub(super) fn start(&mut self, keys: &Keys) {
        for kind in Kind::BEFORE_HASHING {
            *self.in_flight[kind as usize]
                .entry(keys[kind as usize])
                .or_default() += 1;
        }
    }

    /// A try is in flight no longer.
    pub(super) fn end(&mut self, keys: &Keys) {
        for kind in Kind::BEFORE_HASHING {
            if let Entry::Occupied(mut in_flight) =
                self.in_flight[kind as usize].entry(keys[kind as usize])
            {
                *in_flight.get_mut() -= 1;
                if *in_flight.get() == 0 {
                    in_flight.remove();
                }
            }
        }
    }

    /// Counts a failure of a try made at `now`, which found the user unlocked `unlocks` times.
    pub(super) fn fail(&mut self, keys: &Keys, now: Duration, unlocks: i64) {
        for kind in self.limited() {
            let (windows, key) = (&mut self.windows[kind as usize], keys[kind as usize]);
            match windows.get_mut(&key) {
                Some(window)
                    if self.limits.remaining(window.start, now).is_some()
                        && !window.is_lifted(kind, unlocks) =>
                {
                    window.failures = window.failures.saturating_add(1);
                }
                _ => {
                    let window = Window {
                        start: now,
                        failures: 1,
                        unlocks,
                        is_logged: false,
                    };
                    put_bounded(windows, key, window);
                }
            }
        }
    }

    /// The address may go on failing a few times, and is known to the account from now on.
    pub(super) fn succeed(&mut self, keys: &Keys) {
        let pair = keys[Kind::User as usize];
        self.windows[Kind::User as usize].pop(&pair);
        put_bounded(&mut self.known, pair, ());
    }

    /// Forgets the failures from before a user was unlocked for the last time, which was the `unlocks`th.
    pub(super) fn unlock(&mut self, keys: &Keys, unlocks: i64) {
        for kind in Kind::ALL {
            let (windows, key) = (&mut self.windows[kind as usize], &keys[kind as usize]);
            if windows
                .peek(key)
                .is_some_and(|window| window.is_lifted(kind, unlocks))
            {
                windows.pop(key);
            }
        }
    }

    /// Forgets failures and known addresses.
    pub(super) fn clear(&mut self) {
        self.windows.iter_mut().for_each(LruCache::clear);
        self.known.clear();
    }

    /// Whether no try is in flight.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.iter().all(HashMap::is_empty)
    }

    fn limited(&self) -> impl Iterator<Item = Kind> + use<> {
        let limits = self.limits;
        Kind::ALL
            .into_iter()
            .filter(move |kind| limits.of(*kind).is_some())
    }
}

impl Window {
    /// Compared for equality, since a database that is put back may count from less. What is counted against an address is
    /// not about a user, and stays.
    fn is_lifted(&self, kind: Kind, unlocks: i64) -> bool {
        kind != Kind::Address && self.unlocks != unlocks
    }
}

fn put_bounded<V>(map: &mut LruCache<Key, V>, key: Key, value: V) {
    map.put(key, value);
    if map.len() > MAX_ENTRIES {
        map.pop_lru();
    }
}

/// Rounded up: after that many seconds a try is let in.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
