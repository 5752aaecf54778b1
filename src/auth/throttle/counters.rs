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
use std::time::Duration;

use jiff::Timestamp;
use lru::LruCache;

use super::limits::{BEFORE_HASHING, Limits, is_lifted};
use crate::clock::Now;
use crate::store::{CounterKey, FailedLogins, LimitKind};

/// Windows of one kind, some 100 bytes each.
pub const MAX_ENTRIES: usize = 1 << 16;

/// What one try is counted under, in the order of [`LimitKind::ALL`].
pub(super) type Keys = [CounterKey; 3];

pub(super) struct Counters {
    limits: Limits,
    pub(super) windows: [LruCache<CounterKey, Window>; 3],
    /// In the order of [`BEFORE_HASHING`]. No count in it is zero.
    in_flight: [HashMap<CounterKey, u32>; 2],
    /// Username and address of logins that succeeded.
    known: LruCache<CounterKey, ()>,
}

pub(super) struct Window {
    /// When it is over, as uptime.
    end: Duration,
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
            windows: LimitKind::ALL.map(|_| LruCache::unbounded()),
            in_flight: BEFORE_HASHING.map(|_| HashMap::new()),
            known: LruCache::unbounded(),
        }
    }

    /// How long it takes until failures alone reach none of the limits before hashing; `None` when they reach none now.
    pub(super) fn throttled_for(&mut self, keys: &Keys, now: Duration) -> Option<Duration> {
        let waits = BEFORE_HASHING.map(|kind| self.limit_lasts(kind, keys, now));
        waits.into_iter().flatten().max()
    }

    /// How long an account stays closed to addresses that are not known to it; `None` when it is open.
    pub(super) fn closed_for(&mut self, keys: &Keys, now: Duration) -> Option<Duration> {
        self.limit_lasts(LimitKind::Account, keys, now)
    }

    fn limit_lasts(&mut self, kind: LimitKind, keys: &Keys, now: Duration) -> Option<Duration> {
        let limit = self.limits.of(kind)?;
        let (windows, key) = (&mut self.windows[kind as usize], &keys[kind as usize]);
        let window = windows.get_mut(key)?;
        let Some(remaining) = window.remaining(now, self.limits.window) else {
            windows.pop(key);
            return None;
        };
        (window.failures >= limit).then_some(remaining)
    }

    /// The rest of the window whose limit refuses a try, the first time that it is asked for.
    pub(super) fn first_refusal(
        &mut self,
        kind: LimitKind,
        keys: &Keys,
        now: Duration,
    ) -> Option<Duration> {
        let remaining = self.limit_lasts(kind, keys, now)?;
        let window = self.windows[kind as usize].peek_mut(&keys[kind as usize])?;
        let is_first = !std::mem::replace(&mut window.is_logged, true);
        is_first.then_some(remaining)
    }

    /// Whether an address has logged in to an account.
    pub(super) fn is_known(&mut self, keys: &Keys) -> bool {
        self.known.get(&keys[LimitKind::User as usize]).is_some()
    }

    /// Whether failures alone reach a limit, by the windows that there are, even if they are over.
    pub(super) fn has_failed_out(&self, keys: &Keys) -> bool {
        BEFORE_HASHING.into_iter().any(|kind| {
            self.limits
                .of(kind)
                .is_some_and(|limit| self.failures(kind, keys) >= limit)
        })
    }

    /// Whether one more try, together with those in flight, could get past a limit.
    pub(super) fn is_full(&self, keys: &Keys) -> bool {
        BEFORE_HASHING.into_iter().any(|kind| {
            self.limits.of(kind).is_some_and(|limit| {
                let in_flight = self.in_flight[kind as usize].get(&keys[kind as usize]);
                let in_flight = in_flight.copied().unwrap_or_default();
                self.failures(kind, keys).saturating_add(in_flight) >= limit
            })
        })
    }

    fn failures(&self, kind: LimitKind, keys: &Keys) -> u32 {
        self.windows[kind as usize]
            .peek(&keys[kind as usize])
            .map_or(0, |window| window.failures)
    }

    /// Counts a try as in flight.
    pub(super) fn start(&mut self, keys: &Keys) {
        for kind in BEFORE_HASHING {
            *self.in_flight[kind as usize]
                .entry(keys[kind as usize])
                .or_default() += 1;
        }
    }

    /// A try is in flight no longer.
    pub(super) fn end(&mut self, keys: &Keys) {
        for kind in BEFORE_HASHING {
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

    /// The address may go on failing a few times, and is known to the account from now on. Says whether it had failed.
    pub(super) fn succeed(&mut self, keys: &Keys) -> bool {
        self.know(keys);
        let (windows, key) = (LimitKind::User as usize, &keys[LimitKind::User as usize]);
        self.windows[windows].pop(key).is_some()
    }

    /// The address is known to the account from now on.
    pub(super) fn know(&mut self, keys: &Keys) {
        put_bounded(&mut self.known, keys[LimitKind::User as usize], ());
    }

    /// A counter as it is now, without what says whose it is; the key where its window is over. `None` without a limit.
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

    /// Goes on with a counter of an earlier run, under the limits of this one. Gives what is to be written where it counts
    /// otherwise now.
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

    /// Forgets the failures from before a user was unlocked for the last time, which was the `unlocks`th. Says whether there were any.
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

    fn limited(&self) -> impl Iterator<Item = LimitKind> + use<> {
        let limits = self.limits;
        LimitKind::ALL
            .into_iter()
            .filter(move |kind| limits.of(*kind).is_some())
    }
}

impl Window {
    /// The rest of it; `None` when it is over.
    fn remaining(&self, now: Duration, length: Duration) -> Option<Duration> {
        // A try that was slow is from before it.
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

/// As exact as the database keeps it.
fn microseconds(date: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(date.as_microsecond()).unwrap_or(date)
}

/// Rounded up: after that many seconds a try is let in.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}
