//! Counters in a database that several servers share.
//!
//! An attempt is reserved in the database before its password is hashed, and its failure is counted there before it is
//! answered. So logins are answered 503 while the database is unavailable. Windows are timed by the database's clock.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use lru::LruCache;
use parking_lot::{Mutex, MutexGuard};

use super::address_locks::AddressLocks;
use super::counters::put_bounded;
use super::limits::{BEFORE_HASHING, is_lifted};
use super::login_counts::restart_future_windows;
use super::persistence::about;
use super::queue::Queue;
use super::refusals::Refusals;
use super::release::ReservationReleaser;
use super::{
    Admission, Attempt, ClientNetwork, FailedLoginLimits, QueuedAttempt, Subject, Throttle,
    throttled,
};
use crate::auth::Error;
use crate::store::{AttemptId, CounterKey, FailedLogins, LimitKind, LoginCounts, Store};

/// How often a queued attempt checks whether attempts of other servers have ended.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How long an attempt may take after its wait for hashing. An attempt that takes longer, for example because its
/// server was killed, no longer counts as in progress; its failure still counts.
const MAX_WORK: Duration = Duration::from_secs(30);

/// The longest time for which an attempt is reserved.
const MAX_RESERVATION: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) struct InDatabase {
    store: Arc<Store>,
    limits: FailedLoginLimits,
    /// How long an attempt is reserved unless it is released.
    reservation_time: Duration,
    local: Arc<Mutex<LocalState>>,
    address_locks: AddressLocks,
    release: ReservationReleaser,
}

/// The state that this server does not share.
struct LocalState {
    queue: Queue,
    /// The pairs of username and address with a successful login, on this server or according to the database.
    known: LruCache<CounterKey, ()>,
    refusals: Refusals,
}

