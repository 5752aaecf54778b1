//! The counters that the servers of one database share: in that database.
//!
//! A try is reserved there before its password is hashed, and counted there before it is answered. So no login is answered
//! without its database. Windows are counted by the database's clock.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};

use super::counters::put_bounded;
use super::ending::Ending;
use super::kept::about;
use super::limits::{BEFORE_HASHING, is_lifted};
use super::lines::Lines;
use super::queue::Queue;
use super::refusing::Refusing;
use super::{Admission, Attempt, ClientNetwork, Limits, Subject, Throttle, Turn, throttled};
use crate::auth::Error;
use crate::store::{AttemptId, CounterKey, FailedLogins, LimitKind, LoginCounts, Store};

/// How often a try that waits looks whether those of other servers have ended.
pub(super) const LOOKS_EVERY: Duration = Duration::from_millis(100);

/// How long a try may take after its wait for hashing. One that takes longer, such as of a server that was killed, no longer
/// counts as in flight; it still counts when it fails.
const MAX_WORK: Duration = Duration::from_secs(30);

/// No try waits longer.
const MAX_LASTING: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct InDatabase {
    store: Arc<Store>,
    limits: Limits,
    /// For how long a try counts as in flight if nobody says that it has ended.
    lasts: Duration,
    local: Arc<Mutex<Local>>,
    lines: Lines,
    ending: Ending,
}

/// What this server keeps for itself.
struct Local {
    queue: Queue,
    /// Username and address of logins that succeeded here, or of which the database knew it.
    known: LruCache<CounterKey, ()>,
    refusing: Refusing,
}

impl InDatabase {
    pub(super) fn start(store: Arc<Store>, limits: Limits, max_wait: Duration) -> io::Result<Self> {
        let local = Arc::new(Mutex::new(Local {
            queue: Queue::default(),
            known: LruCache::unbounded(),
            refusing: Refusing::default(),
        }));
        let queue = Arc::clone(&local);
        let ending = Ending::start(Arc::clone(&store), move |subject| {
            queue.lock().queue.wake_first(subject);
        })?;
        Ok(Self {
            store,
            limits,
            lasts: max_wait.saturating_add(MAX_WORK).min(MAX_LASTING),
            local,
            lines: Lines::default(),
            ending,
        })
    }

    pub(super) fn admit(
        &self,
        throttle: &Arc<Throttle>,
        subject: Subject,
        now: Duration,
    ) -> Result<Admission, Error> {
        let limits = self.limits;
        if BEFORE_HASHING.iter().all(|kind| limits.of(*kind).is_none()) {
            return Ok(Admission::Granted(Attempt::new(throttle, subject)));
        }
        let decide = move |counted: &LoginCounts| {
            let is_let_in = limits.throttled_for(counted).is_none() && !limits.is_full(counted);
            (is_let_in, set_back(&limits, counted))
        };
        let (counted, reserved) = {
            let _turn = self.enter_line(&subject)?;
            self.store.reserve_login(subject.keys, self.lasts, decide)?
        };
        if reserved.is_some() {
            let mut attempt = Attempt::new(throttle, subject);
            attempt.reserved = reserved;
            return Ok(Admission::Granted(attempt));
        }
        self.refuse(&BEFORE_HASHING, &counted, now)?;
        let (number, attempt) = self.local.lock().queue.add(subject)?;
        Ok(Admission::Queued(Turn {
            throttle: Arc::clone(throttle),
            number,
            attempt,
        }))
    }

    /// Refuses a try that has been refused here, unless its window is over. Locks nothing.
    pub(super) fn refuse_again(&self, subject: &Subject, now: Duration) -> Result<(), Error> {
        if self.has_refused(subject, now) {
            let counted = self.store.login_counts(subject.keys)?;
            if set_back(&self.limits, &counted).is_empty() {
                self.refuse(&BEFORE_HASHING, &counted, now)?;
            }
        }
        Ok(())
    }

    /// Gives up what this server knows by itself.
    pub(super) fn clear(&self) {
        let mut local = self.local.lock();
        local.known.clear();
        local.refusing.clear();
    }

