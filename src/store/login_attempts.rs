//! Counting failed logins and logins in progress, for several servers that share a database.
//!
//! Only PostgreSQL databases have the table `login_attempts`. A server with a database file is the only one; it keeps
//! its counters in memory and writes copies to `failed_logins`.
//!
//! Login attempts from one address are serialized, and so are failures of one username: each transaction locks these
//! keys until it ends, that of the address first. Times are those of the database, so that the clocks of the servers
//! need not agree.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::engine::{self, Connection, parameters};
use super::failed_logins::{CounterKey, FailedLogins, LimitKind, put, read_from};
use super::rows::moment;
use super::{Error, Store};

/// The id of a row of `login_attempts`.
pub type AttemptId = [u8; 16];

/// The counts that apply to a login attempt.
#[derive(Clone, Debug)]
pub struct LoginCounts {
    /// The time of the query, by the database's clock.
    pub now: Timestamp,
    /// The number of attempts in progress with the same username and address, and with the same address.
    pub in_progress: [u32; 2],
    /// The existing counters of failed logins.
    pub counters: Vec<FailedLogins>,
}

/// The counter keys of a login attempt, in the order of [`LimitKind::ALL`].
type Keys = [CounterKey; 3];

/// The time of the database, in microseconds since 1970-01-01 UTC.
const DATE: &str = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";

impl Store {
    /// Whether several servers may use the database at the same time.
    pub fn is_shared(&self) -> bool {
        self.database.is_remote()
    }

    /// Reads the counts that apply to a login attempt. Takes no locks.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn login_counts(&self, keys: Keys) -> Result<LoginCounts, Error> {
        self.read(|connection| counted(connection, &keys))
    }

    /// Calls `decide` with the counts. If it admits the attempt, the attempt counts as in progress for the time
    /// `time_limit`. The counters that `decide` returns are written in any case.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn reserve_login(
        &self,
        keys: Keys,
        time_limit: Duration,
        decide: impl FnOnce(&LoginCounts) -> (bool, Vec<FailedLogins>) + Send + 'static,
    ) -> Result<(LoginCounts, Option<AttemptId>), Error> {
        self.write(move |connection| {
            lock(connection, &keys[LimitKind::Address as usize])?;
            let counted = counted(connection, &keys)?;
            let (is_admitted, mut changed) = decide(&counted);
            changed.sort_unstable_by_key(|counter| counter.key);
            changed
                .iter()
                .try_for_each(|counter| put(connection, counter))?;
            let reserved = is_admitted.then(|| {
                let until = counted
                    .now
                    .checked_add(time_limit)
                    .unwrap_or(Timestamp::MAX);
                reserve(connection, &keys, until)
            });
            Ok((counted, reserved.transpose()?))
        })
    }

    /// Counts a failed login and ends its attempt. Writes the counters that `count` returns.
    ///
    /// The commit does not wait for the disk: the failure may be lost if the database server crashes right afterwards.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn count_failed_login<T: Send + 'static>(
        &self,
        keys: Keys,
        attempt: Option<AttemptId>,
        count: impl FnOnce(&LoginCounts) -> (Vec<FailedLogins>, T) + Send + 'static,
    ) -> Result<T, Error> {
        self.write(move |connection| {
            lock(connection, &keys[LimitKind::Address as usize])?;
            lock(connection, &keys[LimitKind::Username as usize])?;
            // All transactions lock counters in the order of their keys. A login that succeeds concurrently removes the
            // first one.
            connection.exists(
                "SELECT 1 FROM failed_logins WHERE key IN (:user, :address, :account) ORDER BY key FOR UPDATE",
                parameters! { ":user": keys[0], ":address": keys[1], ":account": keys[2] },
            )?;
            let (mut counters, outcome) = count(&counted(connection, &keys)?);
            counters.sort_unstable_by_key(|counter| counter.key);
            counters
                .iter()
                .try_for_each(|counter| put(connection, counter))?;
            attempt.map_or(Ok(()), |attempt| end_attempt(connection, &attempt))?;
            Ok(outcome)
        })
    }

    /// Removes the counters with these keys, except those whose failures were counted when the user had been unlocked
    /// `unlocks` times.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn remove_failed_logins(
        &self,
        mut keys: Vec<CounterKey>,
        unlocks: i64,
    ) -> Result<(), Error> {
        keys.sort_unstable();
        self.write(move |connection| {
            keys.iter().try_for_each(|key| {
                let remove = "DELETE FROM failed_logins WHERE key = :key AND unlocks <> :unlocks";
                let parameters = parameters! { ":key": key, ":unlocks": unlocks };
                connection.execute(remove, parameters).map(drop)
            })
        })
    }

    /// Ends these login attempts: they are no longer in progress.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn end_login_attempts(&self, attempts: &[AttemptId]) -> Result<(), Error> {
        self.read(|connection| {
            attempts
                .iter()
                .try_for_each(|attempt| end_attempt(connection, attempt))
        })
    }

    /// Removes login attempts that have timed out, which servers that were killed have left behind.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn purge_login_attempts(&self) -> Result<(), Error> {
        if !self.is_shared() {
            return Ok(());
        }
        // No attempt lasts for days; one that appears to was made before the clock was set back.
        let purge = format!(
            "DELETE FROM login_attempts WHERE counts_until NOT BETWEEN {DATE} AND {DATE} + 172800000000"
        );
        self.read(|connection| connection.execute(&purge, &[]).map(drop))
    }

    /// The time that is used for counting failed logins: that of the PostgreSQL server, or `here` for a database file.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn date(&self, here: Timestamp) -> Result<Timestamp, Error> {
        if !self.is_shared() {
            return Ok(here);
        }
        self.read(|connection| connection.one(&format!("SELECT {DATE}"), &[], |row| moment(row, 0)))
    }

    /// The addresses that have logged in as a user, according to the stored events.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn addresses_of_user(&self, user_uuid: &str) -> Result<Vec<IpAddr>, Error> {
        let addresses: Vec<String> = self.read(|connection| {
            connection.rows(
                "SELECT DISTINCT address FROM events
                 WHERE user_uuid = :user_uuid AND outcome = 'succeeded' AND address IS NOT NULL",
                parameters! { ":user_uuid": user_uuid },
                |row| row.get(0),
            )
        })?;
        let addresses = addresses.iter().filter_map(|address| address.parse().ok());
        Ok(addresses.collect())
    }
}

