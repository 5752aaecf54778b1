//! Why a database is not opened.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use super::StatementError;
use super::sqlite::codes::{needs_to_write, reason};
use crate::files::remedy;

/// Why a database was not opened. Every text names the file, or the servers.
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
    /// No server of the database answers, or none lets this program in.
    #[cfg(feature = "postgres")]
    #[error("{address}: cannot use the database server: {reason}")]
    Server {
        /// Its hosts and its name.
        address: String,
        /// What the last of them reports.
        reason: String,
    },
    /// There is no schema, and the caller does not want one made.
    #[cfg(feature = "postgres")]
    #[error("{0}: no tables of thanos-login (`thanos-login init` makes them)")]
    NoSchema(String),
    /// The schema is missing or older, and the role has no right to change that.
    #[cfg(feature = "postgres")]
    #[error(
        "{address}: this role may not make or migrate the tables of thanos-login: {reason}; run `thanos-login init` as their owner first"
    )]
    MayNotMigrate {
        /// Its hosts and its name.
        address: String,
        /// What the server reports.
        reason: String,
    },
    /// A schema of the same name that is another program's.
    #[cfg(feature = "postgres")]
    #[error("{0}: the schema thanos_login is not one of this program")]
    ForeignSchema(String),
    /// Made by a newer release.
    #[cfg(feature = "postgres")]
    #[error("{address}: made by a newer thanos-login (schema {found}, this one knows {known})")]
    NewerSchema {
        /// Its hosts and its name.
        address: String,
        /// The schema version it has.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The writer's thread could not be started.
    #[error("cannot start the database writer")]
    Thread(#[source] std::io::Error),
}

impl OpenError {
    /// Whether there is no database, and one could be made.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Missing(_) => true,
            #[cfg(feature = "postgres")]
            Self::NoSchema(_) => true,
            _ => false,
        }
    }

    /// Classifies what a statement in the file at `path` reports.
    pub(in crate::store) fn of_statement(path: &std::path::Path, error: &StatementError) -> Self {
        match error {
            StatementError::Sqlite(error) => Self::new(path, error),
            other => Self::Failed {
                path: path.to_owned(),
                reason: other.reason(),
            },
        }
    }

    /// Classifies what SQLite reports of the file at `path`.
    pub(in crate::store) fn new(path: &std::path::Path, error: &rusqlite::Error) -> Self {
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