    pub(super) fn unlock(&self, subject: &Subject, unlocks: i64) -> bool {
        let lift = || {
            let counters = self.store.login_counts(subject.keys)?.counters.into_iter();
            let lifted = counters
                .filter(|counter| is_lifted(counter.kind, counter.unlocks, unlocks))
                .map(|counter| counter.key);
            let lifted: Vec<_> = lifted.collect();
            if !lifted.is_empty() {
                self.store.remove_failed_logins(lifted, unlocks)?;
                return Ok(true);
            }
            Ok::<_, Error>(false)
        };
        // Without a database the try stays refused.
        lift().unwrap_or(false)
    }

    pub(super) fn first_refusal(
        &self,
        kind: LimitKind,
        subject: &Subject,
        now: Duration,
    ) -> Option<Duration> {
        let mut local = self.local.lock();
        local
            .refusing
            .first_refusal(&subject.keys[kind as usize], now)
    }

    /// Counts a failure, and says how long the account is closed if it was before. Looks at as much as [`InDatabase::pass`] does
    /// of a right password that is refused.
    pub(super) fn fail(
        &self,
        attempt: &mut Attempt,
        now: Duration,
        unlocks: i64,
    ) -> Result<Option<Duration>, Error> {
        if self.limits.is_none() {
            return Ok(None);
        }
        // One that cannot be counted stays in flight until its time is over: it was wrong all the same.
        let reserved = attempt.reserved.take();
        self.is_closed(attempt, unlocks)?;
        self.count(attempt, reserved, now, unlocks)
    }

    fn count(
        &self,
        attempt: &Attempt,
        reserved: Option<AttemptId>,
        now: Duration,
        unlocks: i64,
    ) -> Result<Option<Duration>, Error> {
        let (limits, subject) = (self.limits, attempt.subject);
        let user_uuid = attempt.user_uuid.clone();
        let count = move |counted: &LoginCounts| {
            let mut before = counted.clone();
            let is_lifted =
                |counter: &FailedLogins| is_lifted(counter.kind, counter.unlocks, unlocks);
            before.counters.retain(|counter| !is_lifted(counter));
            let kinds = LimitKind::ALL.into_iter();
            let counters = kinds.filter(|kind| limits.of(*kind).is_some()).map(|kind| {
                let counter = limits.one_more(&before, kind, &subject, unlocks);
                about(counter, user_uuid.as_deref(), subject.client)
            });
            (counters.collect(), before)
        };
        let before = {
            let _turn = self.enter_line(&subject)?;
            self.store
                .count_failed_login(subject.keys, reserved, count)?
        };
        self.local.lock().queue.wake_first(&subject);
        Ok(self.note(&[LimitKind::Account], &before, now))
    }

