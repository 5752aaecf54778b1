//! Inspecting a file before it is used, through a connection that cannot write, so that a file that is refused is
//! unchanged. The amount read is bounded, whatever the size of the file; the integrity check reads all of it.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::connect::{Mode, connect, damage};
use super::database_file::{DatabaseFile, beside, file_bytes};
use super::identity::check_log;
use super::migrate::newest_version;
use crate::store::engine::{OpenError, WhenMissing};

/// "THNS"; `schema.sql` sets the same number.
pub(in crate::store) const APPLICATION_ID: i32 = 0x5448_4e53;

/// The smallest page size of SQLite.
const MIN_PAGE_BYTES: u64 = 512;

/// A file of at most this many pages is checked completely, which takes about a millisecond.
const FEW_PAGES: i64 = 256;

/// Checks that a file is a database of this program, and returns its schema version. The version is 0 for an empty
/// database, such as one that is left behind if the first start was killed.
pub(in crate::store) fn inspect(file: &DatabaseFile) -> Result<i32, OpenError> {
    // SQLite treats a file that is shorter than its smallest page as an empty database.
    if !file.has_log() && (1..MIN_PAGE_BYTES).contains(&file_bytes(file.path())) {
        return Err(OpenError::NotADatabase(file.given().to_owned()));
    }
    connect(file.path(), Mode::Inspect)
        .map_err(|error| OpenError::new(file.given(), &error))
        .and_then(|connection| version(&connection, file.path(), file.given()))
        .map_err(|error| with_log(error, file))
}

/// Checks whether a server could open the file at `path`, or create it. Changes nothing.
///
/// # Errors
/// The error that opening the file would return.
pub fn check_file(path: &Path, missing: WhenMissing) -> Result<(), OpenError> {
    let file = DatabaseFile::resolve(path)?;
    file.check(missing)?;
    match file.exists() {
        true => inspect(&file).and_then(|_| check_log(&file)),
        false => Ok(()),
    }
}

/// Does the checks of [`inspect`] through a connection to the file at `path`. `shown` is its name in errors.
pub(in crate::store) fn version(
    connection: &Connection,
    path: &Path,
    shown: &Path,
) -> Result<i32, OpenError> {
    let failed = |error| OpenError::new(shown, &error);
    let number = |statement: &str| {
        connection
            .query_one(statement, [], |row| row.get::<_, i32>(0))
            .map_err(failed)
    };
    let application_id = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if application_id == 0 && version == 0 && tables == 0 {
        return Ok(0);
    }
    if application_id != APPLICATION_ID {
        return Err(OpenError::NotOurs(shown.to_owned()));
    }
    if version > newest_version() {
        return Err(OpenError::Newer {
            path: shown.to_owned(),
            found: version,
            known: newest_version(),
        });
    }
    match first_damage(connection, path).map_err(failed)? {
        None => Ok(version),
        Some(reason) => Err(OpenError::Malformed {
            path: shown.to_owned(),
            reason,
        }),
    }
}

/// Damage of the pages that can be found without reading all of them. SQLite rounds the length of a file up to whole
/// pages; newer pages in a log may make the database longer than the file.
fn first_damage(connection: &Connection, path: &Path) -> rusqlite::Result<Option<String>> {
    let number = |pragma: &str| connection.query_one(pragma, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")?;
    let expected = pages * number("PRAGMA page_size")?;
    if file_bytes(&beside(path, "-wal")) == 0 && file_bytes(path) < expected.unsigned_abs() {
        return Ok(Some("the end of the file is missing".to_owned()));
    }
    if pages > FEW_PAGES {
        return Ok(None);
    }
    Ok(damage(connection, "quick_check(1)")?.into_iter().next())
}

/// If a damaged file has a log beside it, the error names the log, because the file may be intact without it.
pub(in crate::store) fn with_log(error: OpenError, file: &DatabaseFile) -> OpenError {
    match file_bytes(&file.log()) {
        0 => error,
        _ => malformed_with(error, file.log()),
    }
}

/// Adds to the error for a malformed file the file beside it that was read with it.
pub(in crate::store) fn malformed_with(error: OpenError, beside: PathBuf) -> OpenError {
    match error {
        OpenError::Malformed { path, reason } => OpenError::MalformedWith {
            path,
            beside,
            reason,
        },
        other => other,
    }
}
