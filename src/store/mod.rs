//! Storage of organizations, users and tokens in a SQLite file or a PostgreSQL database.
//!
//! This is the only module that contains SQL. It knows nothing of HTTP, never sees a plain password (callers pass
//! hashes and digests), and never reads the clock: functions that depend on the time take `now`.

mod accounts;
mod audit;
mod backup;
mod content;
mod editing;
mod engine;
mod event_recorder;
mod events;
mod export;
mod failed_logins;
mod health;
mod history;
mod import;
mod issued;
mod listing;
mod location;
mod lock;
mod login_attempts;
mod login_events;
mod members;
mod metrics;
mod organizations;
mod removal;
mod renaming;
mod restore;
mod rows;
mod search;
mod tokens;
mod users;

use std::path::Path;

use jiff::Timestamp;

pub use accounts::{Account, Identity, Lookup};
pub use audit::{AuditFinding, audit_database, audit_sqlite};
#[cfg(feature = "postgres")]
pub use audit::{audit_servers, check_servers};
pub use backup::{BackupError, back_up};
pub use content::Content;
pub use editing::{EditOutcome, EditedRow};
pub use engine::sqlite::database_file::DatabaseFile;
pub use engine::sqlite::inspect::check_file;
pub use engine::sqlite::integrity::IntegrityProgress;
pub use engine::sqlite::open::Durability;
pub use engine::{Error, Migrated, OpenError, OpenedBy, StatementError, WhenMissing};
pub use events::{Actor, Event, LOGIN, LoginOutcome};
pub use failed_logins::{CounterKey, FailedLogins, LimitKind};
pub use history::EventFilter;
pub use import::{Import, ImportCheck, ImportOutcome, Imported, KnownHashes, Pins, RowCounts};
pub use issued::{DigestRange, TokenRow};
pub use listing::{Listing, OrganizationOrder, TokenOrder, UserOrder};
pub use location::{Location, LocationError};
pub use lock::UserLock;
pub use login_attempts::{AttemptId, LoginCounts};
pub use login_events::RecordedLogin;
pub use members::{Member, Organization};
pub use metrics::{AccountCounts, DatabaseMetrics};
pub use organizations::{OrganizationFilter, OrganizationRow};
pub use removal::RemovalOutcome;
pub use renaming::RenameOutcome;
pub use restore::{ReplacedContent, Restoration, Restored};
pub use tokens::{Holder, NewToken, VerifiedLogin};
pub use users::{UserFilter, UserRow};

#[cfg(feature = "postgres")]
use engine::postgres::Servers;
use engine::sqlite::Sqlite;
use engine::{Connection, Database, LongQuery};
use event_recorder::EventRecorder;

/// A database that is open for reading and writing. Dropping it ends the writer thread of a file and checkpoints the
/// file.
pub struct Store {
    database: Database,
    /// The operator who makes the changes. `None` for a server.
    actor: Option<Actor>,
}

impl Store {
    /// Opens the file at `path` for a command. Creates a missing file if `missing` allows that, and migrates an older
    /// schema.
    ///
    /// # Errors
    /// [`OpenError`]. A file that is refused is left unchanged.
    pub fn open(
        path: &Path,
        missing: WhenMissing,
        durability: Durability,
    ) -> Result<(Self, Option<Migrated>), OpenError> {
        let progress = Box::new(|_, _| {});
        Self::open_by(OpenedBy::Command, path, missing, durability, progress)
    }

    /// Opens the file at `path` for a command or a server. `progress` is called during the integrity check after an
    /// unclean shutdown.
    ///
    /// # Errors
    /// [`OpenError`]. A file that is refused is left unchanged.
    pub fn open_by(
        by: OpenedBy,
        path: &Path,
        missing: WhenMissing,
        durability: Durability,
        progress: IntegrityProgress,
    ) -> Result<(Self, Option<Migrated>), OpenError> {
        let (file, migrated) = Sqlite::open(by, path, missing, durability, progress)?;
        let store = Self::of(Database::File(file));
        // A server does this in the background.
        if by == OpenedBy::Command
            && let Err(error) = store.remove_unfinished_imports(&|| false)
        {
            tracing::warn!(%error, "cannot remove the rows of an interrupted import; they have no effect");
        }
        Ok((store, migrated))
    }

