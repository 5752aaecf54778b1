//! Running statements in SQLite.

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, Row, Rows};

use crate::store::engine::statement_error::{Result, StatementError};
use crate::store::engine::value::{Columns, Parameters, Value};

/// The size of the page cache for an import, whose random UUIDs are spread over many pages. The number is negative,
/// because SQLite interprets positive numbers as pages.
const CACHE_KIBIBYTES: i32 = -64 * 1024;

/// The number of pages in the log after which an import checkpoints. It is large, so that a page that several
/// transactions change is written back once.
const CHECKPOINT_PAGES: i32 = 8 * 1024;

pub(in crate::store::engine) fn execute(
    connection: &Connection,
    sql: &str,
    parameters: Parameters<'_>,
) -> Result<usize> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, parameters)?;
    Ok(statement.raw_execute()?)
}

/// Calls `receive` with each row until it returns `false`.
pub(in crate::store::engine) fn query(
    connection: &Connection,
    sql: &str,
    parameters: Parameters<'_>,
    receive: &mut dyn FnMut(&dyn Columns) -> Result<bool>,
) -> Result<()> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, parameters)?;
    let mut rows: Rows<'_> = statement.raw_query();
    while let Some(row) = rows.next()? {
        if !receive(row)? {
            break;
        }
    }
    Ok(())
}

fn bind(statement: &mut CachedStatement<'_>, parameters: Parameters<'_>) -> Result<()> {
    for (name, value) in parameters {
        let index = statement
            .parameter_index(name)?
            .ok_or_else(|| rusqlite::Error::InvalidParameterName((*name).to_owned()))?;
        statement.raw_bind_parameter(index, value)?;
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Value::Null(_) => ValueRef::Null,
            Value::Integer(number) => ValueRef::Integer(number),
            Value::Boolean(is_true) => ValueRef::Integer(is_true.into()),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl Columns for Row<'_> {
    fn value(&self, index: usize) -> Result<Value<'_>> {
        let unknown = |source: Option<Box<dyn std::error::Error + Send + Sync>>| {
            StatementError::Column { index, source }
        };
        Ok(match self.get_ref(index)? {
            ValueRef::Null => Value::Null(None),
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Text(text) => {
                Value::Text(std::str::from_utf8(text).map_err(|error| unknown(Some(error.into())))?)
            }
            ValueRef::Blob(bytes) => Value::Bytes(bytes),
            ValueRef::Real(_) => return Err(unknown(None)),
        })
    }
}

pub(in crate::store::engine) fn bytes(connection: &Connection) -> Result<u64> {
    let bytes = number(connection, "PRAGMA page_count")? * number(connection, "PRAGMA page_size")?;
    Ok(bytes.unsigned_abs())
}

pub(in crate::store::engine) fn schema_version(connection: &Connection) -> Result<i64> {
    number(connection, "PRAGMA user_version")
}

pub(in crate::store::engine) fn write_schema_version(connection: &Connection) -> Result<()> {
    let version = schema_version(connection)?;
    Ok(connection.pragma_update(None, "user_version", version)?)
}

pub(in crate::store::engine) fn tune_for_many_rows(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "cache_size", CACHE_KIBIBYTES)?;
    Ok(connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?)
}

fn number(connection: &Connection, pragma: &str) -> Result<i64> {
    Ok(connection.query_one(pragma, [], |row| row.get(0))?)
}
