//! An open database, whichever it is: what reads it, and what changes it.

#[cfg(feature = "postgres")]
use super::postgres::Servers;
use super::sqlite::{Sqlite, Taking};
use super::statement_error::Result as StatementResult;
use super::{Connection, Error};

/// An open database.
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
    /// Whether there was none before it was opened.
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

    /// Whether every answer comes over a connection to another process, which may be away.
    pub(in crate::store) fn is_remote(&self) -> bool {
        !matches!(self, Self::File(_))
    }

    /// Looks whether a path still leads to the open file.
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
            Self::Servers(servers) => Ok(servers.pool.read(query)?),
        }
    }

    /// Runs a query of many rows.
    pub(in crate::store) fn read_long<T: Send>(
        &self,
        query: impl FnOnce(&Connection) -> StatementResult<T> + Send,
    ) -> Result<T, Error> {
        match self {
            Self::File(file) => file.read_long(query),
            #[cfg(feature = "postgres")]
            Self::Servers(servers) => Ok(servers.pool.read(query)?),
        }
    }

    /// Runs a change, which is committed when this returns; undone, if `is_kept` says so.
    pub(in crate::store) fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> StatementResult<T> + Send + 'static,
        is_kept: fn(&T) -> bool,
    ) -> Result<T, Error> {
        match self {
            Self::File(file) => file.write(change, is_kept),
            #[cfg(feature = "postgres")]
            Self::Servers(servers) => Ok(servers.pool.write(change, is_kept)?),
        }
    }

    /// Whether imports of many rows are several transactions, which a lock keeps from each other.
    pub(in crate::store) fn has_import_lock(&self) -> bool {
        match self {
            Self::File(file) => file.has_import_lock(),
            #[cfg(feature = "postgres")]
            Self::Servers(_) => false,
        }
    }

    /// Whether the lock's file is there, which somebody may hold or have left behind.
    pub(in crate::store) fn is_import_lock_there(&self) -> bool {
        match self {
            Self::File(file) => file.is_import_lock_there(),
            #[cfg(feature = "postgres")]
            Self::Servers(_) => false,
        }
    }

    /// Takes the lock of imports of many rows.
    pub(in crate::store) fn take_import_lock(&self) -> Taking {
        match self {
            Self::File(file) => file.take_import_lock(),
            // One transaction of any length keeps nobody from anything there.
            #[cfg(feature = "postgres")]
            Self::Servers(_) => Taking::Impossible,
        }
    }

    /// Of the file's disk; `None` if nobody here can say it.
    pub(in crate::store) fn free_bytes(&self) -> Option<u64> {
        match self {
            Self::File(file) => file.free_bytes(),
            #[cfg(feature = "postgres")]
            Self::Servers(_) => None,
        }
    }
}