/// Locks a key until the end of the transaction, and lets the commit return before it is on disk.
fn lock(connection: &Connection, key: &CounterKey) -> engine::Result<()> {
    let [number, _] = *key.as_chunks::<8>().0 else {
        return Ok(());
    };
    connection.exists(
        "SELECT set_config('synchronous_commit', 'off', true), pg_advisory_xact_lock(:key)",
        parameters! { ":key": i64::from_be_bytes(number) },
    )?;
    Ok(())
}

fn counted(connection: &Connection, keys: &Keys) -> engine::Result<LoginCounts> {
    let mut found = LoginCounts {
        now: Timestamp::UNIX_EPOCH,
        in_progress: [0; 2],
        counters: Vec::new(),
    };
    let query = format!(
        "SELECT clock.date, tries.of_user, tries.of_address,
                failed.key, failed.kind, failed.user_uuid, failed.address, failed.failures, failed.first_failure,
                failed.unlocks, failed.locked_until
         FROM (SELECT {DATE} AS date) AS clock
         CROSS JOIN LATERAL (
             SELECT count(*) FILTER (WHERE pair = :user) AS of_user, count(*) AS of_address
             FROM login_attempts WHERE address = :address AND counts_until > clock.date) AS tries
         LEFT JOIN failed_logins AS failed ON failed.key IN (:user, :address, :account)"
    );
    let parameters = parameters! { ":user": keys[0], ":address": keys[1], ":account": keys[2] };
    connection.for_each(&query, parameters, |row| {
        found.now = moment(row, 0)?;
        found.in_progress = [row.get(1)?, row.get(2)?];
        if row.get::<Option<CounterKey>>(3)?.is_some() {
            found.counters.push(read_from(row, 3)?);
        }
        Ok(())
    })?;
    Ok(found)
}

fn reserve(connection: &Connection, keys: &Keys, until: Timestamp) -> engine::Result<AttemptId> {
    connection.one(
        "INSERT INTO login_attempts (pair, address, counts_until) VALUES (:user, :address, :until) RETURNING id",
        parameters! { ":user": keys[0], ":address": keys[1], ":until": until.as_microsecond() },
        |row| row.get(0),
    )
}

pub(super) fn end_attempt(connection: &Connection, attempt: &AttemptId) -> engine::Result<()> {
    let delete = "DELETE FROM login_attempts WHERE id = :id";
    connection.execute(delete, parameters! { ":id": attempt })?;
    Ok(())
}
