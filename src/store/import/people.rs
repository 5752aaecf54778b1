//! People: users as others see them, and account managers.

use super::changes::Changes;
use super::columns::{Columns, FoundRow, PEOPLE, find};
use crate::accounts::Person;
use crate::store::engine::{self, Connection, StatementError};

fn columns(person: &Person) -> Columns {
    Columns::default()
        .with("uuid", person.uuid.clone())
        .with("first_name", person.first_name.clone())
        .with("last_name", person.last_name.clone())
        .with("email", person.email.clone())
        .with("phone", person.phone.clone())
}

/// Adds a person; the UUID and the email address are for one without an own.
pub(super) fn add(
    connection: &Connection,
    person: Option<&Person>,
    uuid: String,
    email: Option<&str>,
) -> engine::Result<i64> {
    person
        .map_or_else(Columns::default, columns)
        .or("uuid", uuid)
        .or("email", email.map(str::to_owned))
        .insert(connection, PEOPLE)
}

/// Says whether a person differs from what a file says. Another UUID is another person in the same place: what the file leaves
/// out of it stays, too.
pub(super) fn change(
    connection: &Connection,
    id: i64,
    person: &Person,
    changes: &mut Changes,
) -> engine::Result<bool> {
    let row = with_id(connection, id)?;
    changes.row(connection, &row, columns(person).differing_from(&row))
}

/// The person behind a row that refers to it.
pub(super) fn with_id(connection: &Connection, id: i64) -> engine::Result<FoundRow> {
    let row = find(connection, PEOPLE, "id", id)?;
    row.ok_or(StatementError::NoRow)
}