impl InDatabase {
    pub(super) fn start(
        store: Arc<Store>,
        limits: FailedLoginLimits,
        max_wait: Duration,
    ) -> io::Result<Self> {
        let local = Arc::new(Mutex::new(LocalState {
            queue: Queue::default(),
            known: LruCache::unbounded(),
            refusals: Refusals::default(),
        }));
        let queue = Arc::clone(&local);
        let release = ReservationReleaser::start(Arc::clone(&store), move |subject| {
            queue.lock().queue.wake_first(subject);
        })?;
        Ok(Self {
            store,
            limits,
            reservation_time: max_wait.saturating_add(MAX_WORK).min(MAX_RESERVATION),
            local,
            address_locks: AddressLocks::default(),
            release,
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
            (is_let_in, restart_future_windows(&limits, counted))
        };
        let (counted, reserved) = {
            let _lock = self.lock_address(&subject)?;
            self.store
                .reserve_login(subject.keys, self.reservation_time, decide)?
        };
        if reserved.is_some() {
            let mut attempt = Attempt::new(throttle, subject);
            attempt.reserved = reserved;
            return Ok(Admission::Granted(attempt));
        }
        self.refuse(&BEFORE_HASHING, &counted, now)?;
        let (number, attempt) = self.local.lock().queue.add(subject)?;
        Ok(Admission::Queued(QueuedAttempt {
            throttle: Arc::clone(throttle),
            number,
            attempt,
        }))
    }

    /// Refuses an attempt again that this server has refused before, unless its window has ended. Takes no lock in the
    /// database.
    pub(super) fn refuse_again(&self, subject: &Subject, now: Duration) -> Result<(), Error> {
        if self.has_refused(subject, now) {
            let counted = self.store.login_counts(subject.keys)?;
            if restart_future_windows(&self.limits, &counted).is_empty() {
                self.refuse(&BEFORE_HASHING, &counted, now)?;
            }
        }
        Ok(())
    }

    /// Removes the state that this server does not share.
    pub(super) fn clear(&self) {
        let mut local = self.local.lock();
        local.known.clear();
        local.refusals.clear();
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
        // If the database is unavailable, the attempt stays refused.
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
            .refusals
            .first_refusal(&subject.keys[kind as usize], now)
    }

    /// Counts a failure. Returns for how long the account is closed, if it was closed before. Runs the same statements
    /// as [`InDatabase::pass`] for a right password that is refused.
    pub(super) fn fail(
        &self,
        attempt: &mut Attempt,
        now: Duration,
        unlocks: i64,
    ) -> Result<Option<Duration>, Error> {
        if self.limits.is_none() {
            return Ok(None);
        }
        // If the failure cannot be counted, its reservation is kept until it expires.
        let reserved = attempt.reserved.take();
        // For the time that it takes: a client that shares a known address must not be able to measure that it is known.
        if self.is_closed(attempt, unlocks)? {
            self.has_logged_in(attempt)?;
        }
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
                let counter = limits.with_failure(&before, kind, &subject, unlocks);
                about(counter, user_uuid.as_deref(), subject.client)
            });
            (counters.collect(), before)
        };
        let before = {
            let _lock = self.lock_address(&subject)?;
            self.store
                .count_failed_login(subject.keys, reserved, count)?
        };
        self.local.lock().queue.wake_first(&subject);
        Ok(self.note(&[LimitKind::Username], &before, now))
    }

    /// Locks the address for this server. If the wait is too long because the database is unavailable, the error is the
    /// database's.
    fn lock_address(&self, subject: &Subject) -> Result<MutexGuard<'_, ()>, Error> {
        let locked = self.address_locks.lock(subject);
        if locked.is_err() {
            self.store.date(Timestamp::UNIX_EPOCH)?;
        }
        locked
    }

    pub(super) fn pass(
        &self,
        attempt: &mut Attempt,
        now: Duration,
        unlocks: i64,
    ) -> Result<Option<Duration>, Error> {
        if self.is_known(&attempt.subject)
            || !self.is_closed(attempt, unlocks)?
            || self.has_logged_in(attempt)?
        {
            return Ok(None);
        }
        let reserved = attempt.reserved.take();
        self.count(attempt, reserved, now, unlocks)
    }

    /// Whether the account is closed to addresses that have not logged in to it.
    fn is_closed(&self, attempt: &Attempt, unlocks: i64) -> Result<bool, Error> {
        if self.limits.of(LimitKind::Username).is_none() {
            return Ok(false);
        }
        let mut counted = self.store.login_counts(attempt.subject.keys)?;
        counted
            .counters
            .retain(|counter| !is_lifted(counter.kind, counter.unlocks, unlocks));
        let closed_for = self.limits.refused_for(LimitKind::Username, &counted);
        Ok(closed_for.is_some())
    }

    /// Releases the reservation of an attempt in the background.
    pub(super) fn end(&self, subject: &Subject, reserved: AttemptId) {
        self.release.add(*subject, reserved);
    }

    pub(super) fn leave_queue(&self, number: u64) {
        self.local.lock().queue.waiting.remove(&number);
    }

    pub(super) fn stop(&self) {
        self.local.lock().queue.stop();
    }

    /// Marks the address as known, after the attempt has succeeded and its reservation has been removed.
    pub(super) fn succeed(&self, subject: &Subject) {
        self.know(subject);
        self.local.lock().queue.wake_first(subject);
    }

    /// Marks the address as known to the account.
    fn know(&self, subject: &Subject) {
        put_bounded(&mut self.local.lock().known, subject.pair(), ());
    }

    fn is_known(&self, subject: &Subject) -> bool {
        self.local.lock().known.get(&subject.pair()).is_some()
    }

    /// Whether the address has logged in to the account, on any server.
    fn has_logged_in(&self, attempt: &Attempt) -> Result<bool, Error> {
        // An unknown user takes the same statement.
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

    /// Whether a counter has refused an attempt on this server, in a window that may not have ended.
    fn has_refused(&self, subject: &Subject, now: Duration) -> bool {
        let mut local = self.local.lock();
        BEFORE_HASHING.into_iter().any(|kind| {
            local
                .refusals
                .is_refusing(&subject.keys[kind as usize], now)
        })
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

    /// The time for which these limits refuse attempts. Remembers it for the log and for the next attempt.
    fn note(&self, kinds: &[LimitKind], counted: &LoginCounts, now: Duration) -> Option<Duration> {
        let waits = kinds.iter().filter_map(|kind| {
            let (counter, wait) = (
                counted.counter(*kind)?,
                self.limits.refused_for(*kind, counted)?,
            );
            let end = now.saturating_add(wait);
            self.local.lock().refusals.note(counter, end);
            Some(wait)
        });
        waits.max()
    }
}
