//! What can go wrong with the database, classified by SQLite's result code where it enters.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::{ErrorCode, ffi};
use rustix::process::geteuid;

use crate::files::{needs_the_right, remedy};

/// Why a query or a change failed. Shared, since one failed commit is the failure of everyone who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Passes by itself or when the operator makes room: a lock, the disk, memory.
    #[error("the database is not available: {}", reason(.0))]
    Unavailable(Arc<rusqlite::Error>),
    /// A malformed file or a mistake of this program.
    #[error("the database failed: {}", reason(.0))]
    Defect(Arc<rusqlite::Error>),
    /// The database was moved, removed or replaced while it is open.
    #[error("the path of the database leads to another file than the open one")]
    FileReplaced,
    /// Another process, or another call, writes many rows.
    #[error("another import is under way; try again after its end")]
    ImportUnderWay,
    /// The store was closed, or a change panicked.
    #[error("the database writer gave no answer")]
    NoAnswer,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(code) if is_passing(code) => Self::Unavailable(Arc::new(error)),
            _ => Self::Defect(Arc::new(error)),
        }
    }
}

/// Whether the same call may succeed later, without a change of the program or of what is in the file. An extended code
/// counts as its primary one.
fn is_passing(code: ErrorCode) -> bool {
    match code {
        // Another process holds a lock; PROTOCOL is one of the log that was held for ten seconds.
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed
        // The disk, its limits, its permissions, its cable.
        | ErrorCode::DiskFull
        | ErrorCode::NoLargeFileSupport
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::CannotOpen
        | ErrorCode::SystemIoFailure
        // The machine has too little memory at the moment.
        | ErrorCode::OutOfMemory
        // Another call took this one down with it, or another process changed the schema at the same moment.
        | ErrorCode::OperationAborted
        | ErrorCode::OperationInterrupted
        | ErrorCode::SchemaChanged => true,
        // A damaged file.
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        // A statement that is wrong or was given wrong values; nothing here forbids a statement by authorization.
        | ErrorCode::Unknown
        | ErrorCode::InternalMalfunction
        | ErrorCode::NotFound
        | ErrorCode::TooBig
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::ApiMisuse
        | ErrorCode::AuthorizationForStatementDenied
        | ErrorCode::ParameterOutOfRange => false,
        _ => false,
    }
}

/// Why a database file was not opened. Every text names the file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file, and the caller does not want one made.
    #[error("{}: no such database (`thanos-login init --db {}` makes one)", .0.display(), .0.display())]
    Missing(PathBuf),
    /// The file could not be made.
    #[error("{}: cannot create the database{}", .0.display(), remedy(.0, .1))]
    Create(PathBuf, #[source] std::io::Error),
    /// The path cannot be followed to its end.
    #[error("{}: cannot open the database{}", .0.display(), remedy(.0, .1))]
    Path(PathBuf, #[source] std::io::Error),
    /// A directory, a device or the like.
    #[error("{}: not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// A symbolic link whose target is missing.
    #[error("{}: a symbolic link to a file that does not exist", .0.display())]
    DanglingLink(PathBuf),
    /// A file with hard links.
    #[error(
        "{}: the file has several names (hard links), and its log is beside only one of them; remove the others, or copy the file",
        .0.display()
    )]
    SeveralNames(PathBuf),
    /// Some other kind of file.
    #[error("{}: not an SQLite database", .0.display())]
    NotADatabase(PathBuf),
    /// An SQLite database of another program.
    #[error("{}: an SQLite database of another program", .0.display())]
    NotOurs(PathBuf),
    /// Made by a newer release.
    #[error("{}: made by a newer thanos-login (schema {found}, this one knows {known})", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema version it has.
        found: i32,
        /// The newest version this program knows.
        known: i32,
    },
    /// Cut off or damaged.
    #[error("{}: truncated or malformed: {reason}; `thanos-login restore` puts a backup in its place", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The first finding.
        reason: String,
    },
    /// Damaged when it is read together with the log or journal beside it.
    #[error(
        "{}: malformed together with {}, which may belong to another database: {reason}; `thanos-login restore` puts a backup in the place of both, and if the file was copied here, remove that other file",
        .path.display(),
        .beside.display()
    )]
    MalformedWith {
        /// The file.
        path: PathBuf,
        /// Its log or journal.
        beside: PathBuf,
        /// The first finding.
        reason: String,
    },
    /// A log or a journal with content whose database is missing.
    #[error("{}: is here without its database; put that back beside it, or move this file away", .0.display())]
    Orphan(PathBuf),
    /// The file, or its directory, cannot be written.
    #[error("{}: not writable: {}", .0.display(), needs_to_write())]
    NotWritable(PathBuf),
    /// Another process works on it alone.
    #[error("{}: locked by another process, which `fuser {}` shows; try again when it has ended", .0.display(), .0.display())]
    InUse(PathBuf),
    /// The file system or the library did not take a setting.
    #[error("{}: cannot set {setting} to {wanted}: it stays {found}", .path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// Which one.
        setting: &'static str,
        /// The value that was asked for.
        wanted: &'static str,
        /// The value that it has.
        found: String,
    },
    /// Anything else that SQLite reports.
    #[error("{}: cannot open the database: {reason}", .path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite reports.
        reason: String,
    },
    /// A migration failed and was rolled back.
    #[error("{}: cannot migrate the database: {reason}", .path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// What SQLite reports.
        reason: String,
    },
    /// The linked SQLite has a bug that can lose commits.
    #[error("SQLite {found} is too old: 3.51.3 or newer is needed")]
    SqliteTooOld {
        /// The version of the linked library.
        found: &'static str,
    },
    /// The writer's thread could not be started.
    #[error("cannot start the database writer")]
    Thread(#[source] std::io::Error),
}

