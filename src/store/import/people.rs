//! People: users as others see them, and account managers.

use rusqlite::{Connection, named_params};

use super::columns::Columns;
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

/// What a file says otherwise of a person. Another UUID is another person in the same place: what the file leaves out of it
/// stays, too.
pub(super) fn difference(
    connection: &Connection,
    id: i64,
    person: &Person,
) -> rusqlite::Result<Columns> {
    connection
        .prepare_cached(
            "SELECT uuid, first_name, last_name, email, phone FROM people WHERE id = :id",
        )?
        .query_one(named_params! { ":id": id }, |row| {
            let mut columns = Columns::default();
            for (index, column, given) in [
                (0, "uuid", &person.uuid),
                (1, "first_name", &person.first_name),
                (2, "last_name", &person.last_name),
                (3, "email", &person.email),
                (4, "phone", &person.phone),
            ] {
                let present = row.get_ref(index)?.as_str_or_null()?;
                columns.text(column, given.as_deref(), present);
            }
            Ok(columns)
        })
}

/// The UUID that the person has.
pub(super) fn uuid(connection: &Connection, id: i64) -> rusqlite::Result<String> {
    connection
        .prepare_cached("SELECT uuid FROM people WHERE id = :id")?
        .query_one(named_params! { ":id": id }, |row| row.get(0))
}