    /// Opens the database at a location, with full durability.
    ///
    /// # Errors
    /// [`OpenError`] names the file, or the hosts and the database.
    pub fn open_at(
        by: OpenedBy,
        location: &Location,
        missing: WhenMissing,
        progress: IntegrityProgress,
    ) -> Result<(Self, Option<Migrated>), OpenError> {
        match location {
            Location::File(path) => Self::open_by(by, path, missing, Durability::Full, progress),
            #[cfg(feature = "postgres")]
            Location::Servers { address, authority } => {
                let (servers, migrated) =
                    Servers::open(address.as_ref().clone(), authority.as_deref(), missing, by)?;
                Ok((Self::of(Database::Servers(servers)), migrated))
            }
        }
    }

    fn of(database: Database) -> Self {
        let actor = None;
        Self { database, actor }
    }

    /// Sets the actor who is recorded in `events` with each change.
    pub fn with_actor(mut self, actor: Actor) -> Self {
        self.actor = Some(actor);
        self
    }

    /// The recorder of events for one change. The change moves it into its transaction.
    fn recorder(&self, now: Timestamp) -> EventRecorder {
        EventRecorder {
            actor: self.actor.clone(),
            now,
            import_id: None,
        }
    }

    /// Whether the database did not exist, or was empty, when it was opened.
    pub fn is_new(&self) -> bool {
        self.database.is_new()
    }

    /// Whether a killed process had left its log behind. The integrity of the whole file was checked in that case.
    pub fn was_unclean(&self) -> bool {
        self.database.was_unclean()
    }

    /// Whether the database is on PostgreSQL servers, so that every call may have to wait for the network.
    pub fn is_remote(&self) -> bool {
        self.database.is_remote()
    }

    /// Makes changes fail soon, from now on, if they have to wait for the lock of another process.
    pub fn stop_waiting(&self) {
        self.database.stop_waiting();
    }

    /// Checks whether the path still leads to the open file. If it does not, this and all other calls fail until it
    /// does again. They fail for good if another content was copied into the file.
    ///
    /// # Errors
    /// [`Error::FileReplaced`].
    pub fn check_path(&self) -> Result<(), Error> {
        self.database.check_path()
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> engine::Result<T>) -> Result<T, Error> {
        self.database.read(query)
    }

    /// Runs a query over many rows in a thread of low priority. With a file, it uses connections of its own kind, so that
    /// look-ups do not wait for it.
    fn read_long<T: Send>(
        &self,
        kind: LongQuery,
        query: impl FnOnce(&Connection) -> engine::Result<T> + Send,
    ) -> Result<T, Error> {
        self.database.read_long(kind, query)
    }

    /// Runs `change` in a transaction, and returns when it is committed. The commit is on disk then, unless the change
    /// has disabled that.
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> engine::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.database.write(change, |_| true)
    }

    /// Runs a change that only one of several servers needs to make. Does nothing while another server makes it.
    fn write_on_one_server<T: Default + Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> engine::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.write(|connection| match connection.try_lock_common_work()? {
            true => change(connection),
            false => Ok(T::default()),
        })
    }

    /// Runs a change of accounts by an operator. Such changes are serialized across all processes.
    fn write_accounts<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> engine::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.write(move |connection| {
            connection.lock_accounts()?;
            change(connection)
        })
    }

    /// Runs a change of accounts by an operator, and rolls it back if it returns the inner error.
    fn write_unless_refused<T: Send + 'static, R: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> engine::Result<Result<T, R>> + Send + 'static,
    ) -> Result<Result<T, R>, Error> {
        let change = move |connection: &Connection| {
            connection.lock_accounts()?;
            change(connection)
        };
        self.database.write(change, Result::is_ok)
    }
}
