//! Organizations, users and tokens in one SQLite file.
//!
//! The only module that speaks SQL. It knows nothing of HTTP, sees no plain password (callers bring finished hashes and
//! digests) and reads no clock: whatever depends on time takes `now`.

mod accounts;
mod audit;
mod backup;
mod connect;
mod content;
mod database_file;
mod editing;
mod error;
mod events;
mod export;
mod failed_logins;
mod figures;
mod history;
mod import;
mod inspect;
mod issued;
mod listing;
mod lock;
mod login_events;
mod look;
mod members;
mod migrate;
mod notes;
mod open;
mod organizations;
mod readers;
mod recover;
mod removal;
mod renaming;
mod restore;
mod rows;
mod tokens;
mod users;
mod visible;
mod watch;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;

use crate::low_priority::with_low_priority;

pub use accounts::{Account, Identity, Lookup};
pub use audit::{AuditFinding, audit_database, audit_sqlite};
pub use backup::{BackupError, back_up};
pub use content::Content;
pub use database_file::{DatabaseFile, WhenMissing};
pub use editing::{Edited, Editing};
pub use error::{Error, OpenError};
pub use events::{Actor, Event, LOGIN, LoginOutcome};
pub use failed_logins::{CounterKey, FailedLogins, LimitKind};
pub use figures::{AccountCounts, Figures};
pub use history::EventFilter;
pub use import::{Checked, Import, Imported, KnownHashes, Outcome, Pins, Summary};
pub use inspect::check_file;
pub use issued::{DigestRange, TokenRow};
pub use listing::{Listing, OrganizationOrder, TokenOrder, UserOrder};
pub use lock::UserLock;
pub use login_events::RecordedLogin;
pub use look::{OpenedBy, Progress};
pub use members::{Member, Organization};
pub use open::{Durability, Migrated};
pub use organizations::{OrganizationFilter, OrganizationRow};
pub use removal::Removal;
pub use renaming::Renaming;
pub use restore::{Loss, Restoration, Restored};
pub use tokens::{Holder, NewToken, VerifiedLogin};
pub use users::{UserFilter, UserRow};

use notes::Notes;
use readers::{LONG_QUERIES, LOOK_UPS, Readers};
use watch::Watch;
use writer::Writer;

/// One database file, open for reading and writing. Dropping it ends the writer and checkpoints the file.
pub struct Store {
    readers: Readers,
    long_readers: Readers,
    writer: Writer,
    /// `None` for a database that is thrown away: nobody else knows its name.
    watch: Option<Arc<Watch>>,
    is_new: bool,
    was_unclean: bool,
    /// What an import of many rows locks; `None` for a database that is thrown away.
    import_lock: Option<PathBuf>,
    /// Of the file.
    directory: PathBuf,
    /// Who makes the changes, if an administrator does.
    actor: Option<Actor>,
}

impl Store {
    /// Opens the file at `path` for a command, making it if `missing` allows, and brings an older one up to the present
    /// schema.
    ///
    /// # Errors
    /// [`OpenError`] names the file; one that is refused is left as it was.
    pub fn open(
        path: &Path,
        missing: WhenMissing,
        durability: Durability,
    ) -> Result<(Self, Option<Migrated>), OpenError> {
        let progress = Box::new(|_, _| {});
        Self::open_by(OpenedBy::Command, path, missing, durability, progress)
    }

    /// Opens the file at `path` for a command or a server; `progress` hears how far the look at all of the file is that an
    /// unclean end takes.
    ///
    /// # Errors
    /// [`OpenError`] names the file; one that is refused is left as it was.
    pub fn open_by(
        by: OpenedBy,
        path: &Path,
        missing: WhenMissing,
        durability: Durability,
        progress: Progress,
    ) -> Result<(Self, Option<Migrated>), OpenError> {
        let file = DatabaseFile::resolve(path)?;
        let opened = open::writing_connection(&file, missing, durability, by, progress)?;
        let watch = match durability {
            Durability::Full => Some(Arc::new(Watch::start(&file)?)),
            Durability::None => None,
        };
        let readers = |kind| match &watch {
            Some(watch) => Ok(Readers::new(file.path(), kind, Some(Arc::clone(watch)))),
            None => Readers::open_all(file.path(), kind)
                .map_err(|error| OpenError::new(file.given(), &error)),
        };
        let (readers, long_readers) = (readers(LOOK_UPS)?, readers(LONG_QUERIES)?);
        let writer = Writer::start(opened.connection, watch.clone()).map_err(OpenError::Thread)?;
        let store = Self {
            readers,
            long_readers,
            writer,
            watch,
            is_new: opened.is_new,
            was_unclean: opened.was_unclean,
            import_lock: (durability == Durability::Full).then(|| file.import_lock()),
            directory: file.directory().to_owned(),
            actor: None,
        };
        // A server does this while it answers.
        if by == OpenedBy::Command
            && let Err(error) = store.remove_unfinished_imports(&|| false)
        {
            tracing::warn!(%error, "cannot remove what an import has left behind; it does not count");
        }
        Ok((store, opened.migrated))
    }

    /// From here on each change is noted in `events` as this one's.
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// For a change, which takes it into its transaction.
    fn notes(&self, now: Timestamp) -> Notes {
        Notes {
            actor: self.actor.clone(),
            now,
            import_id: None,
        }
    }

    /// Whether there was no such file when it was opened, or one without anything in it.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// Whether a killed process had left its log behind; all of the file was looked at then.
    pub fn was_unclean(&self) -> bool {
        self.was_unclean
    }

    /// Looks whether the path still leads to the open file; where it does not, this and all other calls fail until it does.
    ///
    /// # Errors
    /// [`Error::FileReplaced`].
    pub fn check_path(&self) -> Result<(), Error> {
        match &self.watch {
            Some(watch) if watch.look() => Err(Error::FileReplaced),
            _ => Ok(()),
        }
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.readers.read(query)
    }

    /// For queries over many rows: no look-up waits for one, and they take little of a processor that others want.
    fn read_long<T: Send>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send,
    ) -> Result<T, Error> {
        with_low_priority("store-reader", || self.long_readers.read(query))
    }

    /// Runs `change` in the writer's next transaction and returns once that is committed, hence on disk.
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.writer.write(change, |_| true)
    }

    /// The same, but what `change` has written is undone when it gives the inner error.
    fn write_unless_refused<T: Send + 'static, R: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, R>> + Send + 'static,
    ) -> Result<Result<T, R>, Error> {
        self.writer.write(change, Result::is_ok)
    }
}
