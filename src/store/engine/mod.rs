//! The database engines, SQLite and PostgreSQL, behind one interface: statements with named parameters, and rows.

mod database;
mod error;
mod open_error;
mod opening;
#[cfg(feature = "postgres")]
pub(in crate::store) mod postgres;
pub(in crate::store) mod sqlite;
mod statement_error;
mod value;

pub(in crate::store) use database::Database;
pub use error::Error;
pub use open_error::OpenError;
pub use opening::{Migrated, OpenedBy, WhenMissing};
pub(in crate::store) use statement_error::Result;
pub use statement_error::StatementError;
pub(in crate::store) use value::{FromValue, OwnedValue, Parameters, ToValue, Value, parameters};

use std::mem;

use value::Columns;

/// The number of rows that are in memory at once when a statement returns very many.
pub(in crate::store) const PAGE: usize = 64;

/// What a query over many rows is for. With a file, queries of one kind do not wait for those of the other.
#[derive(Clone, Copy)]
pub(in crate::store) enum LongQuery {
    List,
    Count,
}

/// A connection to a database, for one thread at a time.
#[derive(Clone, Copy)]
pub(in crate::store) enum Connection<'c> {
    Sqlite(&'c rusqlite::Connection),
    #[cfg(feature = "postgres")]
    Postgres(&'c postgres::Session),
}

/// A row that a statement returned.
pub(in crate::store) struct Row<'r>(&'r dyn Columns);

