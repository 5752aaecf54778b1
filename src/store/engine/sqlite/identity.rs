//! Which database a file and a log belong to.
//!
//! SQLite finds the log by its name only. If another database, or an older copy, is copied over the file, the pages of
//! the log may fit into it so well that no check of the structure finds a fault, and a token in the log belongs to a user
//! of the other database. So each database has a secret in a table with one row, and each transaction of the writer also
//! writes that row, with a number that grows by 1. A log that belongs to a file therefore contains the row with the next
//! number.

use std::fs::File;
use std::io::{self, BufReader, Read};

use rusqlite::Connection;

use super::codes::is_temporary;
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

    /// Whether nothing but `VACUUM` happened since the `earlier` one.
    fn is_same_or_vacuumed(self, earlier: Self) -> bool {
        self.secret == earlier.secret
            && (self.transactions == earlier.transactions
                || self.transactions < earlier.transactions
                    && self.schema_version > earlier.schema_version)
    }

    /// The next row as SQLite stores it (<https://sqlite.org/fileformat2.html#b_tree_pages>): the sizes of the record and
    /// its header, the row ID between them, and the type of a BLOB of 16 bytes.
    fn next_row(self) -> Vec<u8> {
        const RECORD_BYTES: u8 = 18;
        const HEADER: [u8; 2] = [2, 44];
        let number = varint((self.transactions + 1).unsigned_abs());
        [&[RECORD_BYTES], &number[..], &HEADER, &self.secret].concat()
    }
}

/// A number as SQLite stores it: seven bits a byte, the first ones first.
fn varint(number: u64) -> Vec<u8> {
    let bytes = (number.max(1).ilog2() / 7 + 1).min(9);
    (0..bytes)
        .rev()
        .map(|at| (number >> (7 * at)) as u8 & 0x7f | if at > 0 { 0x80 } else { 0 })
        .collect()
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
///
/// # Errors
/// If the system cannot read the file at the moment.
pub(in crate::store) fn identity_in_file(
    file: &DatabaseFile,
) -> rusqlite::Result<Option<Identity>> {
    let read = || {
        let connection = connect(file.path(), Mode::FileOnly)?;
        // While the log is checkpointed, the file may be shorter than its header states.
        connection.pragma_update(None, "writable_schema", true)?;
        identity(&connection)
    };
    match read() {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_temporary(&error) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Refuses a log that belongs to another database than the file. Changes nothing.
pub(in crate::store) fn check_log(file: &DatabaseFile) -> Result<(), OpenError> {
    let connection = connect(file.path(), Mode::Inspect)
        .map_err(|error| OpenError::new(file.given(), &error))?;
    check_log_belongs(file, &connection)
}

/// Like [`check_log`], with a connection that reads both.
///
/// A restore that was killed has replaced the row in the log, but not yet in the file: before that it writes the row with
/// the next number, as every transaction does.
pub(in crate::store) fn check_log_belongs(
    file: &DatabaseFile,
    connection: &Connection,
) -> Result<(), OpenError> {
    let failed = |error| OpenError::new(file.given(), &error);
    loop {
        let in_file = identity_in_file(file).map_err(failed)?;
        let (Some(in_file), Ok(in_log)) = (in_file, identity(connection)) else {
            return Ok(());
        };
        if in_log.is_same_or_vacuumed(in_file) || log_contains_next(file, in_file) {
            return Ok(());
        }
        // A server may have checkpointed the log in the meantime.
        if identity_in_file(file).map_err(failed)? == Some(in_file) {
            return Err(OpenError::MalformedWith {
                path: file.given().to_owned(),
                beside: file.log(),
                reason: "its transactions do not follow those of the file".to_owned(),
            });
        }
    }
}

/// Whether a transaction in the log followed directly on those in the file.
fn log_contains_next(file: &DatabaseFile, in_file: Identity) -> bool {
    let log = File::open(file.log()).map(BufReader::new);
    log.is_ok_and(|log| contains(log, &in_file.next_row()).unwrap_or(false))
}

/// Whether a page in a log contains these bytes. The log may have pages of an earlier use at its end, which have another
/// salt (<https://sqlite.org/fileformat2.html#walformat>).
fn contains(mut log: impl Read, wanted: &[u8]) -> io::Result<bool> {
    const HEADER_BYTES: usize = 32;
    const FRAME_HEADER_BYTES: usize = 24;
    let mut header = [0; HEADER_BYTES];
    log.read_exact(&mut header)?;
    let page_bytes = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
    let salt = &header[16..24];
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes.min(65_536) as usize];
    loop {
        match log.read_exact(&mut frame) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            result => result?,
        }
        if &frame[8..16] != salt {
            return Ok(false);
        }
        let mut page = frame[FRAME_HEADER_BYTES..].windows(wanted.len());
        if page.any(|bytes| bytes == wanted) {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// SQLite writes the row, and this module must find it.
    #[test]
    fn the_next_row_is_found_in_the_log() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("one.db");
        let writer = Connection::open(&path).unwrap();
        let sql = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
             CREATE TABLE throttle_secret (secret BLOB NOT NULL) STRICT;
             INSERT INTO throttle_secret (secret) VALUES (randomblob(16))";
        writer.execute_batch(sql).unwrap();
        let log = directory.path().join("one.db-wal");
        for number in [1, 127, 128, 16_383, 16_384, 3_000_000_000_i64] {
            let sql = "UPDATE throttle_secret SET rowid = ?1";
            writer.execute(sql, [number]).unwrap();
            let before = identity(&writer).unwrap();
            let has_next = || contains(&fs::read(&log).unwrap()[..], &before.next_row()).unwrap();
            assert!(!has_next(), "{number}");
            write_secret(&writer).unwrap();
            assert!(has_next(), "{number}");
        }
    }
}
