//! Backing a database up while servers write to it.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;

use super::content::Content;
use super::engine::StatementError;
use super::engine::sqlite::connect::{Mode, connect, damage, set, touch};
use super::engine::sqlite::database_file::{DatabaseFile, FileId};
use super::engine::sqlite::inspect::inspect;
use super::engine::sqlite::reason;
use super::engine::sqlite::recover::recover;
use super::engine::{OpenError, WhenMissing};
use crate::files::{Existing, Partial, remedy};

/// Some milliseconds of work; progress is reported in between.
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
    /// A log, an index or a journal is beside the destination.
    #[error(
        "{}: would be taken for a part of the backup; if no program uses the file beside it, remove it",
        .0.display()
    )]
    LeftOver(PathBuf),
    /// There is no such file to restore from.
    #[error("{}: there is no such backup", .0.display())]
    NoBackup(PathBuf),
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
    #[error("{}: cannot write the file{}", .0.display(), remedy(.0, .1))]
    Io(PathBuf, #[source] io::Error),
    /// SQLite refused something.
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

    /// The same of a statement.
    pub(super) fn of_statement(path: &Path, error: &StatementError) -> Self {
        Self::Failed {
            path: path.to_owned(),
            reason: error.reason(),
        }
    }
}

/// Copies the database at `source`, as it is at one moment, to `destination`, which gets its name only once it is whole,
/// checked and on disk. Servers go on writing meanwhile. An older schema stays as it is.
///
/// `progress` hears how many pages are done, of how many. Returns what the copy has.
///
/// # Errors
/// See [`BackupError`]; nothing is left behind then.
pub fn back_up(
    source: &Path,
    destination: &Path,
    replace: bool,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Content, BackupError> {
    let source = resolve_source(source)?;
    let destination = DatabaseFile::resolve(destination)?;
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
    // Copying takes a while.
    refuse_left_overs(&destination)?;
    let existing = if replace {
        Existing::Replace
    } else {
        Existing::Keep
    };
    partial.publish(existing).map_err(write_failed)?;
    Ok(content)
}

/// The file that is copied.
pub(super) fn resolve_source(source: &Path) -> Result<DatabaseFile, BackupError> {
    let source = DatabaseFile::resolve(source)?;
    source.make_if_missing(WhenMissing::Refuse)?;
    recover(&source)?;
    match inspect(&source)? {
        0 => Err(BackupError::Empty(source.given().to_owned())),
        _ => Ok(source),
    }
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

/// SQLite takes what lies beside a file for a part of it.
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

/// Closing this connection writes no log back that a killed process left behind: nobody has looked whether it fits.
fn connect_source(source: &DatabaseFile) -> Result<Connection, BackupError> {
    let has_log = source.has_log();
    let connect = || {
        let connection = connect(source.path(), Mode::Write)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log)?;
        // One read for all steps: without it, each write of a server would make the copy start again.
        connection.execute_batch("BEGIN")?;
        touch(&connection)?;
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
    copy(from, &mut to, progress).map_err(failed)?;
    // In one file, which can be moved alone and read from anywhere.
    match set(&to, shown, "journal_mode", "DELETE", "delete") {
        // Whether the copy may be damaged is for the caller to say.
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
            // Nobody holds a lock for long; SQLite has waited for it already.
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

/// Reads the finished file as those who open it will: through a new connection, alone and in one piece.
fn check_copy(partial: &Partial, destination: &DatabaseFile) -> Result<Content, BackupError> {
    let file = DatabaseFile::resolve(partial.path())?;
    refuse_left_overs(&file)?;
    inspect(&file)?;
    let failed = |error| BackupError::new(destination.given(), &error);
    let connection = connect(file.path(), Mode::Inspect).map_err(failed)?;
    check(&connection, destination.given())?;
    Content::of(&connection).map_err(|error| BackupError::of_statement(destination.given(), &error))
}
