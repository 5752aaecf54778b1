//! Converting the columns of a row to the types of the program.

use std::error::Error;
use std::str::FromStr;

use jiff::Timestamp;

use super::engine::{self, Row, StatementError, Value};
use crate::account::Person;

/// Reads a name of an enum or a username of [`crate::account`]. The schema's checks reject other values of the enums.
pub(super) fn spelled<T>(row: &Row<'_>, column: usize) -> engine::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let parsed = row.text(column)?.parse();
    parsed.map_err(|error: T::Err| StatementError::column(column, error))
}

/// Reads a count or a size, which is never negative.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> engine::Result<u64> {
    Ok(row.get::<i64>(column)?.unsigned_abs())
}

/// Reads a time in microseconds since 1970-01-01 UTC.
pub(super) fn moment(row: &Row<'_>, column: usize) -> engine::Result<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?)
        .map_err(|error| StatementError::column(column, error))
}

pub(super) fn optional_moment(row: &Row<'_>, column: usize) -> engine::Result<Option<Timestamp>> {
    match row.value(column)? {
        Value::Null(_) => Ok(None),
        _ => moment(row, column).map(Some),
    }
}

/// Reads a person from five columns, starting with `first`.
pub(super) fn person(row: &Row<'_>, first: usize) -> engine::Result<Person> {
    Ok(Person {
        uuid: row.get(first)?,
        first_name: row.get(first + 1)?,
        last_name: row.get(first + 2)?,
        email: row.get(first + 3)?,
        phone: row.get(first + 4)?,
    })
}

/// Reads a person from five columns, starting with `first`. `None` if the UUID is NULL.
pub(super) fn optional_person(row: &Row<'_>, first: usize) -> engine::Result<Option<Person>> {
    match row.value(first)? {
        Value::Null(_) => Ok(None),
        _ => person(row, first).map(Some),
    }
}
