//! The stored counters of failed logins, for other processes and for the next start of the server.

use jiff::Timestamp;

use super::engine::{self, Connection, Row, parameters};
use super::rows::{moment, optional_moment, spelled};
use super::{Error, Store};
use crate::account::spelled;

spelled! {
    /// What a counter is for. The flags and the log call the limit of a pair "user", and that of a username "account".
    LimitKind {
        /// Failures of one username from one client network.
        Pair = "user",
        /// Failures from one client network.
        Address = "address",
        /// Failures of one username from all addresses.
        Username = "account",
    }
}

impl LimitKind {
    /// All kinds, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Pair, Self::Address, Self::Username];
}

/// The key of a counter: a keyed digest of the username, the client network, or both.
pub type CounterKey = [u8; 16];

/// A counter of failed logins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedLogins {
    /// The primary key.
    pub key: CounterKey,
    /// What the counter is for.
    pub kind: LimitKind,
    /// The user's UUID. `None` if no user has the username, or if the counter is for all usernames.
    pub user_uuid: Option<String>,
    /// The client network. `None` if the counter is for all networks.
    pub address: Option<String>,
    /// The number of failures.
    pub failures: u32,
    /// The time of the first failure, at which the window starts.
    pub first_failure: Timestamp,
    /// How many times operators had unlocked the user when the failures were counted.
    pub unlocks: i64,
    /// The end of the window, if the limit has been reached.
    pub locked_until: Option<Timestamp>,
}

impl Store {
    /// The secret for computing counter keys. It prevents clients from choosing usernames whose keys collide.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn throttle_secret(&self) -> Result<[u8; 16], Error> {
        self.read(|connection| {
            connection.one("SELECT secret FROM throttle_secret", &[], |row| row.get(0))
        })
    }

    /// At most `max` counters of a kind, those with the most recent windows first.
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

    /// Removes at most `limit` counters of a kind: those whose window did not start between `oldest` and `newest`, and
    /// the oldest ones if there are more than `max`. Returns `false` if there was nothing to remove.
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
        // All transactions lock counters in the order of their keys.
        keys.sort_unstable();
        self.write_on_one_server(move |connection| {
            for (key, first_failure) in &keys {
                // A counter whose window has restarted since then stays: other servers still use it.
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
    fn counters_are_removed_after_their_window_or_when_there_are_too_many() {
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
        let counters = starts.map(|seconds| counter(LimitKind::Pair, seconds));
        store.put_failed_logins(counters.to_vec()).unwrap();
        let other = counter(LimitKind::Username, 10);
        store.put_failed_logins(vec![other.clone()]).unwrap();
        let purge = |max, limit| {
            let started = (at(20), at(200));
            store
                .purge_failed_logins(LimitKind::Pair, started, max, limit)
                .unwrap()
        };
        assert!(purge(100, 2) && purge(100, 2) && !purge(100, 2));
        assert!(purge(3, 500) && !purge(3, 500));
        let left = store.failed_logins(LimitKind::Pair, 2).unwrap();
        assert_eq!(left, [counters[5].clone(), counters[4].clone()]);
        assert_eq!(
            store.failed_logins(LimitKind::Username, 9).unwrap(),
            [other]
        );
    }
}
