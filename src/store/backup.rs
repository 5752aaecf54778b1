//! Backing up a database while servers write to it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;

use super::content::Content;
use super::engine::StatementError;
use super::engine::sqlite::connect::{Mode, connect, damage, read_schema, set};
use super::engine::sqlite::database_file::{DatabaseFile, FileId};
use super::engine::sqlite::identity::check_log;
use super::engine::sqlite::inspect::inspect;
use super::engine::sqlite::reason;
use super::engine::sqlite::recover::recover;
use super::engine::{OpenError, WhenMissing};
use crate::files::{Existing, Partial, remedy};

/// The number of pages that are copied between two reports of progress. That takes a few milliseconds.
const PAGES_PER_STEP: i32 = 1024;

/// Why a backup or a restore failed. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The source of the copy, or the database to be replaced, cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The destination exists and must not be replaced.
    #[error("{}: the file already exists (--force replaces it)", .0.display())]
    Exists(PathBuf),
    /// A log, an index or a journal is beside the destination, and SQLite would treat it as a part of the backup.
    #[error(
        "{}: would be taken for a part of the backup; if no program uses the file beside it, remove it",
        .0.display()
    )]
    LeftOver(PathBuf),
    /// The backup file does not exist.
    #[error("{}: there is no such backup", .0.display())]
    NoBackup(PathBuf),
    /// The source and the destination are the same file.
    #[error("{}: that is the database itself", .0.display())]
    SameFile(PathBuf),
    /// A server or another program has the file open.
    #[error("{}: the database is in use; stop the server first", .0.display())]
    InUse(PathBuf),
    /// The database is empty.
    #[error("{}: an empty database", .0.display())]
    Empty(PathBuf),
    /// The present database is so damaged that SQLite cannot replace its content.
    #[error("{}: damaged; move it away, together with the files beside it whose names start with its name, then restore again", .0.display())]
    Damaged(PathBuf),
    /// SQLite found damage in the copy.
    #[error("{}: the copy is malformed: {reason}", .path.display())]
    Malformed {
        /// The copy.
        path: PathBuf,
        /// SQLite's first finding.
        reason: String,
    },
    /// The operating system reported an error.
    #[error("{}: cannot write the file{}", .0.display(), remedy(.0, .1))]
    Io(PathBuf, #[source] io::Error),
    /// SQLite reported an error.
    #[error("{}: cannot copy the database: {reason}", .path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite reports.
        reason: String,
    },
}

impl BackupError {
    pub(super) fn new(path: &Path, error: &rusqlite::Error) -> Self {
        Self::Failed {
            path: path.to_owned(),
            reason: reason(error),
        }
    }

    /// Converts the error of a statement.
    pub(super) fn of_statement(path: &Path, error: &StatementError) -> Self {
        Self::Failed {
            path: path.to_owned(),
            reason: error.reason(),
        }
    }
}

/// Copies a consistent snapshot of the database at `source` to `destination`. The copy gets its name only when it is
/// complete, checked and on disk. Servers can write during the backup. An older schema is not migrated.
///
/// `progress` is called with the number of pages copied and their total. Returns the content of the copy.
///
/// # Errors
/// See [`BackupError`]. No file is left behind in that case.
pub fn back_up(
    source: &Path,
    destination: &Path,
    replace: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Content, BackupError> {
    let source = resolve_source(source)?;
    let destination = DatabaseFile::resolve_copy(destination)?;
    check_destination(&source, &destination, replace)?;
    let write_failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(destination.given().to_owned()),
        _ => BackupError::Io(destination.given().to_owned(), error),
    };
    let partial = Partial::create(destination.path(), 0o600).map_err(write_failed)?;
    let from = connect_source(&source)?;
    write_copy(&from, partial.path(), destination.given(), progress)?;
    drop(from);
    let content = check_copy(&partial, &destination)?;
    // Such files may have appeared while the copy was made.
    refuse_left_overs(&destination)?;
    let existing = if replace {
        Existing::Replace
    } else {
        Existing::Keep
    };
    partial.publish(existing).map_err(write_failed)?;
    Ok(content)
}

/// Resolves the path of the file to be copied, and inspects the file.
pub(super) fn resolve_source(source: &Path) -> Result<DatabaseFile, BackupError> {
    let source = DatabaseFile::resolve(source)?;
    source.make_if_missing(WhenMissing::Refuse)?;
    recover(&source)?;
    if inspect(&source)? == 0 {
        return Err(BackupError::Empty(source.given().to_owned()));
    }
    check_log(&source)?;
    Ok(source)
}

