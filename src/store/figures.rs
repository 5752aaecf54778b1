//! What operators and probes want to know about the database.

use jiff::Timestamp;

use super::engine::parameters;
use super::rows::unsigned;
use super::{Error, Store};

/// Sizes of a database.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Tokens that count now.
    pub tokens_live: u64,
    /// Tokens that have expired and are not removed yet.
    pub tokens_expired: u64,
    /// By how many versions the schema is newer than that of this program.
    pub schema_ahead: u64,
    /// Of the file's disk; `None` if the system does not say it.
    pub disk_free_bytes: Option<u64>,
    /// The file without its log.
    pub database_bytes: u64,
}

/// How many accounts there are, whatever their status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountCounts {
    /// Retailers and suppliers.
    pub organizations: u64,
    /// Users of all of them.
    pub users: u64,
}

impl Store {
    /// Counts the accounts; takes some milliseconds for a million of them.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn count_accounts(&self) -> Result<AccountCounts, Error> {
        self.read_long(|connection| {
            connection.one("SELECT (SELECT count(*) FROM visible_organizations), (SELECT count(*) FROM visible_users)", &[], |row| {
                    Ok(AccountCounts {
                        organizations: unsigned(row, 0)?,
                        users: unsigned(row, 1)?,
                    })
                })
        })
    }

    /// Counts; takes some tens of milliseconds for a million tokens.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn figures(&self, now: Timestamp) -> Result<Figures, Error> {
        self.read_long(|connection| {
            let (tokens_live, tokens_expired) = connection.one("SELECT (SELECT count(*) FROM tokens WHERE expires_at IS NULL OR expires_at > :now),
                            (SELECT count(*) FROM tokens WHERE expires_at <= :now)", parameters! { ":now": now.as_microsecond() }, |row| {
                    Ok((unsigned(row, 0)?, unsigned(row, 1)?))
                })?;
            let ahead = connection.schema_version()? - connection.newest_version();
            Ok(Figures {
                tokens_live,
                tokens_expired,
                schema_ahead: ahead.max(0).unsigned_abs(),
                disk_free_bytes: self.database.free_bytes(),
                database_bytes: connection.bytes()?,
            })
        })
    }

    /// Reads and writes for real: a full disk shows only when a page is written. The number that is written is the one
    /// that stands there.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check_writable(&self) -> Result<(), Error> {
        self.read(|connection| connection.schema_version())?;
        self.write(|connection| connection.write_schema_version())
    }
}
