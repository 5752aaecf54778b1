//! The counters in memory: failures, in windows of each kind, and the attempts in progress.
//!
//! Holds no lock, never waits and reads no clock.
//!
//! Memory is bounded. There are at most [`MAX_ENTRIES`] windows of each kind; beyond that the least recently used one
//! is evicted, and its counter starts from zero when it is needed again. To evict a window, an attacker must cause that
//! many failures of the same kind, each of which costs a whole bcrypt hash and, for every hundred of them, another
//! address. A refused attempt counts nothing and evicts nothing. The window of an account under attack is used by every
//! attempt, so it is evicted last. There are as many attempts in progress as logins that run, and they are never
//! evicted.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::time::Duration;

use jiff::Timestamp;
use lru::LruCache;

use super::limits::{BEFORE_HASHING, FailedLoginLimits, is_lifted};
use crate::clock::Now;
use crate::store::{CounterKey, FailedLogins, LimitKind};

/// The maximum number of windows of one kind, of about 100 bytes each.
pub const MAX_ENTRIES: usize = 1 << 16;

/// The keys under which one attempt is counted, in the order of [`LimitKind::ALL`].
pub(super) type Keys = [CounterKey; 3];

pub(super) struct Counters {
    limits: FailedLoginLimits,
    pub(super) windows: [LruCache<CounterKey, Window>; 3],
    /// The attempts in progress, in the order of [`BEFORE_HASHING`]. No count is zero.
    in_progress: [HashMap<CounterKey, u32>; 2],
    /// The pairs of username and address with a successful login.
    known: LruCache<CounterKey, ()>,
}

pub(super) struct Window {
    /// The uptime at which the window ends.
    end: Duration,
    failures: u32,
    /// How often operators had unlocked the user when the window started. Once this number changes, the failures no
    /// longer count.
    unlocks: i64,
    /// Whether it has been logged that the window's limit is reached.
    is_logged: bool,
}

impl Counters {
    pub(super) fn new(limits: FailedLoginLimits) -> Self {
        Self {
            limits,
            windows: LimitKind::ALL.map(|_| LruCache::unbounded()),
            in_progress: BEFORE_HASHING.map(|_| HashMap::new()),
            known: LruCache::unbounded(),
        }
    }

    /// The time until failures alone no longer reach a limit before hashing; `None` if they do not reach one now.
    pub(super) fn throttled_for(&mut self, keys: &Keys, now: Duration) -> Option<Duration> {
        let waits = BEFORE_HASHING.map(|kind| self.refused_for(kind, keys, now));
        waits.into_iter().flatten().max()
    }

    /// The time for which an account stays closed to addresses that are not known to it; `None` if it is open.
    pub(super) fn closed_for(&mut self, keys: &Keys, now: Duration) -> Option<Duration> {
        self.refused_for(LimitKind::Username, keys, now)
    }

    fn refused_for(&mut self, kind: LimitKind, keys: &Keys, now: Duration) -> Option<Duration> {
        let limit = self.limits.of(kind)?;
        let (windows, key) = (&mut self.windows[kind as usize], &keys[kind as usize]);
        let window = windows.get_mut(key)?;
        let Some(remaining) = window.remaining(now, self.limits.window) else {
            windows.pop(key);
            return None;
        };
        (window.failures >= limit).then_some(remaining)
    }

    /// The rest of the window whose limit refuses an attempt; `None` after the first call for the window.
    pub(super) fn first_refusal(
        &mut self,
        kind: LimitKind,
        keys: &Keys,
        now: Duration,
    ) -> Option<Duration> {
        let remaining = self.refused_for(kind, keys, now)?;
        let window = self.windows[kind as usize].peek_mut(&keys[kind as usize])?;
        let is_first = !std::mem::replace(&mut window.is_logged, true);
        is_first.then_some(remaining)
    }

    /// Whether an address has logged in to an account.
    pub(super) fn is_known(&mut self, keys: &Keys) -> bool {
        self.known.get(&keys[LimitKind::Pair as usize]).is_some()
    }

    /// Whether failures alone reach a limit, including those of windows that have ended but are still in memory.
    pub(super) fn is_refused_by_failures(&self, keys: &Keys) -> bool {
        BEFORE_HASHING.into_iter().any(|kind| {
            self.limits
                .of(kind)
                .is_some_and(|limit| self.failures(kind, keys) >= limit)
        })
    }

    /// Whether one more attempt, together with those in progress, could exceed a limit.
    pub(super) fn is_full(&self, keys: &Keys) -> bool {
        BEFORE_HASHING.into_iter().any(|kind| {
            self.limits.of(kind).is_some_and(|limit| {
                let in_progress = self.in_progress[kind as usize].get(&keys[kind as usize]);
                let in_progress = in_progress.copied().unwrap_or_default();
                self.failures(kind, keys).saturating_add(in_progress) >= limit
            })
        })
    }

    fn failures(&self, kind: LimitKind, keys: &Keys) -> u32 {
        self.windows[kind as usize]
            .peek(&keys[kind as usize])
            .map_or(0, |window| window.failures)
    }

    /// Counts an attempt as in progress.
    pub(super) fn start(&mut self, keys: &Keys) {
        for kind in BEFORE_HASHING {
            *self.in_progress[kind as usize]
                .entry(keys[kind as usize])
                .or_default() += 1;
        }
    }

