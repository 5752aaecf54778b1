//! What is noted of an import: that it was made, and what it changes in rows that are there and decides who logs in where.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::columns::{Columns, FoundRow, ORGANIZATIONS, USERS};
use super::outcome::{Imported, Outcome, Summary};
use crate::store::notes::Notes;
use crate::text::counted;

/// Notes that an import was made, unless it changes nothing.
pub(super) fn note_run(
    connection: &Connection,
    notes: &Notes,
    file: &str,
    outcome: &Outcome,
) -> rusqlite::Result<()> {
    match outcome.as_ref().ok().and_then(described) {
        Some(what) => notes.whole(connection, Some(file), what),
        None => Ok(()),
    }
}

/// `1 organization and 12 users added, 2 users changed`; `None` for nothing.
fn described(imported: &Imported) -> Option<String> {
    let part = |count: fn(&Summary) -> usize, what: &str| {
        let counts = [
            (count(&imported.organizations), "organization"),
            (count(&imported.users), "user"),
        ];
        let counts = counts.into_iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, kind)| counted(count, kind)).collect();
        (!counts.is_empty()).then(|| format!("{} {what}", counts.join(" and ")))
    };
    let parts = [
        part(|summary| summary.added, "added"),
        part(|summary| summary.changed, "changed"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// Notes what is to change in a row. A status is the whole of before and after, any other column is named there.
pub(super) fn note_row(
    connection: &Connection,
    notes: &Notes,
    row: &FoundRow,
    columns: &Columns,
) -> rusqlite::Result<()> {
    let note = match row.table.name {
        name if name == USERS.name => Notes::user,
        name if name == ORGANIZATIONS.name => Notes::organization,
        _ => return Ok(()),
    };
    for (column, new) in &columns.0 {
        let old = row.text(column);
        let new_text = || match new {
            Value::Text(text) => text.as_str(),
            _ => "",
        };
        let (before, after) = match *column {
            "status" => (Some(old.to_owned()), new_text().to_owned()),
            "password_hash" => (None, "another password".to_owned()),
            "username" | "name" => (
                Some(format!("{column} {old}")),
                format!("{column} {}", new_text()),
            ),
            "org_id" => {
                let named = |id: &Value| organization_name(connection, id);
                let (old, new) = (named(row.value("org_id"))?, named(new)?);
                (Some(format!("org {old}")), format!("org {new}"))
            }
            _ => continue,
        };
        note(notes, connection, row.id(), before.as_deref(), Some(&after))?;
    }
    Ok(())
}

fn organization_name(connection: &Connection, id: &Value) -> rusqlite::Result<String> {
    let name: Option<String> = connection
        .prepare_cached("SELECT name FROM organizations WHERE id = :id")?
        .query_one(named_params! { ":id": id }, |row| row.get(0))
        .optional()?;
    Ok(name.unwrap_or_default())
}
