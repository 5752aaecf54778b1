//! An open database of either kind, and running queries and changes on it.

#[cfg(feature = "postgres")]
use super::postgres::Servers;
use super::sqlite::{ImportLockAttempt, Sqlite};
use super::statement_error::Result as StatementResult;
use super::{Connection, Error, LongQuery};
use crate::low_priority::with_low_priority;

/// An open database: a SQLite file or PostgreSQL servers.
#[allow(
    clippy::large_enum_variant,
    reason = "a process has one or two of these"
)]
pub(in crate::store) enum Database {
    File(Sqlite),
    #[cfg(feature = "postgres")]
    Servers(Servers),
}

impl Database {
    /// Whether the database did not exist, or was empty, when it was opened.
    pub(in crate::store) fn is_new(&self) -> bool {
        match self {
            Self::File(file) => file.is_new,
            #[cfg(feature = "postgres")]
            Self::Servers(servers) => servers.is_new,
        }
    }

    /// Whether a killed process had left its log behind.
    pub(in crate::store) fn was_unclean(&self) -> bool {
        match self {
            Self::File(file) => file.was_unclean,
            #[cfg(feature = "postgres")]
            Self::Servers(_) => false,
        }
    }

    /// Whether every call uses a connection to another process, which may be unavailable.
    pub(in crate::store) fn is_remote(&self) -> bool {
        !matches!(self, Self::File(_))
    }

    /// Checks whether the path still leads to the open file, and the file has its content.
    pub(in crate::store) fn check_path(&self) -> Result<(), Error> {
        match self {
            Self::File(file) => file.check_path(),
            #[cfg(feature = "postgres")]
            Self::Servers(_) => Ok(()),
        }
    }

    /// Runs a query.
    pub(in crate::store) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> StatementResult<T>,
    ) -> Result<T, Error> {
        match self {
            Self::File(file) => file.read(query),
            #[cfg(feature = "postgres")]
            Self::Servers(servers) => Ok(servers.calls.read(query)?),
        }
    }

    /// Runs a query over many rows in a thread of low priority.
    pub(in crate::store) fn read_long<T: Send>(
        &self,
        kind: LongQuery,
        query: impl FnOnce(&Connection) -> StatementResult<T> + Send,
    ) -> Result<T, Error> {
        with_low_priority("store-reader", || match self {
            Self::File(file) => file.read_long(kind, query),
            #[cfg(feature = "postgres")]
            Self::Servers(servers) => Ok(servers.calls.read(query)?),
        })
    }

    /// Runs a change in a transaction. It is committed when this returns, or rolled back if `is_kept` returns `false`.
    pub(in crate::store) fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> StatementResult<T> + Send + 'static,
        is_kept: fn(&T) -> bool,
    ) -> Result<T, Error> {
        match self {
            Self::File(file) => file.write(change, is_kept),
            #[cfg(feature = "postgres")]
            Self::Servers(servers) => Ok(servers.calls.write(change, is_kept)?),
        }
    }

    /// Makes changes fail soon, from now on, if they have to wait for the lock of another process.
    pub(in crate::store) fn stop_waiting(&self) {
        match self {
            Self::File(file) => file.stop_waiting(),
            // They wait only for a short time there.
            #[cfg(feature = "postgres")]
            Self::Servers(_) => {}
        }
    }

    /// Whether an import of many rows consists of several transactions, so that a lock is needed to exclude other
    /// imports.
    pub(in crate::store) fn has_import_lock(&self) -> bool {
        match self {
            Self::File(file) => file.has_import_lock(),
            #[cfg(feature = "postgres")]
            Self::Servers(_) => false,
        }
    }

    /// Whether the lock file exists. A process may hold the lock or may have left the file behind.
    pub(in crate::store) fn is_import_lock_there(&self) -> bool {
        match self {
            Self::File(file) => file.is_import_lock_there(),
            #[cfg(feature = "postgres")]
            Self::Servers(_) => false,
        }
    }

    /// Tries to take the lock for an import of many rows.
    pub(in crate::store) fn take_import_lock(&self) -> ImportLockAttempt {
        match self {
            Self::File(file) => file.take_import_lock(),
            // A long transaction does not block other writers there.
            #[cfg(feature = "postgres")]
            Self::Servers(_) => ImportLockAttempt::NotNeeded,
        }
    }

    /// The free space on the disk of the file, in bytes. `None` if it is unknown.
    pub(in crate::store) fn free_bytes(&self) -> Option<u64> {
        match self {
            Self::File(file) => file.free_bytes(),
            #[cfg(feature = "postgres")]
            Self::Servers(_) => None,
        }
    }
}
