//! SQLite: opening and migrating a file, a few connections for reading, and one for writing.

pub(in crate::store) mod codes;
pub(in crate::store) mod connect;
mod content_watch;
mod database;
pub(in crate::store) mod database_file;
pub(in crate::store) mod identity;
mod import_lock;
pub(in crate::store) mod inspect;
pub(in crate::store) mod integrity;
pub(in crate::store) mod migrate;
pub(in crate::store) mod open;
mod readers;
pub(in crate::store) mod recover;
pub(in crate::store) mod statements;
pub(in crate::store) mod visible;
mod watch;
mod writer;

pub(in crate::store) use codes::reason;
pub(in crate::store) use database::Sqlite;
#[cfg(test)]
pub(in crate::store) use import_lock::ImportLock;
pub(in crate::store) use import_lock::ImportLockAttempt;
