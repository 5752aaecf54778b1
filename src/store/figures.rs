//! What operators and probes want to know about the database.

use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use super::rows::unsigned;
use super::{Error, Store};

/// Sizes of a database.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Tokens that count now.
    pub tokens_live: u64,
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
            connection.query_one(
                "SELECT (SELECT count(*) FROM visible_organizations), (SELECT count(*) FROM visible_users)",
                [],
                |row| {
                    Ok(AccountCounts {
                        organizations: unsigned(row, 0)?,
                        users: unsigned(row, 1)?,
                    })
                },
            )
        })
    }

    /// Counts; takes some tens of milliseconds for a million tokens.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn figures(&self, now: Timestamp) -> Result<Figures, Error> {
        self.read_long(|connection| {
            let tokens_live = connection
                .prepare_cached(
                    "SELECT count(*) FROM tokens WHERE expires_at IS NULL OR expires_at > :now",
                )?
                .query_one(named_params! { ":now": now.as_microsecond() }, |row| {
                    row.get::<_, i64>(0)
                })?;
            let pages = pragma(connection, "page_count")?;
            let page_bytes = pragma(connection, "page_size")?;
            Ok(Figures {
                tokens_live: tokens_live.unsigned_abs(),
                database_bytes: (pages * page_bytes).unsigned_abs(),
            })
        })
    }

    /// Reads and writes for real: a full disk shows only when a page is written. The number that is written is the one
    /// that stands there.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check_writable(&self) -> Result<(), Error> {
        self.read(|connection| pragma(connection, "user_version"))?;
        self.write(|connection| {
            let version = pragma(connection, "user_version")?;
            connection.pragma_update(None, "user_version", version)
        })
    }
}

fn pragma(connection: &Connection, name: &'static str) -> rusqlite::Result<i64> {
    connection.query_one(&format!("PRAGMA {name}"), [], |row| row.get(0))
}
