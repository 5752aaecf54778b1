//! The rules of the limits, applied to the counters of the database.

use std::time::Duration;

use super::Subject;
use super::limits::{BEFORE_HASHING, FailedLoginLimits};
use crate::store::{FailedLogins, LimitKind, LoginCounts};

impl FailedLoginLimits {
    pub(super) fn throttled_for(&self, counted: &LoginCounts) -> Option<Duration> {
        let waits = BEFORE_HASHING.map(|kind| self.refused_for(kind, counted));
        waits.into_iter().flatten().max()
    }

    /// The time for which failures alone reach a limit; `None` if they do not.
    pub(super) fn refused_for(&self, kind: LimitKind, counted: &LoginCounts) -> Option<Duration> {
        let (limit, counter) = (self.of(kind)?, counted.counter(kind)?);
        self.remaining(counter.first_failure, counted.now)
            .filter(|_| counter.failures >= limit)
    }

    /// Whether one more attempt, together with those in progress, could exceed a limit.
    pub(super) fn is_full(&self, counted: &LoginCounts) -> bool {
        BEFORE_HASHING.into_iter().any(|kind| {
            self.of(kind).is_some_and(|limit| {
                let failures = self
                    .current(kind, counted)
                    .map_or(0, |counter| counter.failures);
                failures.saturating_add(counted.in_progress[kind as usize]) >= limit
            })
        })
    }

    /// The counter of this kind, if its window has not ended.
    fn current<'c>(&self, kind: LimitKind, counted: &'c LoginCounts) -> Option<&'c FailedLogins> {
        let counter = counted.counter(kind)?;
        self.remaining(counter.first_failure, counted.now)
            .map(|_| counter)
    }

    /// The counter of this kind after one more failure.
    pub(super) fn with_failure(
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
        let counter = self.current(kind, before).cloned().unwrap_or(first);
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
    pub(super) fn counter(&self, kind: LimitKind) -> Option<&FailedLogins> {
        self.counters.iter().find(|counter| counter.kind == kind)
    }
}

/// The counters whose windows start in the future because the date was set back, with windows that start now.
pub(super) fn restart_future_windows(
    limits: &FailedLoginLimits,
    counted: &LoginCounts,
) -> Vec<FailedLogins> {
    let counters = counted.counters.iter();
    counters
        .filter(|counter| counter.first_failure > counted.now)
        .map(|counter| limits.dated(counter.clone(), counted.now))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use jiff::Timestamp;

    use super::*;

    const LIMITS: FailedLoginLimits = FailedLoginLimits {
        window: Duration::from_secs(900),
        per_pair: 3,
        per_address: 0,
        per_username: 2,
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

    /// One counter of a username from an address, whose window started at the date 0.
    fn counted(failures: u32, in_progress: u32, now: i64) -> LoginCounts {
        let counter = FailedLogins {
            key: [1; 16],
            kind: LimitKind::Pair,
            user_uuid: None,
            address: None,
            failures,
            first_failure: at(0),
            unlocks: 0,
            locked_until: None,
        };
        LoginCounts {
            now: at(now),
            in_progress: [in_progress, 99],
            counters: vec![counter],
        }
    }

    #[test]
    fn failures_refuse_and_attempts_in_progress_queue_until_the_window_ends() {
        for (failures, in_progress, now, expected) in [
            (2, 0, 0, (None, false)),
            (2, 1, 0, (None, true)),
            (3, 0, 0, (Some(900), true)),
            (4, 0, 899, (Some(1), true)),
            (4, 0, 900, (None, false)),
            (4, 3, 900, (None, true)),
            // The date has been set back.
            (3, 0, -86_400, (Some(900), true)),
        ] {
            let counted = counted(failures, in_progress, now);
            let wait = LIMITS.throttled_for(&counted).map(|wait| wait.as_secs());
            assert_eq!((wait, LIMITS.is_full(&counted)), expected, "{counted:?}");
        }
    }

    #[test]
    fn a_failure_continues_a_window_that_has_not_ended() {
        for (failures, now, expected) in [
            (1, 60, (2, 0, None)),
            (2, 60, (3, 0, Some(900))),
            (5, 900, (1, 900, None)),
            (2, -60, (3, -60, Some(840))),
        ] {
            let before = counted(failures, 0, now);
            let counter = LIMITS.with_failure(&before, LimitKind::Pair, &subject(), 7);
            let (first, until) = (counter.first_failure, counter.locked_until);
            let found = (counter.failures, first, until);
            assert_eq!(found, (expected.0, at(expected.1), expected.2.map(at)));
        }
        let counter = LIMITS.with_failure(&counted(1, 0, 5), LimitKind::Username, &subject(), 7);
        let found = (counter.key, counter.failures, counter.unlocks);
        assert_eq!(found, ([3; 16], 1, 7));
    }

    #[test]
    fn a_window_that_starts_in_the_future_is_written_as_starting_now() {
        assert!(restart_future_windows(&LIMITS, &counted(3, 0, 0)).is_empty());
        let changed = restart_future_windows(&LIMITS, &counted(3, 0, -60));
        let found: Vec<_> = changed
            .iter()
            .map(|counter| (counter.first_failure, counter.locked_until))
            .collect();
        assert_eq!(found, [(at(-60), Some(at(840)))]);
    }
}
