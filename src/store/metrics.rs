//! Metrics of the database.

use jiff::Timestamp;

use super::engine::{LongQuery, parameters};
use super::rows::unsigned;
use super::{Error, Store};

/// Metrics of a database.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseMetrics {
    /// The number of valid tokens.
    pub tokens_live: u64,
    /// The number of tokens that have expired and have not been removed yet.
    pub tokens_expired: u64,
    /// By how many versions the schema is newer than the newest one that this program knows.
    pub schema_ahead: u64,
    /// The free space on the disk of the file, in bytes. `None` if it is unknown.
    pub disk_free_bytes: Option<u64>,
    /// The size of the database in bytes, without the log.
    pub database_bytes: u64,
}

/// The numbers of accounts of any status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountCounts {
    /// The number of organizations.
    pub organizations: u64,
    /// The number of users.
    pub users: u64,
}

impl Store {
    /// Counts the accounts. Takes a few milliseconds for a million accounts.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn count_accounts(&self) -> Result<AccountCounts, Error> {
        self.read_long(LongQuery::Count, |connection| {
            connection.one("SELECT (SELECT count(*) FROM visible_organizations), (SELECT count(*) FROM visible_users)", &[], |row| {
                    Ok(AccountCounts {
                        organizations: unsigned(row, 0)?,
                        users: unsigned(row, 1)?,
                    })
                })
        })
    }

    /// Reads the metrics. Takes some tens of milliseconds for a million tokens.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn metrics(&self, now: Timestamp) -> Result<DatabaseMetrics, Error> {
        self.read_long(LongQuery::Count, |connection| {
            let (tokens_live, tokens_expired) = connection.one("SELECT (SELECT count(*) FROM tokens WHERE expires_at IS NULL OR expires_at > :now),
                            (SELECT count(*) FROM tokens WHERE expires_at <= :now)", parameters! { ":now": now.as_microsecond() }, |row| {
                    Ok((unsigned(row, 0)?, unsigned(row, 1)?))
                })?;
            let ahead = connection.schema_version()? - connection.newest_version();
            Ok(DatabaseMetrics {
                tokens_live,
                tokens_expired,
                schema_ahead: ahead.max(0).unsigned_abs(),
                disk_free_bytes: self.database.free_bytes(),
                database_bytes: connection.bytes()?,
            })
        })
    }
}
