//! Organizations, users and tokens in one SQLite file.
//!
//! The only module that speaks SQL. It knows nothing of HTTP, sees no plain password (callers bring finished hashes and
//! digests) and reads no clock: whatever depends on time takes `now`.

mod accounts;
mod backup;
mod error;
mod export;
mod facts;
mod figures;
mod issued;
mod listing;
mod load;
mod load_rows;
mod members;
mod open;
mod organizations;
mod people;
mod readers;
mod tokens;
mod users;
mod writer;

use std::path::Path;

use rusqlite::Connection;

pub use accounts::{Account, Lookup};
pub use backup::{BackupError, back_up, restore};
pub use error::{Error, OpenError};
pub use facts::{Facts, facts, sqlite_version};
pub use figures::Figures;
pub use issued::{DigestRange, TokenRow};
pub use listing::{Listing, OrganizationOrder, TokenOrder, UserOrder};
pub use load::{Claim, LoadedUser, NewOrganization, NewPassword, NewUser, Pin, Summary};
pub use members::{Member, Organization};
pub use open::{Durability, Migrated, WhenMissing};
pub use organizations::{Conflict, OrganizationRow};
pub use tokens::{Holder, NewToken};
pub use users::UserRow;

use readers::Readers;
use writer::Writer;

/// One database file, open for reading and writing. Dropping it ends the writer and checkpoints the file.
pub struct Store {
    readers: Readers,
    writer: Writer,
}

impl Store {
    /// Opens the file at `path`, making it if `missing` allows, and brings an older one up to the present schema.
    ///
    /// # Errors
    /// [`OpenError`] names the file; one that is refused is left as it was.
    pub fn open(
        path: &Path,
        missing: WhenMissing,
        durability: Durability,
    ) -> Result<(Self, Option<Migrated>), OpenError> {
        let (connection, migrated) = open::writing_connection(path, missing, durability)?;
        let readers = match durability {
            Durability::Full => Readers::new(path),
            Durability::None => Readers::open_all(path).map_err(|error| open::sort(path, error))?,
        };
        let writer = Writer::start(connection).map_err(OpenError::Thread)?;
        let store = Self { readers, writer };
        Ok((store, migrated))
    }

    fn read<T>(&self, query: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, Error> {
        self.readers.read(query)
    }

    /// Runs `change` in a savepoint of the writer's next transaction and returns once that is committed, hence on disk.
    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        self.writer.write(change)
    }
}
