//! Permissions, which many users may have, and who has them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, named_params};

use super::columns::Columns;
use crate::accounts::{Entry, Permission};

/// Every permission of the users once; what one of them leaves out of it, another one may say.
pub(super) fn distinct(users: &[Entry]) -> Vec<Permission> {
    let mut distinct: HashMap<String, Permission> = HashMap::new();
    for permission in users
        .iter()
        .flat_map(|entry| entry.user.permissions.iter().flatten())
    {
        let known = distinct
            .entry(permission.identity())
            .or_insert_with(|| permission.clone());
        for (known, given) in [
            (&mut known.display_name, &permission.display_name),
            (&mut known.description, &permission.description),
        ] {
            if known.is_none() {
                known.clone_from(given);
            }
        }
    }
    distinct.into_values().collect()
}

/// The row of a permission and what the file says otherwise of it.
pub(super) fn difference(
    connection: &Connection,
    uuid: &str,
    permission: &Permission,
) -> rusqlite::Result<Option<(i64, Columns)>> {
    connection
        .prepare_cached(
            "SELECT id, name, display_name, description FROM permissions WHERE uuid = :uuid",
        )?
        .query_one(named_params! { ":uuid": uuid }, |row| {
            let mut columns = Columns::default();
            for (index, column, given) in [
                (1, "name", Some(permission.name.as_str())),
                (2, "display_name", permission.display_name.as_deref()),
                (3, "description", permission.description.as_deref()),
            ] {
                let present = row.get_ref(index)?.as_str_or_null()?;
                columns.text(column, given, present);
            }
            Ok((row.get(0)?, columns))
        })
        .optional()
}

pub(super) fn add(
    connection: &Connection,
    uuid: &str,
    permission: &Permission,
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO permissions (uuid, name, display_name, description)
             VALUES (:uuid, :name, :display_name, :description)",
        )?
        .execute(named_params! {
            ":uuid": uuid,
            ":name": permission.name,
            ":display_name": permission.display_name,
            ":description": permission.description,
        })?;
    Ok(connection.last_insert_rowid())
}

/// The permissions of a user in their order, and whether it has each.
pub(super) fn assigned(
    connection: &Connection,
    user_id: i64,
) -> rusqlite::Result<Vec<(i64, bool)>> {
    connection
        .prepare_cached(
            "SELECT permission_id, assigned FROM permission_assignments WHERE user_id = :user_id ORDER BY position",
        )?
        .query_map(named_params! { ":user_id": user_id }, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Gives a user these permissions, and no other.
pub(super) fn assign(
    connection: &Connection,
    user_id: i64,
    assignments: &[(i64, bool)],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM permission_assignments WHERE user_id = :user_id")?
        .execute(named_params! { ":user_id": user_id })?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO permission_assignments (user_id, position, permission_id, assigned)
         VALUES (:user_id, :position, :permission_id, :assigned)",
    )?;
    for (position, (permission_id, assigned)) in (0_i64..).zip(assignments) {
        insert.execute(named_params! {
            ":user_id": user_id,
            ":position": position,
            ":permission_id": permission_id,
            ":assigned": assigned,
        })?;
    }
    Ok(())
}
