//! Restoring a database from a backup. The previous content is kept in a file beside it.

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
use super::engine::sqlite::identity::write_secret;
use super::engine::sqlite::inspect::inspect;
use super::engine::sqlite::migrate::newest_version;
use super::engine::sqlite::recover::recover;
use super::engine::{OpenError, WhenMissing};
use super::events::{self, Actor, Event};
use crate::files::{Partial, Revocable};
use crate::text::counted;

/// The suffix of the file that keeps the previous content.
const KEPT: &str = ".before-restore";

/// A backup that has been checked, and the database that it will replace.
///
/// A server, even an idle one, holds a shared lock on its file. The exclusive lock that is taken here ensures that no
/// server is running, and prevents one from starting during the restore.
pub struct Restoration {
    source: PathBuf,
    backup: Connection,
    destination: DatabaseFile,
    kept: DatabaseFile,
}

/// The content that a restore replaces, and the content that replaces it.
pub struct ReplacedContent {
    /// The present content. `None` if it cannot be read.
    pub present: Option<Content>,
    /// The content of the backup.
    pub backup: Content,
    /// The file in which the present content will be kept.
    pub kept: PathBuf,
}

/// The result of a restore.
pub struct Restored {
    /// The restored content.
    pub content: Content,
    /// The file with the previous content, if there was any.
    pub kept: Option<PathBuf>,
}

impl Restoration {
    /// Checks the whole backup at `source`.
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
        // If the path is a symbolic link, the kept file is beside the link's target.
        let given = match destination.given().is_symlink() {
            true => destination.path(),
            false => destination.given(),
        };
        Ok(Self {
            source: source.given().to_owned(),
            backup,
            kept: DatabaseFile::resolve_copy(&beside(given, KEPT))?,
            destination,
        })
    }

    /// The content that [`Restoration::run`] would replace. `None` if there is none.
    ///
    /// # Errors
    /// See [`BackupError`], in particular [`BackupError::InUse`].
    pub fn replaced_content(&self) -> Result<Option<ReplacedContent>, BackupError> {
        if !self.destination.exists() {
            return Ok(None);
        }
        check_destination(&self.destination)?;
        let present = lock(&self.destination)?;
        if is_without_content(&present) {
            return Ok(None);
        }
        let failed = |error| BackupError::of_statement(self.destination.given(), &error);
        Ok(Some(ReplacedContent {
            present: Content::of(&present).ok(),
            backup: Content::of(&self.backup).map_err(failed)?,
            kept: self.kept.given().to_owned(),
        }))
    }

    /// Replaces the content of the database by that of the backup, in one transaction: a crash during the restore
    /// leaves the old content. Creates the file if it is missing. The content of a log beside the file is replaced too.
    /// The previous content is kept.
    ///
    /// # Errors
    /// See [`BackupError`]. The database, and the file that an earlier restore has kept, are unchanged in that case.
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
        use_wal(&to, destination)?;
        // The row that `write_secret` writes has to stay in the log until the end, so that the log is known to belong to
        // the file. If the file has no secret, or is damaged, the log cannot be taken for that of another database.
        set(&to, destination.given(), "wal_autocheckpoint", "0", "0")?;
        let _ = write_secret(&to);
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
        // The content has been replaced already, so the restore must not fail because of the event.
        if let Err(error) = record_event(&to, &event) {
            tracing::warn!(
                error = error.reason(),
                "cannot record the restore in the events"
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

/// Adds the event to the restored database, unless it has an older schema.
fn record_event(connection: &Connection, event: &Event) -> engine::Result<()> {
    let connection = engine::Connection::Sqlite(connection);
    match connection.schema_version()? == i64::from(newest_version()) {
        true => events::insert(&connection, event, None).map(drop),
        false => Ok(()),
    }
}

/// Checks whether SQLite can write to the destination. Damaged content is accepted, because it will be replaced.
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

/// Opens the file with an exclusive lock, which is held until the connection is closed. Changes nothing.
fn lock(file: &DatabaseFile) -> Result<Connection, BackupError> {
    try_lock(file).map_err(explained)
}

/// Replaces the error for a missing database, whose remedy `init` does not apply to a backup.
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
    // With this setting, a schema that cannot be read is not an error. It will be replaced.
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

/// Sets whether closing the connection checkpoints the log. A log that existed before may belong to another database,
/// so it is left unchanged unless the restore succeeds.
fn fold_log_at_end(connection: &Connection, folds: bool) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !folds)
        .map(|_| ())
}

/// Switches to WAL mode before the copy. Otherwise a source in WAL mode would change the mode during the copy, and an
/// empty journal would be left behind.
fn use_wal(connection: &Connection, file: &DatabaseFile) -> Result<(), BackupError> {
    match set(connection, file.given(), "journal_mode", "WAL", "wal") {
        // Damage is not an error here, because the content will be replaced.
        Ok(()) | Err(OpenError::Malformed { .. } | OpenError::NotADatabase(_)) => Ok(()),
        Err(error) => Err(explained(error)),
    }
}

/// Copies the present content, damaged or not, to the kept file, and replaces that of an earlier restore.
fn keep(
    connection: &Connection,
    file: &DatabaseFile,
    kept: &DatabaseFile,
) -> Result<Revocable, BackupError> {
    let failed = |error: io::Error| BackupError::Io(kept.given().to_owned(), error);
    refuse_left_overs(kept)?;
    let partial = Partial::create(kept.path(), 0o600).map_err(failed)?;
    if geteuid().is_root() {
        // The kept file gets the owner of the database, which is usually the server's user.
        let owner = fs::metadata(file.path()).map_err(failed)?;
        fchown(partial.file(), Some(owner.uid()), Some(owner.gid())).map_err(failed)?;
    }
    write_copy(connection, partial.path(), kept.given(), &mut |_, _| {})?;
    partial.publish_revocably().map_err(failed)
}
