//! Reading columns: what the values of a row mean to the program.

use std::error::Error;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};

use crate::account::Person;

/// Reads a word of [`crate::account`]; another one would have to get past the schema's checks.
pub(super) fn spelled<T>(row: &Row<'_>, column: usize) -> rusqlite::Result<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

/// Reads a count or a size, which is never negative.
pub(super) fn unsigned(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.unsigned_abs())
}

pub(super) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let microseconds = row.get(column)?;
    Timestamp::from_microsecond(microseconds)
        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, microseconds))
}

pub(super) fn optional_moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => moment(row, column).map(Some),
    }
}

/// Reads a person from five columns, starting with `first`.
pub(super) fn person(row: &Row<'_>, first: usize) -> rusqlite::Result<Person> {
    Ok(Person {
        uuid: row.get(first)?,
        first_name: row.get(first + 1)?,
        last_name: row.get(first + 2)?,
        email: row.get(first + 3)?,
        phone: row.get(first + 4)?,
    })
}

/// The same; `None` where there is nobody.
pub(super) fn optional_person(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Person>> {
    match row.get_ref(first)? {
        ValueRef::Null => Ok(None),
        _ => person(row, first).map(Some),
    }
}
