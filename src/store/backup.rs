//! Backing a database up while servers write to it, and restoring one.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::OpenError;
use super::open::{self, BUSY_TIMEOUT, WhenMissing};
use crate::files::{Existing, Partial};

/// Some milliseconds of work; progress is told in between.
const PAGES_PER_STEP: i32 = 1024;

/// Why nothing was backed up or restored. Every text names the file.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file that is copied, or the database that is replaced, was refused.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The destination exists and was not to be replaced.
    #[error("{}: there is such a file already (--force replaces it)", .0.display())]
    Exists(PathBuf),
    /// The destination is a directory, a device or the like.
    #[error("{}: not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// One file under two names.
    #[error("{}: that is the database itself", .0.display())]
    SameFile(PathBuf),
    /// A server or another program has the file open.
    #[error("{}: the database is in use; stop the server first", .0.display())]
    InUse(PathBuf),
    /// Nothing was ever made in it.
    #[error("{}: an empty database", .0.display())]
    Empty(PathBuf),
    /// What is there cannot be replaced through SQLite.
    #[error("{}: damaged; move it and the files beside it that begin with its name away, then restore again", .0.display())]
    Damaged(PathBuf),
    /// SQLite found something wrong with the copy.
    #[error("{}: the copy is malformed: {reason}", .path.display())]
    Malformed {
        /// The copy.
        path: PathBuf,
        /// SQLite's first finding.
        reason: String,
    },
    /// The operating system refused something.
    #[error("{}: cannot write the file", .0.display())]
    Io(PathBuf, #[source] io::Error),
    /// SQLite refused something.
    #[error("{}: cannot copy the database", .0.display())]
    Sqlite(PathBuf, #[source] rusqlite::Error),
}

/// Copies the database at `source`, as it is at one moment, to `destination`, which gets its name only once it is whole,
/// checked and on disk. Servers go on writing meanwhile. An older schema stays as it is.
///
/// `progress` is told how many pages are done, of how many.
///
/// # Errors
/// See [`BackupError`]; nothing is left behind then.
pub fn back_up(
    source: &Path,
    destination: &Path,
    replace: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), BackupError> {
    check_source(source)?;
    check_destination(source, destination, replace)?;
    let write_failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(destination.to_owned()),
        _ => BackupError::Io(destination.to_owned(), error),
    };
    let partial = Partial::create(destination, 0o600).map_err(write_failed)?;
    let sqlite = |error| BackupError::Sqlite(partial.path().to_owned(), error);
    {
        let from = connect(source).map_err(|error| BackupError::Sqlite(source.into(), error))?;
        // One read for all steps: without it, each write of a server would make the copy begin anew.
        from.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema")
            .map_err(|error| BackupError::Sqlite(source.into(), error))?;
        let mut to = connect(partial.path()).map_err(sqlite)?;
        to.pragma_update(None, "synchronous", "OFF")
            .map_err(sqlite)?;
        copy(&from, &mut to, progress).map_err(sqlite)?;
        drop(from);
        // In one file, which can be moved alone and read from anywhere.
        to.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))
            .map_err(sqlite)?;
        check(&to, partial.path())?;
    }
    let existing = if replace {
        Existing::Replace
    } else {
        Existing::Keep
    };
    partial.publish(existing).map_err(write_failed)
}

/// Makes the database at `destination` hold what the backup at `source` does, in one transaction: a crash in the middle
/// leaves the old content. Makes the file if it is missing.
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
    if is_same_file(source, destination) {
        return Err(BackupError::SameFile(destination.to_owned()));
    }
    check_source(source)?;
    let from_failed = |error| BackupError::Sqlite(source.to_owned(), error);
    let from = open::connect_for_inspection(source, open::has_log(source)).map_err(from_failed)?;
    check(&from, source)?;
    if !open::make_if_missing(destination, WhenMissing::Create)? {
        match open::inspect(destination) {
            Ok(_) | Err(OpenError::Newer { .. }) => {}
            Err(OpenError::Malformed { path, .. } | OpenError::NotADatabase(path)) => {
                return Err(BackupError::Damaged(path));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut to = lock(destination)?;
    let to_failed = |error| BackupError::Sqlite(destination.to_owned(), error);
    copy(&from, &mut to, progress).map_err(to_failed)?;
    check(&to, destination)?;
    to.close().map_err(|(_, error)| to_failed(error))
}

fn check_source(source: &Path) -> Result<(), BackupError> {
    open::make_if_missing(source, WhenMissing::Refuse)?;
    match open::inspect(source)? {
        0 => Err(BackupError::Empty(source.to_owned())),
        _ => Ok(()),
    }
}

fn check_destination(source: &Path, destination: &Path, replace: bool) -> Result<(), BackupError> {
    let path = || destination.to_owned();
    match fs::symlink_metadata(destination) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(BackupError::Io(path(), error)),
        Ok(_) if is_same_file(source, destination) => Err(BackupError::SameFile(path())),
        Ok(_) if !replace => Err(BackupError::Exists(path())),
        Ok(metadata) if !metadata.is_file() => Err(BackupError::NotAFile(path())),
        // Its log would be taken for that of the new file.
        Ok(_) if open::has_log(destination) => Err(BackupError::InUse(path())),
        Ok(_) => Ok(()),
    }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Takes a lock that nobody else's connection goes with, and keeps it as long as the connection.
fn lock(path: &Path) -> Result<Connection, BackupError> {
    let connect = || {
        let connection = connect(path)?;
        connection.busy_timeout(std::time::Duration::ZERO)?;
        connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch("BEGIN EXCLUSIVE; COMMIT")?;
        Ok(connection)
    };
    connect().map_err(|error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            BackupError::InUse(path.to_owned())
        }
        Some(ErrorCode::ReadOnly) => OpenError::NotWritable(path.to_owned()).into(),
        _ => BackupError::Sqlite(path.to_owned(), error),
    })
}

fn copy(
    from: &Connection,
    to: &mut Connection,
    progress: &mut dyn FnMut(u64, u64),
) -> rusqlite::Result<()> {
    let backup = Backup::new(from, to)?;
    loop {
        let step = backup.step(PAGES_PER_STEP)?;
        let count = |pages: i32| u64::from(pages.unsigned_abs());
        let told = backup.progress();
        let total = count(told.pagecount);
        progress(total - count(told.remaining).min(total), total);
        match step {
            StepResult::Done => return Ok(()),
            // Nobody holds a lock for long; SQLite has waited for it already.
            StepResult::Busy | StepResult::Locked => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            _ => {}
        }
    }
}

fn check(connection: &Connection, path: &Path) -> Result<(), BackupError> {
    let finding: String = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| BackupError::Sqlite(path.to_owned(), error))?;
    if finding == "ok" {
        return Ok(());
    }
    let reason = finding.lines().last().unwrap_or_default().to_owned();
    Err(BackupError::Malformed {
        path: path.to_owned(),
        reason,
    })
}
