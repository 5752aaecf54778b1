//! A database file that is open for reading and writing.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::database_file::DatabaseFile;
use super::identity::identity;
use super::import_lock::{ImportLock, ImportLockAttempt};
use super::integrity::IntegrityProgress;
use super::open::{Durability, writing_connection};
use super::readers::{COUNTS, LISTS, LOOK_UPS, Readers};
use super::watch::FileWatch;
use super::writer::Writer;
use crate::files::free_bytes;
use crate::store::engine::{Connection, Error, LongQuery, Result as StatementResult};
use crate::store::engine::{Migrated, OpenError, OpenedBy, WhenMissing};

/// The connections to one file. Dropping this ends the writer and checkpoints the file.
pub(in crate::store) struct Sqlite {
    readers: Readers,
    list_readers: Readers,
    count_readers: Readers,
    writer: Writer,
    /// `None` for a temporary database, whose name no other process knows.
    watch: Option<Arc<FileWatch>>,
    /// The lock file for an import of many rows. `None` for a temporary database.
    import_lock: Option<PathBuf>,
    directory: PathBuf,
    pub(in crate::store) is_new: bool,
    pub(in crate::store) was_unclean: bool,
}

impl Sqlite {
    pub(in crate::store) fn open(
        by: OpenedBy,
        path: &Path,
        missing: WhenMissing,
        durability: Durability,
        progress: IntegrityProgress,
    ) -> Result<(Self, Option<Migrated>), OpenError> {
        let file = DatabaseFile::resolve(path)?;
        let opened = writing_connection(&file, missing, durability, by, progress)?;
        let watch = match durability {
            Durability::Full => {
                let identity = identity(&opened.connection)
                    .map_err(|error| OpenError::new(file.given(), &error))?;
                Some(Arc::new(FileWatch::start(&file, identity.secret)?))
            }
            Durability::None => None,
        };
        let readers = |kind| match &watch {
            Some(watch) => Ok(Readers::new(file.path(), kind, Some(Arc::clone(watch)))),
            None => Readers::open_all(file.path(), kind)
                .map_err(|error| OpenError::new(file.given(), &error)),
        };
        let (look_ups, lists, counts) = (readers(LOOK_UPS)?, readers(LISTS)?, readers(COUNTS)?);
        let writer = Writer::start(opened.connection, watch.clone()).map_err(OpenError::Thread)?;
        let open = Self {
            readers: look_ups,
            list_readers: lists,
            count_readers: counts,
            writer,
            watch,
            import_lock: (durability == Durability::Full).then(|| file.import_lock()),
            directory: file.directory().to_owned(),
            is_new: opened.is_new,
            was_unclean: opened.was_unclean,
        };
        Ok((open, opened.migrated))
    }

    /// Checks whether the path still leads to the open file, and the file has its content.
    pub(in crate::store) fn check_path(&self) -> Result<(), Error> {
        match &self.watch {
            Some(watch) if watch.check_content() => Err(Error::FileReplaced),
            _ => Ok(()),
        }
    }

    pub(in crate::store) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> StatementResult<T>,
    ) -> Result<T, Error> {
        self.readers.read(query)
    }

    pub(in crate::store) fn read_long<T>(
        &self,
        kind: LongQuery,
        query: impl FnOnce(&Connection) -> StatementResult<T>,
    ) -> Result<T, Error> {
        match kind {
            LongQuery::List => self.list_readers.read(query),
            LongQuery::Count => self.count_readers.read(query),
        }
    }

    pub(in crate::store) fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> StatementResult<T> + Send + 'static,
        is_kept: fn(&T) -> bool,
    ) -> Result<T, Error> {
        self.writer.write(change, is_kept)
    }

    /// Makes changes fail soon, from now on, if another process holds the lock.
    pub(in crate::store) fn stop_waiting(&self) {
        self.writer.stop_waiting();
    }

    /// Whether a lock is needed to exclude other imports of many rows.
    pub(in crate::store) fn has_import_lock(&self) -> bool {
        self.import_lock.is_some()
    }

    /// Whether the lock file exists. A process may hold the lock or may have left the file behind.
    pub(in crate::store) fn is_import_lock_there(&self) -> bool {
        let path = self.import_lock.as_ref();
        path.is_some_and(|path| path.symlink_metadata().is_ok())
    }

    pub(in crate::store) fn take_import_lock(&self) -> ImportLockAttempt {
        self.import_lock
            .as_deref()
            .map_or(ImportLockAttempt::NotNeeded, ImportLock::take)
    }

    /// The free space on the disk of the file, in bytes. `None` if the system does not report it.
    pub(in crate::store) fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.directory).ok()
    }
}
