//! An import into a copy of the database that is thrown away: it reports what the import would.

use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::{Import, Outcome};
use crate::scratch::Scratch;
use crate::store::Store;
use crate::store::backup::{BackupError, write_copy};
use crate::store::database_file::{DatabaseFile, WhenMissing};
use crate::store::error::{Error, OpenError};
use crate::store::open::{Durability, run};

/// Why there was no dry run.
#[derive(Debug, thiserror::Error)]
pub enum DryRunError {
    /// There is no place for a copy.
    #[error("cannot make a temporary directory for a copy of the database")]
    Directory(#[source] io::Error),
    /// The copy cannot be made.
    #[error("cannot copy the database for a dry run")]
    Copy(#[from] BackupError),
    /// The copy cannot be opened.
    #[error("cannot open a copy of the database")]
    Open(#[from] OpenError),
    /// The copy cannot be written, or the database cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
}

impl Store {
    /// Reports what [`Store::import`] would, and writes nothing to the database.
    ///
    /// # Errors
    /// See [`DryRunError`].
    pub fn dry_run(&self, import: Import, now: Timestamp) -> Result<Outcome, DryRunError> {
        let scratch = Scratch::create().map_err(DryRunError::Directory)?;
        let path = scratch.path().join("copy.db");
        self.copy_to(&path)?;
        let (copy, _) = Self::open(&path, WhenMissing::Refuse, Durability::None)?;
        copy.remove_unfinished_imports(&|| false)?;
        Ok(copy.import(import, now)?)
    }

    fn copy_to(&self, path: &Path) -> Result<(), DryRunError> {
        DatabaseFile::resolve(path)?.make_if_missing(WhenMissing::Create)?;
        let copied = self.read(|connection| {
            // One read for all steps: each change of a server would make the copy start again.
            let transaction = connection.unchecked_transaction()?;
            run(&transaction, "SELECT count(*) FROM sqlite_schema")?;
            Ok(write_copy(&transaction, path, path, &mut |_, _| {}))
        })?;
        Ok(copied?)
    }
}