impl OpenError {
    /// Classifies what SQLite reports of the file at `path`.
    pub(super) fn new(path: &std::path::Path, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase(path),
            Some(ErrorCode::DatabaseCorrupt) => Self::Malformed {
                path,
                reason: reason(error),
            },
            Some(ErrorCode::ReadOnly) => Self::NotWritable(path),
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed,
            ) => Self::InUse(path),
            _ => Self::Failed {
                path,
                reason: reason(error),
            },
        }
    }
}

fn needs_to_write() -> String {
    let user = geteuid().as_raw();
    format!(
        "user {user}, who runs this, needs the right to write the file, those beside it and their directory, on a file system that is not read-only"
    )
}

/// What SQLite reports, without numbers and names that are only its own.
pub(super) fn reason(error: &rusqlite::Error) -> String {
    let text = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has locked it"
        }
        Some(ErrorCode::DiskFull) => "no space is left on the disk",
        Some(ErrorCode::ReadOnly) => return format!("not writable: {}", needs_to_write()),
        Some(ErrorCode::SystemIoFailure) => "the disk failed (input or output error)",
        Some(ErrorCode::CannotOpen) => {
            return format!(
                "the file, or one beside it that begins with its name, cannot be opened; {}",
                needs_the_right()
            );
        }
        Some(ErrorCode::DatabaseCorrupt) => "its pages contradict each other",
        Some(ErrorCode::OutOfMemory) => "out of memory",
        _ => match error {
            rusqlite::Error::SqliteFailure(_, Some(message)) => message,
            rusqlite::Error::SqliteFailure(code, None) => ffi::code_to_str(code.extended_code),
            _ => return error.to_string(),
        },
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_unavailable_and_all_else_a_defect() {
        let passing = [
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_RECOVERY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_LOCKED_SHAREDCACHE,
            ffi::SQLITE_PROTOCOL,
            ffi::SQLITE_FULL,
            ffi::SQLITE_NOLFS,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_READONLY_DBMOVED,
            ffi::SQLITE_READONLY_ROLLBACK,
            ffi::SQLITE_PERM,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_CANTOPEN_ISDIR,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_SHMMAP,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_ABORT,
            ffi::SQLITE_ABORT_ROLLBACK,
            ffi::SQLITE_INTERRUPT,
            ffi::SQLITE_SCHEMA,
        ];
        let defects = [
            ffi::SQLITE_ERROR,
            ffi::SQLITE_INTERNAL,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_CORRUPT_INDEX,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_NOTFOUND,
            ffi::SQLITE_TOOBIG,
            ffi::SQLITE_CONSTRAINT,
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY,
            ffi::SQLITE_MISMATCH,
            ffi::SQLITE_MISUSE,
            ffi::SQLITE_AUTH,
            ffi::SQLITE_RANGE,
        ];
        let classified =
            |code| Error::from(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for code in passing {
            assert!(matches!(classified(code), Error::Unavailable(_)), "{code}");
        }
        for code in defects {
            assert!(matches!(classified(code), Error::Defect(_)), "{code}");
        }
    }
}
