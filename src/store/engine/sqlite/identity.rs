//! Which database a file and a log belong to.
//!
//! SQLite finds the log by its name only. If another database is copied over the file, the pages of the log may fit
//! into it so well that no check of the structure finds a fault, and a token in the log belongs to a user of the other
//! database. So each database has a secret in a table with one row, and each transaction that changes rows also writes
//! the page of that row. The log of a database therefore contains its secret.

use std::fs::File;
use std::io::{self, BufRead, BufReader};

use rusqlite::Connection;

use super::connect::{Mode, connect};
use super::database_file::DatabaseFile;
use crate::store::engine::OpenError;

/// The row with the secret, and what shows whether it is older than another one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Identity {
    /// Random, and different for each database. The keys of failed logins are computed with it.
    pub(in crate::store) secret: [u8; 16],
    /// The number of transactions. `VACUUM` sets it back.
    transactions: i64,
    /// The number of changes of the schema, of which `VACUUM` is one.
    schema_version: i64,
}

impl Identity {
    /// Whether a file with this row may have been a file with the `earlier` one before.
    pub(in crate::store) fn may_follow(self, earlier: Self) -> bool {
        self.secret == earlier.secret
            && (self.transactions >= earlier.transactions
                || self.schema_version > earlier.schema_version)
    }
}

/// Writes the page with the secret. A row that is updated to the same values would not be written.
pub(in crate::store) fn write_secret(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE throttle_secret SET rowid = rowid + 1")?
        .execute([])
        .map(drop)
}

pub(in crate::store) fn identity(connection: &Connection) -> rusqlite::Result<Identity> {
    let query = "SELECT secret, throttle_secret.rowid, schema_version FROM throttle_secret, pragma_schema_version";
    connection.query_one(query, [], |row| {
        Ok(Identity {
            secret: row.get(0)?,
            transactions: row.get(1)?,
            schema_version: row.get(2)?,
        })
    })
}

/// The row in the file, without its log. `None` if the file alone is not readable, as after a kill during its creation,
/// or is older than the table.
pub(in crate::store) fn identity_in_file(file: &DatabaseFile) -> Option<Identity> {
    let connection = connect(file.path(), Mode::FileOnly).ok()?;
    // While the log is checkpointed, the file may be shorter than its header states.
    connection
        .pragma_update(None, "writable_schema", true)
        .ok()?;
    identity(&connection).ok()
}

/// Refuses a log that belongs to another database than the file. Changes nothing.
pub(in crate::store) fn check_log(file: &DatabaseFile) -> Result<(), OpenError> {
    let connection = connect(file.path(), Mode::Inspect)
        .map_err(|error| OpenError::new(file.given(), &error))?;
    check_log_belongs(file, &connection)
}

/// Like [`check_log`], with a connection that reads both.
///
/// A restore that was killed has replaced the secret in the log, but not yet in the file: it writes the old one first.
pub(in crate::store) fn check_log_belongs(
    file: &DatabaseFile,
    connection: &Connection,
) -> Result<(), OpenError> {
    loop {
        let (Some(in_file), Ok(in_log)) = (identity_in_file(file), identity(connection)) else {
            return Ok(());
        };
        if in_file.secret == in_log.secret || log_contains(file, &in_file.secret) {
            return Ok(());
        }
        // A server may have checkpointed the log in the meantime.
        if identity_in_file(file) == Some(in_file) {
            return Err(OpenError::MalformedWith {
                path: file.given().to_owned(),
                beside: file.log(),
                reason: "the log belongs to another database".to_owned(),
            });
        }
    }
}

fn log_contains(file: &DatabaseFile, secret: &[u8; 16]) -> bool {
    let log = File::open(file.log());
    log.is_ok_and(|log| contains(BufReader::new(log), secret).unwrap_or(false))
}

fn contains(bytes: impl BufRead, wanted: &[u8; 16]) -> io::Result<bool> {
    let mut last = [0; 16];
    for byte in bytes.bytes() {
        last.rotate_left(1);
        last[wanted.len() - 1] = byte?;
        if last == *wanted {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_at_any_place() {
        let secret: [u8; 16] = std::array::from_fn(|i| i as u8 + 1);
        for (before, after) in [(0, 0), (0, 9), (9, 0), (70_000, 3)] {
            let bytes = [&vec![7; before], &secret[..], &vec![7; after]].concat();
            assert!(contains(&bytes[..], &secret).unwrap());
            assert!(!contains(&bytes[..before + 15], &secret).unwrap());
        }
    }
}
