//! People: users as others see them, and account managers.

use rusqlite::{Connection, named_params};

use super::changes::{Changes, Columns, Target};
use crate::accounts::Person;

/// Adds a person; `email` is for one without an own.
pub(super) fn add(
    connection: &Connection,
    uuid: &str,
    person: Option<&Person>,
    email: Option<&str>,
) -> rusqlite::Result<i64> {
    let given = |text: fn(&Person) -> &Option<String>| person.and_then(|p| text(p).as_deref());
    connection
        .prepare_cached(
            "INSERT INTO people (uuid, first_name, last_name, email, phone)
             VALUES (:uuid, :first_name, :last_name, :email, :phone)",
        )?
        .execute(named_params! {
            ":uuid": uuid,
            ":first_name": given(|person| &person.first_name),
            ":last_name": given(|person| &person.last_name),
            ":email": given(|person| &person.email).or(email),
            ":phone": given(|person| &person.phone),
        })?;
    Ok(connection.last_insert_rowid())
}

/// Says whether a person differs from what a file says. Another UUID is another person in the same place: what the file leaves
/// out of it stays, too.
pub(super) fn change(
    connection: &Connection,
    id: i64,
    person: &Person,
    changes: &mut Changes,
) -> rusqlite::Result<bool> {
    let given = [
        ("uuid", person.uuid.as_deref()),
        ("first_name", person.first_name.as_deref()),
        ("last_name", person.last_name.as_deref()),
        ("email", person.email.as_deref()),
        ("phone", person.phone.as_deref()),
    ];
    let (uuid, columns): (String, _) = connection
        .prepare_cached(
            "SELECT id, uuid, uuid, first_name, last_name, email, phone FROM people WHERE id = :id",
        )?
        .query_one(named_params! { ":id": id }, |row| {
            Ok((row.get(1)?, Columns::texts(row, given)?))
        })?;
    let target = Target {
        table: "people",
        id,
        uuid: &uuid,
    };
    changes.row(connection, target, columns)
}

/// The UUID that the person has.
pub(super) fn uuid(connection: &Connection, id: i64) -> rusqlite::Result<String> {
    connection
        .prepare_cached("SELECT uuid FROM people WHERE id = :id")?
        .query_one(named_params! { ":id": id }, |row| row.get(0))
}