impl Connection<'_> {
    /// Runs a statement that returns no rows. Returns the number of rows that it changed.
    pub(in crate::store) fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<usize> {
        match self {
            Self::Sqlite(connection) => sqlite::statements::execute(connection, sql, parameters),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.execute(sql, parameters),
        }
    }

    /// Calls `receive` with each row.
    pub(in crate::store) fn for_each(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        mut receive: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.query(sql, parameters, &mut |row| {
            receive(&Row(row)).map(|()| true)
        })
    }

    /// Calls `receive` with pages of at most [`PAGE`] rows. No more rows than that are in memory at once. Must be
    /// called inside [`Connection::in_snapshot`]. `receive` may run other statements.
    pub(in crate::store) fn pages<T>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
        mut receive: impl FnMut(Vec<T>) -> Result<()>,
    ) -> Result<()> {
        let mut page = Vec::with_capacity(PAGE);
        let mut take = |row: &dyn Columns| {
            page.push(read(&Row(row))?);
            if page.len() == PAGE {
                receive(mem::replace(&mut page, Vec::with_capacity(PAGE)))?;
            }
            Ok(true)
        };
        match self {
            Self::Sqlite(connection) => {
                sqlite::statements::query(connection, sql, parameters, &mut take)?;
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.query_many(sql, parameters, &mut take)?,
        }
        match page.is_empty() {
            true => Ok(()),
            false => receive(page),
        }
    }

    /// All rows.
    pub(in crate::store) fn rows<T>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        mut read: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        self.for_each(sql, parameters, |row| {
            rows.push(read(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// The first row, if there is one.
    pub(in crate::store) fn first<T>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let (mut read, mut found) = (Some(read), None);
        self.query(sql, parameters, &mut |row| {
            found = read.take().map(|read| read(&Row(row))).transpose()?;
            Ok(false)
        })?;
        Ok(found)
    }

    /// The only row of a statement that always returns one.
    pub(in crate::store) fn one<T>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.first(sql, parameters, read)?
            .ok_or(StatementError::NoRow)
    }

    /// Whether the statement returns a row.
    pub(in crate::store) fn exists(&self, sql: &str, parameters: Parameters<'_>) -> Result<bool> {
        Ok(self.first(sql, parameters, |_| Ok(()))?.is_some())
    }

    /// Runs a part of a change that may violate a constraint of the schema. After a violation the transaction can still
    /// run queries to find out the reason. The writes of the part are undone then, and those of earlier parts may be
    /// undone too.
    pub(in crate::store) fn attempt<T>(&self, part: impl FnOnce() -> Result<T>) -> Result<T> {
        match self {
            // A statement that fails is undone by itself; the transaction continues.
            Self::Sqlite(_) => part(),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.attempt(part),
        }
    }

    /// Takes the exclusive lock on changes of accounts, until the end of the transaction. Waits while another change
    /// holds it.
    pub(in crate::store) fn lock_accounts(&self) -> Result<()> {
        match self {
            // There is one writer.
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.lock_accounts(),
        }
    }

    /// Tries to take the lock on work that only one server of a database needs to do, until the end of the transaction.
    /// Returns `false` if another server holds it. From then on, the transaction does not wait long for rows locked by
    /// others.
    pub(in crate::store) fn try_lock_common_work(&self) -> Result<bool> {
        match self {
            // Changes are serialized, so a later one finds the work done.
            Self::Sqlite(_) => Ok(true),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.try_lock_common_work(),
        }
    }

    /// Runs `read` while no change of accounts is in progress, so that later changes get higher ids than all existing
    /// rows. Returns `None` if a change is in progress.
    pub(in crate::store) fn between_changes<T>(
        &self,
        read: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        match self {
            // The only writer assigns ids in the order of its transactions.
            Self::Sqlite(_) => read().map(Some),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.between_changes(read),
        }
    }

    /// Tries to prevent changes of accounts from starting until the end of the transaction. Returns `false` if one is
    /// in progress.
    pub(in crate::store) fn try_lock_accounts_shared(&self) -> Result<bool> {
        match self {
            Self::Sqlite(_) => Ok(true),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.try_lock_accounts_shared(),
        }
    }

    /// Locks a user until the end of the transaction. Waits while another transaction holds the lock.
    #[cfg_attr(not(feature = "postgres"), expect(unused_variables))]
    pub(in crate::store) fn lock_user(&self, user_id: i64) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.lock_user(user_id),
        }
    }

    /// The clause at the end of a query for rows to be removed. It skips rows that other transactions have locked,
    /// without waiting.
    pub(in crate::store) fn skip_locked(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "",
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => "FOR UPDATE SKIP LOCKED",
        }
    }

    /// Runs statements without parameters or rows.
    pub(in crate::store) fn batch(&self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.batch(sql),
        }
    }

    /// Runs `read` with a consistent snapshot of the database.
    pub(in crate::store) fn in_snapshot<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::Sqlite(connection) => {
                let _transaction = connection.unchecked_transaction()?;
                read(self)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.in_snapshot(|| read(self)),
        }
    }

    /// The size of the database in bytes.
    pub(in crate::store) fn bytes(&self) -> Result<u64> {
        match self {
            Self::Sqlite(connection) => sqlite::statements::bytes(connection),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.bytes(),
        }
    }

    /// The schema version of the database.
    pub(in crate::store) fn schema_version(&self) -> Result<i64> {
        match self {
            Self::Sqlite(connection) => sqlite::statements::schema_version(connection),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.schema_version(),
        }
    }

    /// The newest schema version that this program knows.
    pub(in crate::store) fn newest_version(&self) -> i64 {
        match self {
            Self::Sqlite(_) => sqlite::migrate::newest_version().into(),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => postgres::newest_version(),
        }
    }

    /// Writes the present schema version again, to check that the database can be written.
    pub(in crate::store) fn write_schema_version(&self) -> Result<()> {
        match self {
            Self::Sqlite(connection) => sqlite::statements::write_schema_version(connection),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.write_schema_version(),
        }
    }

    /// The names of settings that are off and should be on, so that no commit is lost.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn unsafe_settings(&self) -> Result<Vec<String>> {
        match self {
            // The settings of a file are set whenever it is opened.
            Self::Sqlite(_) => Ok(Vec::new()),
            Self::Postgres(session) => session.unsafe_settings(),
        }
    }

    /// Tunes the connection for a change of many rows. The settings remain in effect.
    pub(in crate::store) fn tune_for_many_rows(&self) -> Result<()> {
        match self {
            Self::Sqlite(connection) => sqlite::statements::tune_for_many_rows(connection),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.tune_for_many_rows(),
        }
    }

    fn query(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        receive: &mut dyn FnMut(&dyn Columns) -> Result<bool>,
    ) -> Result<()> {
        match self {
            Self::Sqlite(connection) => {
                sqlite::statements::query(connection, sql, parameters, receive)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.query(sql, parameters, receive),
        }
    }
}

impl Row<'_> {
    pub(in crate::store) fn get<T: FromValue>(&self, index: usize) -> Result<T> {
        T::from_value(self.0.value(index)?).ok_or(StatementError::Column {
            index,
            source: None,
        })
    }

    pub(in crate::store) fn value(&self, index: usize) -> Result<Value<'_>> {
        self.0.value(index)
    }

    pub(in crate::store) fn text(&self, index: usize) -> Result<&str> {
        match self.0.value(index)? {
            Value::Text(text) => Ok(text),
            _ => Err(StatementError::Column {
                index,
                source: None,
            }),
        }
    }
}
