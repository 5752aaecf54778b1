//! Adding and changing the personal data of users and account managers in an import.

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

/// Adds a person. The UUID and the email address are the defaults if the file omits them.
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

/// Collects the changes of an existing person, and returns whether it differs from the file. A different UUID changes
/// the UUID of the row; omitted values are kept even then.
pub(super) fn change(
    connection: &Connection,
    id: i64,
    person: &Person,
    changes: &mut Changes,
) -> engine::Result<bool> {
    let row = with_id(connection, id)?;
    changes.row(connection, &row, columns(person).differing_from(&row))
}

/// The person with an id that another row refers to.
pub(super) fn with_id(connection: &Connection, id: i64) -> engine::Result<FoundRow> {
    let row = find(connection, PEOPLE, "id", id)?;
    row.ok_or(StatementError::NoRow)
}