    /// A wait that is too long because the database is away is a failure of that.
    fn enter_line(&self, subject: &Subject) -> Result<MutexGuard<'_, ()>, Error> {
        let entered = self.lines.enter(subject);
        if entered.is_err() {
            self.store.date(Timestamp::UNIX_EPOCH)?;
        }
        entered
    }

    pub(super) fn pass(
        &self,
        attempt: &mut Attempt,
        now: Duration,
        unlocks: i64,
    ) -> Result<Option<Duration>, Error> {
        if !self.is_closed(attempt, unlocks)? {
            return Ok(None);
        }
        let reserved = attempt.reserved.take();
        self.count(attempt, reserved, now, unlocks)
    }

    /// Whether the account is closed, and to this address.
    fn is_closed(&self, attempt: &Attempt, unlocks: i64) -> Result<bool, Error> {
        if self.limits.of(LimitKind::Account).is_none() || self.is_known(&attempt.subject) {
            return Ok(false);
        }
        let mut counted = self.store.login_counts(attempt.subject.keys)?;
        counted
            .counters
            .retain(|counter| !is_lifted(counter.kind, counter.unlocks, unlocks));
        let closed_for = self.limits.lasts(LimitKind::Account, &counted);
        Ok(closed_for.is_some() && !self.has_logged_in(attempt)?)
    }

    /// A try is in flight no longer.
    pub(super) fn end(&self, subject: &Subject, reserved: AttemptId) {
        self.ending.add(*subject, reserved);
    }

    pub(super) fn leave_queue(&self, number: u64) {
        self.local.lock().queue.waiting.remove(&number);
    }

    pub(super) fn stop(&self) {
        self.local.lock().queue.stop();
    }

    /// A try has succeeded, and is given back.
    pub(super) fn succeed(&self, subject: &Subject) {
        self.know(subject);
        self.local.lock().queue.wake_first(subject);
    }

    /// An address has logged in to an account.
    fn know(&self, subject: &Subject) {
        put_bounded(&mut self.local.lock().known, subject.pair(), ());
    }

    fn is_known(&self, subject: &Subject) -> bool {
        self.local.lock().known.get(&subject.pair()).is_some()
    }

    /// Whether its address has logged in to the account, from whichever server.
    fn has_logged_in(&self, attempt: &Attempt) -> Result<bool, Error> {
        // Nobody's takes the same statement.
        let user_uuid = attempt.user_uuid.as_deref().unwrap_or_default();
        let network = |address: IpAddr| ClientNetwork::from(address);
        let client = network(attempt.subject.client);
        let addresses = self.store.addresses_of_user(user_uuid)?;
        let is_known = addresses
            .into_iter()
            .any(|address| network(address) == client);
        if is_known {
            self.know(&attempt.subject);
        }
        Ok(is_known)
    }

    /// Whether a counter has refused a try here, in a window that may still last.
    fn has_refused(&self, subject: &Subject, now: Duration) -> bool {
        let mut local = self.local.lock();
        BEFORE_HASHING
            .into_iter()
            .any(|kind| local.refusing.lasts(&subject.keys[kind as usize], now))
    }

    fn refuse(
        &self,
        kinds: &[LimitKind],
        counted: &LoginCounts,
        now: Duration,
    ) -> Result<(), Error> {
        self.note(kinds, counted, now)
            .map_or(Ok(()), |wait| Err(throttled(wait)))
    }

    /// How long these limits refuse a try, for the log and for the next one.
    fn note(&self, kinds: &[LimitKind], counted: &LoginCounts, now: Duration) -> Option<Duration> {
        let waits = kinds.iter().filter_map(|kind| {
            let (counter, wait) = (counted.counter(*kind)?, self.limits.lasts(*kind, counted)?);
            let end = now.saturating_add(wait);
            self.local.lock().refusing.note(counter, end);
            Some(wait)
        });
        waits.max()
    }
}

/// The rules of the counters, for what the database says.
impl Limits {
    fn throttled_for(&self, counted: &LoginCounts) -> Option<Duration> {
        let waits = BEFORE_HASHING.map(|kind| self.lasts(kind, counted));
        waits.into_iter().flatten().max()
    }

    /// How long failures alone reach a limit.
    fn lasts(&self, kind: LimitKind, counted: &LoginCounts) -> Option<Duration> {
        let (limit, counter) = (self.of(kind)?, counted.counter(kind)?);
        self.remaining(counter.first_failure, counted.now)
            .filter(|_| counter.failures >= limit)
    }

    /// Whether one more try, together with those in flight, could get past a limit.
    fn is_full(&self, counted: &LoginCounts) -> bool {
        BEFORE_HASHING.into_iter().any(|kind| {
            self.of(kind).is_some_and(|limit| {
                let failures = self
                    .going_on(kind, counted)
                    .map_or(0, |counter| counter.failures);
                failures.saturating_add(counted.in_flight[kind as usize]) >= limit
            })
        })
    }

