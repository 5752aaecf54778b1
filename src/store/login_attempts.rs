//! Counting failed logins, and logins in work, for several servers on one database.
//!
//! Only databases on servers have the table `login_attempts`: the counters of a server that is alone with its file are in its
//! memory, and `failed_logins` is what it writes of them.
//!
//! Tries of one address come one after the other, failures of one username too: each takes the locks of these keys until its
//! transaction's end, the address's first. Dates are the database's, so that the clocks of the servers need not agree.

use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use super::engine::{self, Connection, parameters};
use super::failed_logins::{CounterKey, FailedLogins, LimitKind, put, read_from};
use super::rows::moment;
use super::{Error, Store};

/// Names a row of `login_attempts`.
pub type AttemptId = [u8; 16];

/// What has been counted under the keys of a try.
#[derive(Clone, Debug)]
pub struct Counted {
    /// When it was, by the database's clock.
    pub now: Timestamp,
    /// Tries in work with the same username and address, and with the same address.
    pub in_flight: [u32; 2],
    /// Those that there are.
    pub counters: Vec<FailedLogins>,
}

/// The keys of a try, in the order of [`LimitKind::ALL`].
type Keys = [CounterKey; 3];

/// The date of the database, in microseconds.
const DATE: &str = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";

impl Store {
    /// Whether servers on several machines may use the database at once.
    pub fn is_shared(&self) -> bool {
        self.database.is_remote()
    }

    /// What has been counted under the keys of a try. Nothing is locked.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn counted_logins(&self, keys: Keys) -> Result<Counted, Error> {
        self.read(|connection| counted(connection, &keys))
    }

    /// Counts a try as in work for a time, if `decide` lets it in; writes the counters that `decide` gives in any case.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn reserve_login(
        &self,
        keys: Keys,
        lasts: Duration,
        decide: impl FnOnce(&Counted) -> (bool, Vec<FailedLogins>) + Send + 'static,
    ) -> Result<(Counted, Option<AttemptId>), Error> {
        self.write(move |connection| {
            lock(connection, &keys[LimitKind::Address as usize])?;
            let counted = counted(connection, &keys)?;
            let (is_let_in, mut changed) = decide(&counted);
            changed.sort_unstable_by_key(|counter| counter.key);
            changed
                .iter()
                .try_for_each(|counter| put(connection, counter))?;
            let reserved = is_let_in.then(|| {
                let until = counted.now.checked_add(lasts).unwrap_or(Timestamp::MAX);
                reserve(connection, &keys, until)
            });
            Ok((counted, reserved.transpose()?))
        })
    }

    /// Counts a failed login, which is in work no longer: writes the counters that `count` gives.
    ///
    /// The commit does not wait for the disk: a failure is as good as lost with the server that crashes right after it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn count_failed_login<T: Send + 'static>(
        &self,
        keys: Keys,
        attempt: Option<AttemptId>,
        count: impl FnOnce(&Counted) -> (Vec<FailedLogins>, T) + Send + 'static,
    ) -> Result<T, Error> {
        self.write(move |connection| {
            lock(connection, &keys[LimitKind::Address as usize])?;
            lock(connection, &keys[LimitKind::Account as usize])?;
            // In the order in which everybody locks them. A login that succeeds meanwhile ends the first one.
            connection.exists(
                "SELECT 1 FROM failed_logins WHERE key IN (:user, :address, :account) ORDER BY key FOR UPDATE",
                parameters! { ":user": keys[0], ":address": keys[1], ":account": keys[2] },
            )?;
            let (mut counters, outcome) = count(&counted(connection, &keys)?);
            counters.sort_unstable_by_key(|counter| counter.key);
            counters
                .iter()
                .try_for_each(|counter| put(connection, counter))?;
            attempt.map_or(Ok(()), |attempt| give_back(connection, &attempt))?;
            Ok(outcome)
        })
    }

    /// Removes counters of a user, unless they are from after it was unlocked for the `unlocks`th time.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn lift_failed_logins(&self, mut keys: Vec<CounterKey>, unlocks: i64) -> Result<(), Error> {
        keys.sort_unstable();
        self.write(move |connection| {
            keys.iter().try_for_each(|key| {
                let lifted = "DELETE FROM failed_logins WHERE key = :key AND unlocks <> :unlocks";
                let parameters = parameters! { ":key": key, ":unlocks": unlocks };
                connection.execute(lifted, parameters).map(drop)
            })
        })
    }

    /// These tries are in work no longer.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn give_back_logins(&self, attempts: &[AttemptId]) -> Result<(), Error> {
        self.read(|connection| {
            attempts
                .iter()
                .try_for_each(|attempt| give_back(connection, attempt))
        })
    }

    /// Removes tries of servers that were killed, once they no longer count.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn purge_login_attempts(&self) -> Result<(), Error> {
        if !self.is_shared() {
            return Ok(());
        }
        // One that lasts for days is from before the date was set back.
        let purge = format!(
            "DELETE FROM login_attempts WHERE counts_until NOT BETWEEN {DATE} AND {DATE} + 172800000000"
        );
        self.read(|connection| connection.execute(&purge, &[]).map(drop))
    }

    /// The date by which failed logins are counted: the given one, unless the database has a clock of its own.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn date(&self, here: Timestamp) -> Result<Timestamp, Error> {
        if !self.is_shared() {
            return Ok(here);
        }
        self.read(|connection| connection.one(&format!("SELECT {DATE}"), &[], |row| moment(row, 0)))
    }

    /// The addresses that have logged in as a user, as far as events of that are kept.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn addresses_of(&self, user_uuid: &str) -> Result<Vec<IpAddr>, Error> {
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

/// Keeps others who lock the same key waiting until the transaction's end, which need not wait for the disk.
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

fn counted(connection: &Connection, keys: &Keys) -> engine::Result<Counted> {
    let mut found = Counted {
        now: Timestamp::UNIX_EPOCH,
        in_flight: [0; 2],
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
        found.in_flight = [row.get(1)?, row.get(2)?];
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

pub(super) fn give_back(connection: &Connection, attempt: &AttemptId) -> engine::Result<()> {
    let delete = "DELETE FROM login_attempts WHERE id = :id";
    connection.execute(delete, parameters! { ":id": attempt })?;
    Ok(())
}
