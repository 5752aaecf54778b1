//! What can go wrong with the database, sorted by SQLite's result code where it enters.

use std::path::PathBuf;
use std::sync::Arc;

use rusqlite::ErrorCode;

/// Why a query or a change failed. Shared, since one failed commit is the failure of everyone who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Passes by itself or when the operator makes room: busy, locked, full, read-only, cannot open, input or output.
    #[error("the database is not available")]
    Unavailable(#[source] Arc<rusqlite::Error>),
    /// A malformed file or a mistake of this program.
    #[error("the database failed")]
    Defect(#[source] Arc<rusqlite::Error>),
    /// The store was closed, or a change panicked.
    #[error("the database writer gave no answer")]
    NoAnswer,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure,
            ) => Self::Unavailable(Arc::new(error)),
            _ => Self::Defect(Arc::new(error)),
        }
    }
}

/// Why a database file was not opened. Every text names the file.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such file, and the caller does not want one made.
    #[error("{}: no such database (`thanos-login init` makes one)", .0.display())]
    Missing(PathBuf),
    /// The file could not be made.
    #[error("{}: cannot create the database", .0.display())]
    Create(PathBuf, #[source] std::io::Error),
    /// A directory, a device or the like.
    #[error("{}: not a regular file", .0.display())]
    NotAFile(PathBuf),
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
    #[error("{}: truncated or malformed: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// SQLite's first finding.
        reason: String,
    },
    /// The file, or its directory, cannot be written.
    #[error("{}: not writable", .0.display())]
    NotWritable(PathBuf),
    /// Anything else that SQLite says.
    #[error("{}: cannot open the database", .0.display())]
    Sqlite(PathBuf, #[source] rusqlite::Error),
    /// A migration failed and was rolled back.
    #[error("{}: cannot migrate the database", .0.display())]
    Migration(PathBuf, #[source] rusqlite_migration::Error),
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