    /// Counts an attempt as no longer in progress.
    pub(super) fn end(&mut self, keys: &Keys) {
        for kind in BEFORE_HASHING {
            if let Entry::Occupied(mut in_progress) =
                self.in_progress[kind as usize].entry(keys[kind as usize])
            {
                *in_progress.get_mut() -= 1;
                if *in_progress.get() == 0 {
                    in_progress.remove();
                }
            }
        }
    }

    /// Counts the failure of an attempt made at `now`, of a user who had been unlocked `unlocks` times.
    pub(super) fn fail(&mut self, keys: &Keys, now: Duration, unlocks: i64) {
        for kind in self.limited() {
            let (windows, key) = (&mut self.windows[kind as usize], keys[kind as usize]);
            match windows.get_mut(&key) {
                Some(window)
                    if window.remaining(now, self.limits.window).is_some()
                        && !is_lifted(kind, window.unlocks, unlocks) =>
                {
                    window.failures = window.failures.saturating_add(1);
                }
                _ => {
                    let window = Window {
                        end: now.saturating_add(self.limits.window),
                        failures: 1,
                        unlocks,
                        is_logged: false,
                    };
                    put_bounded(windows, key, window);
                }
            }
        }
    }

    /// Removes the failures of the username from this address, and marks the address as known to the account. Returns
    /// whether there were failures.
    pub(super) fn succeed(&mut self, keys: &Keys) -> bool {
        self.know(keys);
        let (windows, key) = (LimitKind::Pair as usize, &keys[LimitKind::Pair as usize]);
        self.windows[windows].pop(key).is_some()
    }

    /// Marks the address as known to the account.
    pub(super) fn know(&mut self, keys: &Keys) {
        put_bounded(&mut self.known, keys[LimitKind::Pair as usize], ());
    }

    /// The present counter, without user and address, or its key if the window has ended. `None` if the kind has no
    /// limit.
    pub(super) fn snapshot(
        &self,
        kind: LimitKind,
        keys: &Keys,
        now: Now,
    ) -> Option<Result<FailedLogins, CounterKey>> {
        self.limits.of(kind)?;
        let key = keys[kind as usize];
        let window = self.windows[kind as usize].peek(&key);
        let found = window.and_then(|window| {
            let remaining = window.remaining(now.uptime, self.limits.window)?;
            let age = self.limits.window.saturating_sub(remaining);
            let first_failure = microseconds(now.date.checked_sub(age).unwrap_or(now.date));
            let counter = FailedLogins {
                key,
                kind,
                user_uuid: None,
                address: None,
                failures: window.failures,
                first_failure,
                unlocks: window.unlocks,
                locked_until: None,
            };
            Some(self.limits.dated(counter, now.date))
        });
        Some(found.ok_or(key))
    }

    /// Restores a counter of an earlier server under the present limits. Returns the counter to be stored again if it
    /// differs under these limits.
    pub(super) fn restore(&mut self, counter: FailedLogins, now: Now) -> Option<FailedLogins> {
        let remaining = self.limits.remaining(counter.first_failure, now.date);
        if let (Some(remaining), Some(_)) = (remaining, self.limits.of(counter.kind)) {
            let window = Window {
                end: now.uptime.saturating_add(remaining),
                failures: counter.failures,
                unlocks: counter.unlocks,
                is_logged: false,
            };
            put_bounded(
                &mut self.windows[counter.kind as usize],
                counter.key,
                window,
            );
        }
        let dated = self.limits.dated(counter.clone(), microseconds(now.date));
        (dated != counter).then_some(dated)
    }

    /// Removes the failures that were counted before the user was unlocked for the `unlocks`th time. Returns whether
    /// there were any.
    pub(super) fn unlock(&mut self, keys: &Keys, unlocks: i64) -> bool {
        let mut were_any = false;
        for kind in LimitKind::ALL {
            let (windows, key) = (&mut self.windows[kind as usize], &keys[kind as usize]);
            if windows
                .peek(key)
                .is_some_and(|window| is_lifted(kind, window.unlocks, unlocks))
            {
                windows.pop(key);
                were_any = true;
            }
        }
        were_any
    }

    /// Removes all failures and known addresses.
    pub(super) fn clear(&mut self) {
        self.windows.iter_mut().for_each(LruCache::clear);
        self.known.clear();
    }

    /// Whether no attempt is in progress.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.in_progress.iter().all(HashMap::is_empty)
    }

    fn limited(&self) -> impl Iterator<Item = LimitKind> + use<> {
        let limits = self.limits;
        LimitKind::ALL
            .into_iter()
            .filter(move |kind| limits.of(*kind).is_some())
    }
}

impl Window {
    /// The remaining time of the window; `None` if it has ended.
    fn remaining(&self, now: Duration, length: Duration) -> Option<Duration> {
        // A slow attempt may have been made before the window started.
        let remaining = self.end.checked_sub(now)?.min(length);
        (!remaining.is_zero()).then_some(remaining)
    }
}

pub(super) fn put_bounded<V>(map: &mut LruCache<CounterKey, V>, key: CounterKey, value: V) {
    map.put(key, value);
    if map.len() > MAX_ENTRIES {
        map.pop_lru();
    }
}

/// The date in the precision of the database.
fn microseconds(date: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(date.as_microsecond()).unwrap_or(date)
}

/// The duration in seconds, rounded up, so that an attempt is admitted after that many seconds.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
