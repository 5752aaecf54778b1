//! The databases that a store can be in: each runs a statement with named parameters, and gives rows.

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

/// Rows of very many that are in memory at once.
pub(in crate::store) const PAGE: usize = 64;

/// A connection to a database, for one thread at a time.
#[derive(Clone, Copy)]
pub(in crate::store) enum Connection<'c> {
    Sqlite(&'c rusqlite::Connection),
    #[cfg(feature = "postgres")]
    Postgres(&'c postgres::Session),
}

/// A row that a statement gave.
pub(in crate::store) struct Row<'r>(&'r dyn Columns);

impl Connection<'_> {
    /// Runs a statement that gives no rows; says how many it changed.
    pub(in crate::store) fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<usize> {
        match self {
            Self::Sqlite(connection) => sqlite::statements::execute(connection, sql, parameters),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.execute(sql, parameters),
        }
    }

    /// Hands on each row.
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

    /// Hands on the rows of a statement that gives very many, at most [`PAGE`] at once, and never has more of them in memory.
    /// Only for [`Connection::at_one_moment`]; `receive` may run other statements.
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

    /// Every row.
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

    /// The one row that there always is.
    pub(in crate::store) fn one<T>(
        &self,
        sql: &str,
        parameters: Parameters<'_>,
        read: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<T> {
        self.first(sql, parameters, read)?
            .ok_or(StatementError::NoRow)
    }

    /// Whether there is a row.
    pub(in crate::store) fn exists(&self, sql: &str, parameters: Parameters<'_>) -> Result<bool> {
        Ok(self.first(sql, parameters, |_| Ok(()))?.is_some())
    }

    /// Runs a part of a change that may break a rule of the schema, after which the change can read on, to find out why: what
    /// the part has written is undone then, and what some parts before it have written may be.
    pub(in crate::store) fn attempt<T>(&self, part: impl FnOnce() -> Result<T>) -> Result<T> {
        match self {
            // A statement that fails undoes itself, and leaves the rest.
            Self::Sqlite(_) => part(),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.attempt(part),
        }
    }

    /// Waits until no other change of accounts is under way, and keeps others from them until the transaction's end.
    pub(in crate::store) fn lock_accounts(&self) -> Result<()> {
        match self {
            // There is one writer.
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.lock_accounts(),
        }
    }

    /// Whether this process may do the work that all servers of a database would do at the same time, until the transaction's
    /// end. It never waits long for a row of somebody else from then on.
    pub(in crate::store) fn takes_common_work(&self) -> Result<bool> {
        match self {
            // Changes come one after the other, and find it done.
            Self::Sqlite(_) => Ok(true),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.takes_common_work(),
        }
    }

    /// Runs `read` while no change of accounts is under way: whatever a later one writes has higher numbers than what there is.
    /// `None` when one is.
    pub(in crate::store) fn between_changes<T>(
        &self,
        read: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        match self {
            // Numbers are given by the one writer, in the order of its transactions.
            Self::Sqlite(_) => read().map(Some),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.between_changes(read),
        }
    }

    /// Keeps changes of accounts from starting until the transaction's end, unless one is under way: `false` then.
    pub(in crate::store) fn hold_off_accounts(&self) -> Result<bool> {
        match self {
            Self::Sqlite(_) => Ok(true),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.hold_off_accounts(),
        }
    }

    /// Waits until no other change of a user is under way, and keeps others from it until the transaction's end.
    #[cfg_attr(not(feature = "postgres"), expect(unused_variables))]
    pub(in crate::store) fn lock_user(&self, user_id: i64) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.lock_user(user_id),
        }
    }

    /// What a query of rows to be removed ends with: those that another change has locked are left out, and nobody is waited
    /// for.
    pub(in crate::store) fn unlocked(&self) -> &'static str {
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

    /// Has all statements in `read` see the database as it is at one moment.
    pub(in crate::store) fn at_one_moment<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T>,
    ) -> Result<T> {
        match self {
            Self::Sqlite(connection) => {
                let _transaction = connection.unchecked_transaction()?;
                read(self)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.at_one_moment(|| read(self)),
        }
    }

    /// How large the database is, in bytes.
    pub(in crate::store) fn bytes(&self) -> Result<u64> {
        match self {
            Self::Sqlite(connection) => sqlite::statements::bytes(connection),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.bytes(),
        }
    }

    /// The version of the schema that the database has.
    pub(in crate::store) fn schema_version(&self) -> Result<i64> {
        match self {
            Self::Sqlite(connection) => sqlite::statements::schema_version(connection),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.schema_version(),
        }
    }

    /// The newest version of the schema that this program knows.
    pub(in crate::store) fn newest_version(&self) -> i64 {
        match self {
            Self::Sqlite(_) => sqlite::migrate::newest_version().into(),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => postgres::newest_version(),
        }
    }

    /// Writes the version that the schema has already, to see whether anything can be written.
    pub(in crate::store) fn write_schema_version(&self) -> Result<()> {
        match self {
            Self::Sqlite(connection) => sqlite::statements::write_schema_version(connection),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.write_schema_version(),
        }
    }

    /// What the server should have switched on, so that nothing is lost.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn unsafe_settings(&self) -> Result<Vec<String>> {
        match self {
            // Each opening sets them.
            Self::Sqlite(_) => Ok(Vec::new()),
            Self::Postgres(session) => session.unsafe_settings(),
        }
    }

    /// Prepares for a change of many rows; the setting stays.
    pub(in crate::store) fn expect_many_rows(&self) -> Result<()> {
        match self {
            Self::Sqlite(connection) => sqlite::statements::expect_many_rows(connection),
            #[cfg(feature = "postgres")]
            Self::Postgres(session) => session.expect_many_rows(),
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
