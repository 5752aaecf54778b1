//! The errors of opening a database.

use std::path::PathBuf;

use rusqlite::ErrorCode;

use super::StatementError;
use super::sqlite::codes::{needs_to_write, reason};
use crate::files::remedy;

/// Why a database was not opened. Every message names the file or the servers.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file does not exist, and the caller does not want it to be created.
    #[error("{}: no such database (`thanos-login init --db {}` creates it)", .0.display(), .0.display())]
    Missing(PathBuf),
    /// The file could not be created.
    #[error("{}: cannot create the database{}", .0.display(), remedy(.0, .1))]
    Create(PathBuf, #[source] std::io::Error),
    /// The path cannot be resolved.
    #[error("{}: cannot open the database{}", .0.display(), remedy(.0, .1))]
    Path(PathBuf, #[source] std::io::Error),
    /// The path leads to a directory, a device or another special file.
    #[error("{}: not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// The path is a symbolic link whose target does not exist.
    #[error("{}: a symbolic link to a file that does not exist", .0.display())]
    DanglingLink(PathBuf),
    /// The path of a copy is a symbolic link that another user has created.
    #[error("{}: a symbolic link that belongs to another user; remove it, or give the path of a file", .0.display())]
    LinkOfAnother(PathBuf),
    /// A file beside the database, which SQLite would use as a part of it, is a special file, a link, or has several
    /// hard links.
    #[error("{}: the database would use it, but it is not a regular file with a single name; move it away", .0.display())]
    StrangeCompanion(PathBuf),
    /// The file has several hard links.
    #[error(
        "{}: the file has several names (hard links), and its log is beside only one of them; remove the others, or copy the file",
        .0.display()
    )]
    SeveralNames(PathBuf),
    /// The file is not an SQLite database.
    #[error("{}: not an SQLite database", .0.display())]
    NotADatabase(PathBuf),
    /// The file is an SQLite database of another program.
    #[error("{}: an SQLite database of another program", .0.display())]
    NotOurs(PathBuf),
    /// The database has a newer schema than this program knows.
    #[error("{}: made by a newer thanos-login (schema {found}, this one knows {known})", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The schema version it has.
        found: i32,
        /// The newest version this program knows.
        known: i32,
    },
    /// The file is truncated or damaged.
    #[error("{}: truncated or malformed: {reason}; `thanos-login restore` puts a backup in its place", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The first finding.
        reason: String,
    },
    /// The file is damaged when it is read together with the log or journal beside it.
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
    /// There is a log or a journal with content, and its database is missing.
    #[error("{}: exists without its database; put the database back beside it, or move this file away", .0.display())]
    Orphan(PathBuf),
    /// The file or its directory cannot be written.
    #[error("{}: not writable: {}", .0.display(), needs_to_write())]
    NotWritable(PathBuf),
    /// Another process has locked the file.
    #[error("{}: locked by another process, which `fuser {}` shows; try again when it has ended", .0.display(), .0.display())]
    InUse(PathBuf),
    /// SQLite did not accept a setting.
    #[error("{}: cannot set {setting} to {wanted}: it stays {found}", .path.display())]
    Setting {
        /// The file.
        path: PathBuf,
        /// The name of the setting.
        setting: &'static str,
        /// The value that was requested.
        wanted: &'static str,
        /// The value that it has.
        found: String,
    },
    /// SQLite reported another error.
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
    /// No server of the database replies or accepts a connection of this program.
    #[cfg(feature = "postgres")]
    #[error("{address}: cannot use the database server: {reason}")]
    Server {
        /// The hosts and the name of the database.
        address: String,
        /// The error of the last server.
        reason: String,
    },
    /// There is no schema, and the caller does not want it to be created.
    #[cfg(feature = "postgres")]
    #[error("{0}: no tables of thanos-login (`thanos-login init` creates them)")]
    NoSchema(String),
    /// The schema is missing or older, and the role has no privilege to create or migrate it.
    #[cfg(feature = "postgres")]
    #[error(
        "{address}: this role may not create or migrate the tables of thanos-login: {reason}; run `thanos-login init` as their owner first"
    )]
    MayNotMigrate {
        /// The hosts and the name of the database.
        address: String,
        /// What the server reports.
        reason: String,
    },
    /// A schema of the same name belongs to another program.
    #[cfg(feature = "postgres")]
    #[error("{0}: the schema thanos_login belongs to another program")]
    ForeignSchema(String),
    /// The database has a newer schema than this program knows.
    #[cfg(feature = "postgres")]
    #[error("{address}: made by a newer thanos-login (schema {found}, this one knows {known})")]
    NewerSchema {
        /// The hosts and the name of the database.
        address: String,
        /// The schema version it has.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// The thread of the writer could not be started.
    #[error("cannot start the database writer")]
    Thread(#[source] std::io::Error),
}

impl OpenError {
    /// Whether the database does not exist and could be created.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Missing(_) => true,
            #[cfg(feature = "postgres")]
            Self::NoSchema(_) => true,
            _ => false,
        }
    }

    /// Classifies the error of a statement on the file at `path`.
    pub(in crate::store) fn of_statement(path: &std::path::Path, error: &StatementError) -> Self {
        match error {
            StatementError::Sqlite(error) => Self::new(path, error),
            other => Self::Failed {
                path: path.to_owned(),
                reason: other.reason(),
            },
        }
    }

    /// Classifies an error that SQLite reports for the file at `path`.
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