    /// The counter whose window is not over.
    fn going_on<'c>(&self, kind: LimitKind, counted: &'c LoginCounts) -> Option<&'c FailedLogins> {
        let counter = counted.counter(kind)?;
        self.remaining(counter.first_failure, counted.now)
            .map(|_| counter)
    }

    /// A counter as it is after one more failure.
    fn one_more(
        &self,
        before: &LoginCounts,
        kind: LimitKind,
        subject: &Subject,
        unlocks: i64,
    ) -> FailedLogins {
        let first = FailedLogins {
            key: subject.keys[kind as usize],
            kind,
            user_uuid: None,
            address: None,
            failures: 0,
            first_failure: before.now,
            unlocks,
            locked_until: None,
        };
        let counter = self.going_on(kind, before).cloned().unwrap_or(first);
        let failures = counter.failures.saturating_add(1);
        self.dated(
            FailedLogins {
                failures,
                ..counter
            },
            before.now,
        )
    }
}

impl LoginCounts {
    fn counter(&self, kind: LimitKind) -> Option<&FailedLogins> {
        self.counters.iter().find(|counter| counter.kind == kind)
    }
}

/// Counters that start in the future, since the date was set back: as they are to be written, so that their windows end.
fn set_back(limits: &Limits, counted: &LoginCounts) -> Vec<FailedLogins> {
    let counters = counted.counters.iter();
    counters
        .filter(|counter| counter.first_failure > counted.now)
        .map(|counter| limits.dated(counter.clone(), counted.now))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        window: Duration::from_secs(900),
        per_user: 3,
        per_address: 0,
        per_account: 2,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_000_000_000 + seconds).unwrap()
    }

    fn subject() -> Subject {
        Subject {
            keys: [[1; 16], [2; 16], [3; 16]],
            client: IpAddr::from([192, 0, 2, 1]),
            generation: 0,
        }
    }

    /// One counter of a username at an address, whose window started at the date 0.
    fn counted(failures: u32, in_flight: u32, now: i64) -> LoginCounts {
        let counter = FailedLogins {
            key: [1; 16],
            kind: LimitKind::User,
            user_uuid: None,
            address: None,
            failures,
            first_failure: at(0),
            unlocks: 0,
            locked_until: None,
        };
        LoginCounts {
            now: at(now),
            in_flight: [in_flight, 99],
            counters: vec![counter],
        }
    }

    #[test]
    fn failures_refuse_and_tries_in_flight_make_wait_until_the_window_is_over() {
        for (failures, in_flight, now, expected) in [
            (2, 0, 0, (None, false)),
            (2, 1, 0, (None, true)),
            (3, 0, 0, (Some(900), true)),
            (4, 0, 899, (Some(1), true)),
            (4, 0, 900, (None, false)),
            (4, 3, 900, (None, true)),
            // The date was set back.
            (3, 0, -86_400, (Some(900), true)),
        ] {
            let counted = counted(failures, in_flight, now);
            let wait = LIMITS.throttled_for(&counted).map(|wait| wait.as_secs());
            assert_eq!((wait, LIMITS.is_full(&counted)), expected, "{counted:?}");
        }
    }

    #[test]
    fn one_more_failure_goes_on_with_a_window_that_is_not_over() {
        for (failures, now, expected) in [
            (1, 60, (2, 0, None)),
            (2, 60, (3, 0, Some(900))),
            (5, 900, (1, 900, None)),
            (2, -60, (3, -60, Some(840))),
        ] {
            let before = counted(failures, 0, now);
            let counter = LIMITS.one_more(&before, LimitKind::User, &subject(), 7);
            let (first, until) = (counter.first_failure, counter.locked_until);
            let found = (counter.failures, first, until);
            assert_eq!(found, (expected.0, at(expected.1), expected.2.map(at)));
        }
        let counter = LIMITS.one_more(&counted(1, 0, 5), LimitKind::Account, &subject(), 7);
        let found = (counter.key, counter.failures, counter.unlocks);
        assert_eq!(found, ([3; 16], 1, 7));
    }

    #[test]
    fn what_starts_in_the_future_is_written_as_starting_now() {
        assert!(set_back(&LIMITS, &counted(3, 0, 0)).is_empty());
        let changed = set_back(&LIMITS, &counted(3, 0, -60));
        let found: Vec<_> = changed
            .iter()
            .map(|counter| (counter.first_failure, counter.locked_until))
            .collect();
        assert_eq!(found, [(at(-60), Some(at(840)))]);
    }
}
