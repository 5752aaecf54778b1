//! Making a database what a backup holds. What it held before is kept beside it.

use std::os::unix::fs::{MetadataExt, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rustix::process::geteuid;

use super::backup::{
    BackupError, check, copy, is_same_file, refuse_left_overs, resolve_source, write_copy,
};
use super::content::{Content, is_without_content};
use super::engine;
use super::engine::sqlite::connect::{Mode, connect, run, set};
use super::engine::sqlite::database_file::{DatabaseFile, beside, file_bytes};
use super::engine::sqlite::inspect::inspect;
use super::engine::sqlite::migrate::newest_version;
use super::engine::sqlite::recover::recover;
use super::engine::{OpenError, WhenMissing};
use super::events::{self, Actor, Event};
use crate::files::{Partial, Revocable};
use crate::text::counted;

/// What the name of the database ends with where its old content is kept.
const KEPT: &str = ".before-restore";

/// A backup that was looked at, and the database that it shall replace.
///
/// A server, even an idle one, keeps a shared lock on its file; the exclusive one taken here shows that there is none, and
/// keeps one from starting in the middle.
pub struct Restoration {
    source: PathBuf,
    backup: Connection,
    destination: DatabaseFile,
    kept: DatabaseFile,
}

/// What a restore replaces, and by what.
pub struct Loss {
    /// `None` where it cannot be read.
    pub present: Option<Content>,
    /// What is in its place then.
    pub backup: Content,
    /// Where the present content is kept.
    pub kept: PathBuf,
}

/// What was restored.
pub struct Restored {
    /// What the database has now.
    pub content: Content,
    /// Where its content from before is, if it had any.
    pub kept: Option<PathBuf>,
}

impl Restoration {
    /// Looks at all of the backup at `source`.
    ///
    /// # Errors
    /// See [`BackupError`].
    pub fn prepare(source: &Path, destination: &Path) -> Result<Self, BackupError> {
        let destination = DatabaseFile::resolve(destination)?;
        let source = resolve_source(source).map_err(missing)?;
        if is_same_file(&source, &destination) {
            return Err(BackupError::SameFile(destination.given().to_owned()));
        }
        let backup = connect(source.path(), Mode::Inspect)
            .map_err(|error| BackupError::new(source.given(), &error))?;
        check(&backup, source.given())?;
        // Beside the file itself, if the path is a link.
        let given = match destination.given().is_symlink() {
            true => destination.path(),
            false => destination.given(),
        };
        Ok(Self {
            source: source.given().to_owned(),
            backup,
            kept: DatabaseFile::resolve(&beside(given, KEPT))?,
            destination,
        })
    }

    /// What [`Restoration::run`] would replace; `None` where nothing is.
    ///
    /// # Errors
    /// See [`BackupError`], in particular [`BackupError::InUse`].
    pub fn loss(&self) -> Result<Option<Loss>, BackupError> {
        if !self.destination.exists() {
            return Ok(None);
        }
        check_destination(&self.destination)?;
        let present = lock(&self.destination)?;
        if is_without_content(&present) {
            return Ok(None);
        }
        let failed = |error| BackupError::of_statement(self.destination.given(), &error);
        Ok(Some(Loss {
            present: Content::of(&present).ok(),
            backup: Content::of(&self.backup).map_err(failed)?,
            kept: self.kept.given().to_owned(),
        }))
    }

    /// Makes the database hold what the backup does, in one transaction: a crash in the middle leaves the old content. Makes
    /// the file if it is missing. What a log beside it holds is replaced, too. What was there before is kept.
    ///
    /// # Errors
    /// See [`BackupError`]; the database, and what an earlier restore has kept, are as before then.
    pub fn run(
        self,
        actor: &Actor,
        now: Timestamp,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Restored, BackupError> {
        let Self {
            source,
            backup,
            destination,
            kept,
        } = &self;
        if !destination.make_if_missing(WhenMissing::Create)? {
            check_destination(destination)?;
        }
        let failed = |error| BackupError::new(destination.given(), &error);
        let mut to = lock(destination)?;
        let old = match is_without_content(&to) {
            true => None,
            false => Some(keep(&to, destination, kept)?),
        };
        let before = Content::of(&to).ok();
        log_ahead(&to, destination)?;
        copy(backup, &mut to, progress).map_err(failed)?;
        let kept = old.map(|old| {
            old.keep();
            kept.given().to_owned()
        });
        run(&to, "PRAGMA writable_schema = RESET").map_err(failed)?;
        check(&to, destination.given())?;
        let content = Content::of(&to)
            .map_err(|error| BackupError::of_statement(destination.given(), &error))?;
        let event = Event {
            object: Some(source.display().to_string()),
            before: before.map(described),
            after: Some(described(content)),
            ..actor.event(now)
        };
        // All is replaced, so it is no failure any more.
        if let Err(error) = note(&to, &event) {
            tracing::warn!(
                error = error.reason(),
                "the restore is not among the events"
            );
        }
        fold_log_at_end(&to, true).map_err(failed)?;
        to.close().map_err(|(_, error)| failed(error))?;
        Ok(Restored { content, kept })
    }
}

fn described(content: Content) -> String {
    counted(content.users, "user")
}

/// Adds the event to what was restored, if its schema is the present one.
fn note(connection: &Connection, event: &Event) -> engine::Result<()> {
    let connection = engine::Connection::Sqlite(connection);
    match connection.schema_version()? == i64::from(newest_version()) {
        true => events::insert(&connection, event, None).map(drop),
        false => Ok(()),
    }
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

/// Takes a lock that nobody else's connection goes with, and keeps it as long as the connection. Nothing is changed until
/// more is done.
fn lock(file: &DatabaseFile) -> Result<Connection, BackupError> {
    try_lock(file).map_err(explained)
}

/// A backup is no database that a command makes.
fn missing(error: BackupError) -> BackupError {
    match error {
        BackupError::Open(OpenError::Missing(path)) => BackupError::NoBackup(path),
        other => other,
    }
}

fn explained(error: OpenError) -> BackupError {
    match error {
        OpenError::InUse(path) => BackupError::InUse(path),
        OpenError::Malformed { path, .. } => BackupError::Damaged(path),
        other => other.into(),
    }
}

fn try_lock(file: &DatabaseFile) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::new(file.given(), &error);
    let has_log = file_bytes(&file.log()) > 0;
    let connection = connect(file.path(), Mode::Write).map_err(failed)?;
    connection.busy_timeout(Duration::ZERO).map_err(failed)?;
    fold_log_at_end(&connection, !has_log).map_err(failed)?;
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
    Ok(connection)
}

/// A log that was there before may belong to another database: it is left there unless all was replaced.
fn fold_log_at_end(connection: &Connection, folds: bool) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !folds)
        .map(|_| ())
}

/// Without, a source in WAL mode would change the mode in the middle, and an empty journal would stay.
fn log_ahead(connection: &Connection, file: &DatabaseFile) -> Result<(), BackupError> {
    match set(connection, file.given(), "journal_mode", "WAL", "wal") {
        // Its content is about to be replaced.
        Ok(()) | Err(OpenError::Malformed { .. } | OpenError::NotADatabase(_)) => Ok(()),
        Err(error) => Err(explained(error)),
    }
}

/// Copies what the database holds, damaged or not, in place of what an earlier restore has kept.
fn keep(
    connection: &Connection,
    file: &DatabaseFile,
    kept: &DatabaseFile,
) -> Result<Revocable, BackupError> {
    let failed = |error: io::Error| BackupError::Io(kept.given().to_owned(), error);
    refuse_left_overs(kept)?;
    let partial = Partial::create(kept.path(), 0o600).map_err(failed)?;
    if geteuid().is_root() {
        // It is the server's, as the database is.
        let owner = fs::metadata(file.path()).map_err(failed)?;
        fchown(partial.file(), Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
    }
    write_copy(connection, partial.path(), kept.given(), &mut |_, _| {})?;
    partial.publish_revocably().map_err(failed)
}
