//! Small pools of connections for reading. A connection is held for one query only.
//!
//! Look-ups, lists and counts have a pool each, so that the others do not wait for lists.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::connect::{Mode, connect, read_schema};
use super::visible::define_views;
use super::watch::FileWatch;
use crate::store::engine;
use crate::store::engine::Error;

/// The settings of a pool.
#[derive(Clone, Copy)]
pub(in crate::store) struct PoolSettings {
    max_connections: usize,
    /// The size of the page cache. The number is negative, because SQLite interprets positive numbers as pages.
    cache_kibibytes: i32,
}

/// The pool for look-ups. They take microseconds, and more connections do not make them faster. The cache holds the
/// inner pages for a million tokens and their users, so that a look-up reads little more than its leaf pages.
pub(in crate::store) const LOOK_UPS: PoolSettings = PoolSettings {
    max_connections: 4,
    cache_kibibytes: -8 * 1024,
};

/// The pool for lists. Its cache is small, because a list reads each page once.
pub(in crate::store) const LISTS: PoolSettings = PoolSettings {
    max_connections: 2,
    cache_kibibytes: -2 * 1024,
};

/// The pool for counts of rows, of which a server makes one at a time.
pub(in crate::store) const COUNTS: PoolSettings = PoolSettings {
    max_connections: 1,
    ..LISTS
};

/// A pool of connections for reading.
pub(in crate::store) struct Readers {
    path: PathBuf,
    settings: PoolSettings,
    watch: Option<Arc<FileWatch>>,
    pool: Mutex<PoolState>,
    returned: Condvar,
}

#[derive(Default)]
struct PoolState {
    idle: Vec<Connection>,
    open: usize,
}

impl Readers {
    pub(in crate::store) fn new(
        path: &Path,
        settings: PoolSettings,
        watch: Option<Arc<FileWatch>>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            settings,
            watch,
            pool: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Opens all connections now, and with them the files beside the database, so that no file is opened by name later.
    pub(in crate::store) fn open_all(
        path: &Path,
        settings: PoolSettings,
    ) -> rusqlite::Result<Self> {
        let readers = Self::new(path, settings, None);
        let mut pool = readers.pool.lock();
        while pool.open < settings.max_connections {
            let connection = connect_to_read(path, settings)?;
            read_schema(&connection)?;
            pool.idle.push(connection);
            pool.open += 1;
        }
        drop(pool);
        Ok(readers)
    }

    pub(in crate::store) fn read<T>(
        &self,
        query: impl FnOnce(&engine::Connection) -> engine::Result<T>,
    ) -> Result<T, Error> {
        if self.watch.as_ref().is_some_and(|watch| watch.is_replaced()) {
            return Err(Error::FileReplaced);
        }
        let lent = LentConnection {
            connection: Some(self.take()?),
            readers: self,
        };
        let connection = lent.connection.as_ref().ok_or(Error::NoAnswer)?;
        Ok(query(&engine::Connection::Sqlite(connection))?)
    }

    fn take(&self) -> Result<Connection, Error> {
        let mut pool = self.pool.lock();
        loop {
            if let Some(connection) = pool.idle.pop() {
                return Ok(connection);
            }
            if pool.open < self.settings.max_connections {
                break;
            }
            self.returned.wait(&mut pool);
        }
        pool.open += 1;
        drop(pool);
        self.connect().inspect_err(|_| self.return_connection(None))
    }

    /// Opens another connection. This uses the path again, so it must still lead to the file that the writer has open.
    fn connect(&self) -> Result<Connection, Error> {
        let connection = connect_to_read(&self.path, self.settings)?;
        match &self.watch {
            Some(watch) if watch.check() => Err(Error::FileReplaced),
            _ => Ok(connection),
        }
    }

    fn return_connection(&self, connection: Option<Connection>) {
        let mut pool = self.pool.lock();
        match connection {
            Some(connection) => pool.idle.push(connection),
            None => pool.open -= 1,
        }
        drop(pool);
        self.returned.notify_one();
    }
}

/// A borrowed connection. Dropping it returns the connection to the pool, even if the query panics.
struct LentConnection<'a> {
    connection: Option<Connection>,
    readers: &'a Readers,
}

impl Drop for LentConnection<'_> {
    fn drop(&mut self) {
        self.readers.return_connection(self.connection.take());
    }
}

fn connect_to_read(path: &Path, settings: PoolSettings) -> rusqlite::Result<Connection> {
    let connection = connect(path, Mode::Read)?;
    connection.pragma_update(None, "cache_size", settings.cache_kibibytes)?;
    define_views(&connection)?;
    Ok(connection)
}