fn check_destination(
    source: &DatabaseFile,
    destination: &DatabaseFile,
    replace: bool,
) -> Result<(), BackupError> {
    let path = || destination.given().to_owned();
    let is_companion = source
        .companions()
        .iter()
        .any(|companion| companion == destination.path());
    if is_companion || is_same_file(source, destination) {
        return Err(BackupError::SameFile(path()));
    }
    if destination.exists() && !replace {
        return Err(BackupError::Exists(path()));
    }
    refuse_left_overs(destination)
}

/// Refuses a destination that has a log, an index or a journal beside it, which SQLite would treat as parts of the
/// file.
pub(super) fn refuse_left_overs(destination: &DatabaseFile) -> Result<(), BackupError> {
    let left = destination
        .companions()
        .into_iter()
        .find(|path| path.symlink_metadata().is_ok());
    left.map_or(Ok(()), |path| Err(BackupError::LeftOver(path)))
}

pub(super) fn is_same_file(one: &DatabaseFile, other: &DatabaseFile) -> bool {
    FileId::of(one.path()).is_ok_and(|id| FileId::of(other.path()).is_ok_and(|other| other == id))
}

/// Connects to the source. Closing this connection does not checkpoint a log that a killed process left behind, because
/// nothing has verified that it belongs to the file.
fn connect_source(source: &DatabaseFile) -> Result<Connection, BackupError> {
    let has_log = source.has_log();
    let connect = || {
        let connection = connect(source.path(), Mode::Write)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        // One read transaction for all steps. Without it, each write of a server would restart the copy.
        connection.execute_batch("BEGIN")?;
        read_schema(&connection)?;
        Ok(connection)
    };
    connect().map_err(|error| BackupError::new(source.given(), &error))
}

pub(super) fn write_copy(
    from: &Connection,
    path: &Path,
    shown: &Path,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), BackupError> {
    let failed = |error| BackupError::new(shown, &error);
    let mut to = connect(path, Mode::Write).map_err(failed)?;
    set(&to, shown, "synchronous", "OFF", "0")?;
    // Without an index of the log, whose name another user could take meanwhile.
    set(&to, shown, "locking_mode", "EXCLUSIVE", "exclusive")?;
    copy(from, &mut to, progress).map_err(failed)?;
    // Without WAL mode the copy is a single file, which can be moved and read on its own.
    match set(&to, shown, "journal_mode", "DELETE", "delete") {
        // The caller decides whether the copy may be damaged.
        Ok(()) | Err(OpenError::Malformed { .. } | OpenError::NotADatabase(_)) => {}
        Err(error) => return Err(error.into()),
    }
    to.close().map_err(|(_, error)| failed(error))
}

pub(super) fn copy(
    from: &Connection,
    to: &mut Connection,
    progress: &mut dyn FnMut(u64, u64),
) -> rusqlite::Result<()> {
    let backup = Backup::new(from, to)?;
    loop {
        let step = backup.step(PAGES_PER_STEP)?;
        let count = |pages: i32| u64::from(pages.unsigned_abs());
        let at = backup.progress();
        let total = count(at.pagecount);
        progress(total - count(at.remaining).min(total), total);
        match step {
            StepResult::Done => return Ok(()),
            // SQLite has already waited for the lock. No connection holds it for long, so try again.
            StepResult::Busy | StepResult::Locked => {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
            _ => {}
        }
    }
}

pub(super) fn check(connection: &Connection, shown: &Path) -> Result<(), BackupError> {
    let damage = damage(connection, "integrity_check(1)")
        .map_err(|error| BackupError::new(shown, &error))?;
    damage.into_iter().next().map_or(Ok(()), |reason| {
        Err(BackupError::Malformed {
            path: shown.to_owned(),
            reason,
        })
    })
}

/// Checks the finished copy through a new connection, as a later reader will open it.
fn check_copy(partial: &Partial, destination: &DatabaseFile) -> Result<Content, BackupError> {
    let file = DatabaseFile::resolve(partial.path())?;
    refuse_left_overs(&file)?;
    inspect(&file)?;
    let failed = |error| BackupError::new(destination.given(), &error);
    let connection = connect(file.path(), Mode::Inspect).map_err(failed)?;
    check(&connection, destination.given())?;
    Content::of(&connection).map_err(|error| BackupError::of_statement(destination.given(), &error))
}
