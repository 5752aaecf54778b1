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
    /// Counts the accounts. Takes a few milliseconds for a million accounts: unless there are rows of an import that
    /// are not visible yet, the smallest indexes are read, which are about a hundredth of the database.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn count_accounts(&self) -> Result<AccountCounts, Error> {
        self.read_long(LongQuery::Count, |connection| connection.in_snapshot(|connection| {
            let is_importing = connection.exists("SELECT 1 FROM imports", &[])?;
            let count = match is_importing {
                true => "SELECT (SELECT count(*) FROM visible_organizations), (SELECT count(*) FROM visible_users)",
                false => "SELECT (SELECT count(*) FROM organizations), (SELECT count(*) FROM users)",
            };
            connection.one(count, &[], |row| {
                    Ok(AccountCounts {
                        organizations: unsigned(row, 0)?,
                        users: unsigned(row, 1)?,
                    })
                })
        }))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, WhenMissing};

    #[test]
    fn rows_of_an_import_in_progress_are_not_counted() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("one.db");
        let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
        let counted_after = |sql: &'static str| {
            store.write(|connection| connection.batch(sql)).unwrap();
            store.count_accounts().unwrap().organizations
        };
        let sql = "INSERT INTO imports (id, first_permission) VALUES (1, 0);
             INSERT INTO organizations (uuid, name, org_type, retailer_uuid, status, created_date, import_id)
             VALUES ('00000000-0000-4000-8000-000000000001', 'one', 'RETAILER',
                     '00000000-0000-4000-8000-000000000002', 'ACTIVE', 0, 1)";
        assert_eq!(counted_after(sql), 0);
        assert_eq!(counted_after("DELETE FROM imports"), 1);
    }
}
