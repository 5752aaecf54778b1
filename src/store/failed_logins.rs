//! The server's counters of failed logins, as other processes and the next start read them.

use jiff::Timestamp;

use super::engine::{self, Connection, Row, parameters};
use super::rows::{moment, optional_moment, spelled};
use super::{Error, Store};
use crate::account::spelled;

spelled! {
    /// What a counter counts.
    LimitKind {
        /// Failures of one username from one client network.
        User = "user",
        /// Failures from one client network.
        Address = "address",
        /// Failures of one username from everywhere.
        Account = "account",
    }
}

impl LimitKind {
    /// All of them, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::User, Self::Address, Self::Account];
}

/// Names a counter: a digest of what it counts, with a secret.
pub type CounterKey = [u8; 16];

/// One counter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLogins {
    /// Its primary key.
    pub key: CounterKey,
    /// What it counts.
    pub kind: LimitKind,
    /// `None` where nobody has the username, or any username counts.
    pub user_uuid: Option<String>,
    /// The client network; `None` where every one counts.
    pub address: Option<String>,
    /// How many there were.
    pub failures: u32,
    /// When its window started.
    pub first_failure: Timestamp,
    /// How often operators had unlocked the user by then.
    pub unlocks: i64,
    /// The end of the window, once the limit is reached.
    pub locked_until: Option<Timestamp>,
}

impl Store {
    /// Mixed into each key, so that nobody can choose usernames whose keys are the same.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn throttle_secret(&self) -> Result<[u8; 16], Error> {
        self.read(|connection| {
            connection.one("SELECT secret FROM throttle_secret", &[], |row| row.get(0))
        })
    }

    /// The counters of a kind whose windows started last, the newest first.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn failed_logins(&self, kind: LimitKind, max: usize) -> Result<Vec<FailedLogins>, Error> {
        self.read(|connection| {
            connection.rows("SELECT key, kind, user_uuid, address, failures, first_failure, unlocks, locked_until
                     FROM failed_logins WHERE kind = :kind ORDER BY first_failure DESC LIMIT :max", parameters! { ":kind": kind.as_str(), ":max": i64::try_from(max).unwrap_or(i64::MAX) }, |row| read_from(row, 0))
        })
    }

    /// Adds counters, or replaces those with the same keys.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn put_failed_logins(&self, counters: Vec<FailedLogins>) -> Result<(), Error> {
        self.write(move |connection| {
            counters
                .iter()
                .try_for_each(|counter| put(connection, counter))
        })
    }

    /// Removes at most `limit` counters of a kind: those whose window did not start between `oldest` and `newest`, and the
    /// oldest of more than `max`. `false` when there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn purge_failed_logins(
        &self,
        kind: LimitKind,
        (oldest, newest): (Timestamp, Timestamp),
        max: usize,
        limit: u32,
    ) -> Result<bool, Error> {
        let mut keys = self.read(|connection| {
            connection.rows(
                "SELECT key, first_failure FROM failed_logins WHERE kind = :kind AND first_failure <= :oldest
                 UNION ALL
                 SELECT key, first_failure FROM failed_logins WHERE kind = :kind AND first_failure > :newest
                 UNION ALL
                 SELECT key, first_failure FROM (SELECT key, first_failure FROM failed_logins WHERE kind = :kind
                                  ORDER BY first_failure DESC LIMIT 9223372036854775807 OFFSET :max) AS surplus
                 LIMIT :limit",
                parameters! {
                    ":kind": kind.as_str(),
                    ":oldest": oldest.as_microsecond(),
                    ":newest": newest.as_microsecond(),
                    ":max": i64::try_from(max).unwrap_or(i64::MAX),
                    ":limit": limit,
                },
                |row| Ok((row.get::<CounterKey>(0)?, row.get::<i64>(1)?)),
            )
        })?;
        if keys.is_empty() {
            return Ok(false);
        }
        // Everybody locks them in this order.
        keys.sort_unstable();
        self.write_in_common(move |connection| {
            for (key, first_failure) in &keys {
                // Not one whose window has started again since: servers that share it count in it.
                connection.execute(
                    "DELETE FROM failed_logins WHERE key = :key AND first_failure = :first_failure",
                    parameters! { ":key": key, ":first_failure": first_failure },
                )?;
            }
            Ok(true)
        })
    }
}

/// Adds a counter, or replaces the one with the same key.
pub(super) fn put(connection: &Connection, counter: &FailedLogins) -> engine::Result<()> {
    connection.execute("INSERT INTO failed_logins (key, kind, user_uuid, address, failures, first_failure, unlocks, locked_until)
             VALUES (:key, :kind, :user_uuid, :address, :failures, :first_failure, :unlocks, :locked_until)
             ON CONFLICT (key) DO UPDATE SET
                 user_uuid = excluded.user_uuid, failures = excluded.failures, first_failure = excluded.first_failure,
                 unlocks = excluded.unlocks, locked_until = excluded.locked_until", parameters! {
            ":key": counter.key,
            ":kind": counter.kind.as_str(),
            ":user_uuid": counter.user_uuid,
            ":address": counter.address,
            ":failures": counter.failures,
            ":first_failure": counter.first_failure.as_microsecond(),
            ":unlocks": counter.unlocks,
            ":locked_until": counter.locked_until.map(Timestamp::as_microsecond),
        })?;
    Ok(())
}

/// Removes a counter, if there is one with the key.
pub(super) fn remove(connection: &Connection, key: &CounterKey) -> engine::Result<()> {
    connection.execute(
        "DELETE FROM failed_logins WHERE key = :key",
        parameters! { ":key": key },
    )?;
    Ok(())
}

/// Reads a counter from eight columns, starting with `first`.
pub(super) fn read_from(row: &Row<'_>, first: usize) -> engine::Result<FailedLogins> {
    Ok(FailedLogins {
        key: row.get(first)?,
        kind: spelled(row, first + 1)?,
        user_uuid: row.get(first + 2)?,
        address: row.get(first + 3)?,
        failures: row.get(first + 4)?,
        first_failure: moment(row, first + 5)?,
        unlocks: row.get(first + 6)?,
        locked_until: optional_moment(row, first + 7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Durability, WhenMissing};
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn counters_go_with_their_window_and_the_oldest_of_too_many() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
        let counter = |kind, seconds: u8| FailedLogins {
            key: [seconds + kind as u8; 16],
            kind,
            user_uuid: None,
            address: None,
            failures: 1,
            first_failure: at(seconds.into()),
            unlocks: 0,
            locked_until: None,
        };
        let starts = [10, 20, 30, 40, 50, 60, 250];
        let counters = starts.map(|seconds| counter(LimitKind::User, seconds));
        store.put_failed_logins(counters.to_vec()).unwrap();
        let other = counter(LimitKind::Account, 10);
        store.put_failed_logins(vec![other.clone()]).unwrap();
        let purge = |max, limit| {
            let started = (at(20), at(200));
            store
                .purge_failed_logins(LimitKind::User, started, max, limit)
                .unwrap()
        };
        assert!(purge(100, 2) && purge(100, 2) && !purge(100, 2));
        assert!(purge(3, 500) && !purge(3, 500));
        let left = store.failed_logins(LimitKind::User, 2).unwrap();
        assert_eq!(left, [counters[5].clone(), counters[4].clone()]);
        assert_eq!(store.failed_logins(LimitKind::Account, 9).unwrap(), [other]);
    }
}
