//! Looking at a file before anything is done with it, through a connection that cannot write: what is refused stays as it
//! was. What is read is bounded, however big the file is; `look` reads all of it.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::connect::{Mode, connect, damage};
use super::database_file::{DatabaseFile, beside, file_bytes};
use super::migrate::newest_version;
use crate::store::engine::{OpenError, WhenMissing};

/// "THNS"; `schema.sql` sets the same number.
pub(in crate::store) const APPLICATION_ID: i32 = 0x5448_4e53;

/// The smallest page SQLite knows.
const MIN_PAGE_BYTES: u64 = 512;

/// A file of at most so many pages is read whole: that takes about a millisecond.
const FEW_PAGES: i64 = 256;

/// Tells ours from everything else and gives the schema version; 0 for a database in which nothing was made yet, such as a
/// start that was killed half-way leaves behind.
pub(in crate::store) fn inspect(file: &DatabaseFile) -> Result<i32, OpenError> {
    // SQLite takes a file shorter than its smallest page for an empty one.
    if !file.has_log() && (1..MIN_PAGE_BYTES).contains(&file_bytes(file.path())) {
        return Err(OpenError::NotADatabase(file.given().to_owned()));
    }
    connect(file.path(), Mode::Inspect)
        .map_err(|error| OpenError::new(file.given(), &error))
        .and_then(|connection| version(&connection, file.path(), file.given()))
        .map_err(|error| with_log(error, file))
}

/// Finds out whether a server could use the file at `path`, or make it; changes nothing.
///
/// # Errors
/// What opening it would say.
pub fn check_file(path: &Path, missing: WhenMissing) -> Result<(), OpenError> {
    let file = DatabaseFile::resolve(path)?;
    file.check(missing)?;
    match file.exists() {
        true => inspect(&file).map(drop),
        false => Ok(()),
    }
}

/// What [`inspect`] finds through a connection to the file at `path`, which errors call `shown`.
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

/// What is wrong with the pages, as far as that shows without reading all of them. SQLite itself rounds the length of a file
/// up to whole pages; newer pages in a log may make it longer.
fn first_damage(connection: &Connection, path: &Path) -> rusqlite::Result<Option<String>> {
    let number = |pragma: &str| connection.query_one(pragma, [], |row| row.get::<_, i64>(0));
    let pages = number("PRAGMA page_count")?;
    let expected = pages * number("PRAGMA page_size")?;
    if file_bytes(&beside(path, "-wal")) == 0 && file_bytes(path) < expected.unsigned_abs() {
        return Ok(Some("the end is missing".to_owned()));
    }
    if pages > FEW_PAGES {
        return Ok(None);
    }
    Ok(damage(connection, "quick_check(1)")?.into_iter().next())
}

/// A damaged file with a log beside it may be sound without it.
pub(in crate::store) fn with_log(error: OpenError, file: &DatabaseFile) -> OpenError {
    match file_bytes(&file.log()) {
        0 => error,
        _ => malformed_with(error, file.log()),
    }
}

/// Names the file beside it that a malformed one was read with.
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
