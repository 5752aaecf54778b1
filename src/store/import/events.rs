//! The events of an import: one for the import as a whole, and one for each added row and each changed value.

use jiff::Timestamp;

use super::columns::{Columns, FoundRow, ORGANIZATIONS, PEOPLE, USERS};
use super::outcome::{ImportOutcome, Imported, RowCounts};
use crate::store::engine::{self, Connection, OwnedValue as Value, parameters};
use crate::store::event_recorder::EventRecorder;
use crate::text::counted;

/// Records the event of the import as a whole, unless it changes nothing.
pub(super) fn record_import(
    connection: &Connection,
    recorder: &EventRecorder,
    file: &str,
    outcome: &ImportOutcome,
) -> engine::Result<()> {
    match outcome.as_ref().ok().and_then(described) {
        Some(what) => recorder.whole(connection, Some(file), what),
        None => Ok(()),
    }
}

/// A text such as `1 organization and 12 users added, 2 users changed`. `None` if nothing was added or changed.
fn described(imported: &Imported) -> Option<String> {
    let part = |count: fn(&RowCounts) -> usize, what: &str| {
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

/// Records an event for each changed value of a row. For a status, `before` and `after` are just the statuses; for
/// other columns they contain the name of the column.
pub(super) fn record_changed_row(
    connection: &Connection,
    recorder: &EventRecorder,
    row: &FoundRow,
    columns: &Columns,
) -> engine::Result<()> {
    for (column, new) in &columns.0 {
        let old = row.value(column);
        let (before, after) = match *column {
            "status" => (Some(shown(old)), shown(new)),
            "password_hash" => (None, "another password".to_owned()),
            "org_id" => {
                let named = |id: &Value| organization_name(connection, id);
                let (old, new) = (named(old)?, named(new)?);
                (Some(format!("org {old}")), format!("org {new}"))
            }
            "username" | "name" | "org_type" | "retailer_uuid" | "supplier_uuid"
            | "created_date" | "active_date" | "first_name" | "last_name" | "email" | "phone" => {
                let named = |value| format!("{column} {}", shown(value));
                (Some(named(old)), named(new))
            }
            _ => continue,
        };
        record_change_of(connection, recorder, row, before.as_deref(), &after)?;
    }
    Ok(())
}

/// Records a change of a user or an organization. For a row of `people`, that is every user and organization that
/// refers to it.
fn record_change_of(
    connection: &Connection,
    recorder: &EventRecorder,
    row: &FoundRow,
    before: Option<&str>,
    after: &str,
) -> engine::Result<()> {
    match row.table.name {
        name if name == USERS.name => recorder.user(connection, row.id(), before, Some(after)),
        name if name == ORGANIZATIONS.name => {
            recorder.organization(connection, row.id(), before, Some(after))
        }
        name if name == PEOPLE.name => {
            let of_user = "SELECT id FROM users WHERE person_id = :person_id";
            for id in ids(connection, of_user, row.id())? {
                recorder.user(connection, id, before, Some(after))?;
            }
            let managed = "SELECT id FROM organizations WHERE account_manager_id = :person_id";
            let before = before.map(|before| format!("account_manager.{before}"));
            let after = format!("account_manager.{after}");
            for id in ids(connection, managed, row.id())? {
                recorder.organization(connection, id, before.as_deref(), Some(&after))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn ids(connection: &Connection, statement: &str, person_id: i64) -> engine::Result<Vec<i64>> {
    let parameters = parameters! { ":person_id": person_id };
    connection.rows(statement, parameters, |row| row.get(0))
}

/// A value as text. A number is a date.
fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) if !text.is_empty() => text.clone(),
        Value::Integer(date) => Timestamp::from_microsecond(*date)
            .map_or_else(|_| date.to_string(), |date| date.to_string()),
        _ => "-".to_owned(),
    }
}

fn organization_name(connection: &Connection, id: &Value) -> engine::Result<String> {
    let name: Option<String> = connection.first(
        "SELECT name FROM organizations WHERE id = :id",
        parameters! { ":id": id },
        |row| row.get(0),
    )?;
    Ok(name.unwrap_or_default())
}
