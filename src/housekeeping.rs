//! The server's periodic tasks: checks that the database's path still refers to the open file and that the file has its
//! content, logs changes that operators made by commands, removes expired tokens, old events and ended counters of failed
//! logins, and removes the rows of interrupted imports.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::auth::{MAX_COUNTERS, Policy};
use crate::clock::{Clock, Now};
use crate::periodic::{Periodic, Stop};
use crate::store::{self, LimitKind, Store};

/// How many rows are removed at once: few enough not to delay a login that waits for the same commit.
const BATCH: u32 = 500;

/// The time between two runs.
const INTERVAL: Duration = Duration::from_secs(2);

/// How long nothing is removed after the date has been set. The date may be wrong, and tokens that only seem to have
/// expired would be lost. They are refused while the date says that they have expired.
const DISTRUST_TIME: Duration = Duration::from_secs(60 * 60);

/// By how much the change of the date may differ from the elapsed time between two runs. Gradual corrections by a time
/// server are far below this.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// Detects that the date was set.
struct DateWatch {
    last: Now,
    /// The uptime until which the date is not trusted.
    distrusted_until: Duration,
}

/// Starts the housekeeping thread.
pub(crate) fn start(store: Arc<Store>, clock: Clock, policy: Policy) -> io::Result<Periodic> {
    let mut watch = DateWatch::new(clock());
    let mut last_event = store.newest_change().ok().flatten();
    Periodic::start("housekeeping", INTERVAL, move |stop| {
        let now = clock();
        // `check_path` logs its findings itself.
        if store.check_path().is_err() || is_unreachable(&store) {
            return;
        }
        last_event = last_event
            .or_else(|| store.newest_change().ok().flatten())
            .map(|last| log_changes(&store, last, stop));
        if watch.trusts(now) {
            if let Err(error) = purge(&store, now.date, stop) {
                tracing::warn!(%error, "cannot remove expired tokens; they are refused anyway");
            }
            if let Err(error) = purge_failed_logins(&store, now.date, &policy, stop) {
                tracing::warn!(%error, "cannot remove old failed logins");
            }
            if let Some(logged) = last_event
                && let Err(error) = purge_events(&store, now.date, &policy, logged, stop)
            {
                tracing::warn!(%error, "cannot remove old events");
            }
        }
        if let Err(error) = store.remove_unfinished_imports(&|| stop.is_wanted()) {
            tracing::warn!(%error, "cannot remove the rows of an interrupted import; they have no effect");
        }
    })
}

/// Whether the servers of the database do not answer. Requests log this, so it is not logged here.
fn is_unreachable(store: &Store) -> bool {
    store.is_remote() && store.last_event().is_err()
}

impl DateWatch {
    fn new(now: Now) -> Self {
        Self {
            last: now,
            distrusted_until: Duration::ZERO,
        }
    }

    /// Whether the date can be trusted to decide which tokens have expired.
    fn trusts(&mut self, now: Now) -> bool {
        let last = std::mem::replace(&mut self.last, now);
        let by_date = now.date.duration_since(last.date);
        // Negative when a stub's clock has been reset.
        let passed = signed(now.uptime).saturating_sub(signed(last.uptime));
        if by_date.saturating_sub(passed).abs() > TOLERANCE {
            tracing::warn!(
                date = %now.date,
                "the system's date was set; expired tokens and old events are not removed for an hour"
            );
            self.distrusted_until = now.uptime.saturating_add(DISTRUST_TIME);
        }
        now.uptime >= self.distrusted_until
    }
}

fn signed(duration: Duration) -> SignedDuration {
    duration.try_into().unwrap_or(SignedDuration::MAX)
}

/// Removes expired tokens. Each batch is a separate transaction, so that logins can run in between.
fn purge(store: &Store, now: Timestamp, stop: &Stop) -> Result<(), store::Error> {
    let mut removed = 0;
    while store.has_expired(now)? && !stop.is_wanted() {
        match store.purge_expired(now, BATCH)? {
            // Another server is removing them.
            0 => break,
            some => removed += some,
        }
    }
    if removed > 0 {
        tracing::debug!(removed, "removed expired tokens");
    }
    Ok(())
}

/// Removes counters of failed logins whose window has ended, since they contain digests of what people typed.
fn purge_failed_logins(
    store: &Store,
    now: Timestamp,
    policy: &Policy,
    stop: &Stop,
) -> Result<(), store::Error> {
    store.purge_login_attempts()?;
    let (window, now) = (policy.failed_logins.window, store.date(now)?);
    // A counter that starts in the future was written before the date was set back.
    let started = (
        before(now, window),
        now.checked_add(window).unwrap_or(Timestamp::MAX),
    );
    for kind in LimitKind::ALL {
        while !stop.is_wanted() && store.purge_failed_logins(kind, started, MAX_COUNTERS, BATCH)? {}
    }
    Ok(())
}

/// Removes old events up to the event with the number `logged`; later events have not been logged yet.
fn purge_events(
    store: &Store,
    now: Timestamp,
    policy: &Policy,
    logged: i64,
    stop: &Stop,
) -> Result<(), store::Error> {
    let until = policy
        .keep_events
        .map_or(Timestamp::MAX, |age| before(now, age));
    while store.has_old_events(until, logged)? && !stop.is_wanted() {
        if store.purge_events(until, logged)? == 0 {
            break;
        }
    }
    Ok(())
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    now.checked_sub(age).unwrap_or(Timestamp::MIN)
}

/// Logs the changes by operators after the event with the number `last`. Returns the number of the last event that was
/// logged.
fn log_changes(store: &Store, mut last: i64, stop: &Stop) -> i64 {
    // After a failure the next run reads them.
    while let Ok((changes, next)) = store.changes_after(last)
        && next != last
    {
        changes.iter().for_each(store::Event::log);
        last = next;
        if stop.is_wanted() {
            break;
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * 60;

    fn at(date: i64, uptime: u64) -> Now {
        Now {
            date: Timestamp::from_second(1_000_000_000 + date).unwrap(),
            uptime: Duration::from_secs(uptime),
        }
    }

    #[test]
    fn a_set_date_is_trusted_an_hour_later() {
        for step in [-3 * HOUR, -3, 3, 365 * 24 * HOUR] {
            let mut watch = DateWatch::new(at(0, 50));
            assert!(watch.trusts(at(5, 55)), "{step}");
            assert!(!watch.trusts(at(step + 10, 60)), "{step}");
            assert!(!watch.trusts(at(step + 3609, 3659)), "{step}");
            assert!(watch.trusts(at(step + 3610, 3660)), "{step}");
        }
    }

    #[test]
    fn a_date_that_is_corrected_again_is_not_trusted_at_once() {
        let mut watch = DateWatch::new(at(0, 0));
        assert!(!watch.trusts(at(HOUR, 5)));
        assert!(!watch.trusts(at(10, 10)));
        assert!(!watch.trusts(at(3605, 3605)));
        assert!(watch.trusts(at(3610, 3610)));
    }

    #[test]
    fn elapsed_time_and_small_corrections_cause_no_distrust() {
        let mut watch = DateWatch::new(at(0, 0));
        for (date, uptime) in [(5, 5), (11, 10), (15, 15), (15 + HOUR, 15 + 3600), (20, 20)] {
            assert!(watch.trusts(at(date, uptime)), "{date}");
        }
    }
}
