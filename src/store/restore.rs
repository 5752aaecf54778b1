//! Making a database what a backup holds.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;

use super::backup::{BackupError, check, copy, is_same_file, resolve_source};
use super::connect::{Mode, connect, run, set};
use super::database_file::{DatabaseFile, WhenMissing};
use super::error::OpenError;
use super::inspect::inspect;
use super::recover::recover;

/// Makes the database at `destination` hold what the backup at `source` does, in one transaction: a crash in the middle
/// leaves the old content. Makes the file if it is missing. What a log beside it holds is replaced, too.
///
/// A server, even an idle one, keeps a shared lock on its file; the exclusive one taken here shows that there is none, and
/// keeps one from starting in the middle.
///
/// # Errors
/// See [`BackupError`]; the database is as before then.
pub fn restore(
    source: &Path,
    destination: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), BackupError> {
    let destination = DatabaseFile::resolve(destination)?;
    let source = resolve_source(source)?;
    if is_same_file(&source, &destination) {
        return Err(BackupError::SameFile(destination.given().to_owned()));
    }
    let from = connect(source.path(), Mode::Inspect)
        .map_err(|error| BackupError::new(source.given(), &error))?;
    check(&from, source.given())?;
    if !destination.make_if_missing(WhenMissing::Create)? {
        check_destination(&destination)?;
    }
    let failed = |error| BackupError::new(destination.given(), &error);
    let mut to = lock(&destination)?;
    copy(&from, &mut to, progress).map_err(failed)?;
    run(&to, "PRAGMA writable_schema = RESET").map_err(failed)?;
    check(&to, destination.given())?;
    to.close().map_err(|(_, error)| failed(error))
}

/// All content is about to be replaced, so it may be damaged as long as SQLite can write into the file.
fn check_destination(destination: &DatabaseFile) -> Result<(), BackupError> {
    match recover(destination).and_then(|()| inspect(destination)) {
        Ok(_) | Err(OpenError::Newer { .. } | OpenError::Malformed { .. }) => Ok(()),
        Err(OpenError::MalformedWith { beside, .. }) if beside == destination.log() => Ok(()),
        Err(OpenError::MalformedWith { path, .. } | OpenError::NotADatabase(path)) => {
            Err(BackupError::Damaged(path))
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes a lock that nobody else's connection goes with, and keeps it as long as the connection.
fn lock(file: &DatabaseFile) -> Result<Connection, BackupError> {
    try_lock(file).map_err(|error| match error {
        OpenError::InUse(path) => BackupError::InUse(path),
        OpenError::Malformed { path, .. } => BackupError::Damaged(path),
        other => other.into(),
    })
}

fn try_lock(file: &DatabaseFile) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::new(file.given(), &error);
    let connection = connect(file.path(), Mode::Write).map_err(failed)?;
    connection.busy_timeout(Duration::ZERO).map_err(failed)?;
    // With this a schema that cannot be read is no error; a sound one takes its place.
    run(&connection, "PRAGMA writable_schema = ON").map_err(failed)?;
    set(
        &connection,
        file.given(),
        "locking_mode",
        "EXCLUSIVE",
        "exclusive",
    )?;
    set(&connection, file.given(), "synchronous", "FULL", "2")?;
    run(&connection, "BEGIN EXCLUSIVE")
        .and_then(|()| run(&connection, "COMMIT"))
        .map_err(failed)?;
    // Or a source in WAL mode would change it in the middle, and an empty journal would stay.
    match set(&connection, file.given(), "journal_mode", "WAL", "wal") {
        // Its content is about to be replaced.
        Ok(()) | Err(OpenError::Malformed { .. } | OpenError::NotADatabase(_)) => Ok(connection),
        Err(error) => Err(error),
    }
}
