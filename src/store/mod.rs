//! Organizations, users and tokens in one SQLite file.
//!
//! The only module that speaks SQL. It knows nothing of HTTP, sees no plain password (callers bring finished hashes and
//! digests) and reads no clock: whatever depends on time takes `now`.

mod accounts;
mod audit;
mod backup;
mod content;
mod editing;
mod engine;
mod events;
mod export;
mod failed_logins;
mod figures;
mod history;
mod import;
mod issued;
mod listing;
mod location;
mod lock;
mod login_attempts;
mod login_events;
mod members;
mod notes;
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
pub use editing::{Edited, Editing};
pub use engine::sqlite::database_file::DatabaseFile;
pub use engine::sqlite::inspect::check_file;
pub use engine::sqlite::look::Progress;
pub use engine::sqlite::open::Durability;
pub use engine::{Error, Migrated, OpenError, OpenedBy, StatementError, WhenMissing};
pub use events::{Actor, Event, LOGIN, LoginOutcome};
pub use failed_logins::{CounterKey, FailedLogins, LimitKind};
pub use figures::{AccountCounts, Figures};
pub use history::EventFilter;
pub use import::{Checked, Import, Imported, KnownHashes, Outcome, Pins, Summary};
pub use issued::{DigestRange, TokenRow};
pub use listing::{Listing, OrganizationOrder, TokenOrder, UserOrder};
pub use location::{Location, LocationError};
pub use lock::UserLock;
pub use login_attempts::{AttemptId, Counted};
pub use login_events::RecordedLogin;
pub use members::{Member, Organization};
pub use organizations::{OrganizationFilter, OrganizationRow};
pub use removal::Removal;
pub use renaming::Renaming;
pub use restore::{Loss, Restoration, Restored};
pub use tokens::{Holder, NewToken, VerifiedLogin};
pub use users::{UserFilter, UserRow};

#[cfg(feature = "postgres")]
use engine::postgres::Servers;
use engine::sqlite::Sqlite;
use engine::{Connection, Database};
use notes::Notes;

/// A database, open for reading and writing. Dropping a file's ends its writer and checkpoints it.
pub struct Store {
    database: Database,
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
        let (file, migrated) = Sqlite::open(by, path, missing, durability, progress)?;
        let store = Self::of(Database::File(file));
        // A server does this while it answers.
        if by == OpenedBy::Command
            && let Err(error) = store.remove_unfinished_imports(&|| false)
        {
            tracing::warn!(%error, "cannot remove what an import has left behind; it does not count");
        }
        Ok((store, migrated))
    }

    /// Opens the database at a location, which stays.
    ///
    /// # Errors
    /// [`OpenError`] names the file, or hosts and database.
    pub fn open_at(
        by: OpenedBy,
        location: &Location,
        missing: WhenMissing,
        progress: Progress,
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
        self.database.is_new()
    }

    /// Whether a killed process had left its log behind; all of the file was looked at then.
    pub fn was_unclean(&self) -> bool {
        self.database.was_unclean()
    }

    /// Whether the database is on servers: every answer may have to be waited for.
    pub fn is_remote(&self) -> bool {
        self.database.is_remote()
    }

    /// Looks whether the path still leads to the open file; where it does not, this and all other calls fail until it does.
    ///
    /// # Errors
    /// [`Error::FileReplaced`].
    pub fn check_path(&self) -> Result<(), Error> {
        self.database.check_path()
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> engine::Result<T>) -> Result<T, Error> {
        self.database.read(query)
    }

    /// For queries over many rows: of a file, no look-up waits for one, and they take little of a processor that others want.
    fn read_long<T: Send>(
        &self,
        query: impl FnOnce(&Connection) -> engine::Result<T> + Send,
    ) -> Result<T, Error> {
        self.database.read_long(query)
    }

    /// Runs `change` in a transaction and returns once that is committed, hence on disk unless the change says otherwise.
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> engine::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.database.write(change, |_| true)
    }

    /// The same for work that one server of several is to do: where another one is at it, nothing is done.
    fn write_in_common<T: Default + Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> engine::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.write(|connection| match connection.takes_common_work()? {
            true => change(connection),
            false => Ok(T::default()),
        })
    }

    /// The same for a change of accounts by an administrator: one comes after the other, by whichever process.
    fn write_accounts<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> engine::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.write(move |connection| {
            connection.lock_accounts()?;
            change(connection)
        })
    }

    /// The same, but what `change` has written is undone when it gives the inner error.
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
