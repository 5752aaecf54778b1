//! Permissions, which many users may have, and who has them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, named_params};

use super::changes::Columns;
use crate::accounts::{Entry, Permission};

/// A permission's row, and whether the user has it, if that is said.
pub(super) type Assignment = (i64, Option<bool>);

/// A permission's row, and whether the user has it.
pub(super) type HasPermission = (i64, bool);

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

/// By UUID, what the database has of the permissions of a file.
#[derive(Default)]
pub(super) struct PermissionRows(pub(super) HashMap<String, PermissionRow>);

pub(super) enum PermissionRow {
    /// `is_changed` when it has another text than before.
    Has { id: i64, is_changed: bool },
    /// Something else has the UUID.
    Taken,
}

impl PermissionRows {
    fn get(&self, permission: &Permission) -> Option<&PermissionRow> {
        self.0.get(&permission.identity())
    }

    /// The keys of UUIDs in a record that something else has.
    pub(super) fn taken(&self, entry: &Entry) -> Vec<String> {
        let is_taken = |permission| matches!(self.get(permission), Some(PermissionRow::Taken));
        let given = entry.user.permissions.iter().flatten().enumerate();
        given
            .filter(|(_, permission)| is_taken(permission))
            .map(|(index, _)| format!("permissions[{index}].uuid"))
            .collect()
    }

    /// The permissions that a record says, and whether one of them is changed.
    pub(super) fn assignments(&self, entry: &Entry) -> (Option<Vec<Assignment>>, bool) {
        let mut are_changed = false;
        let mut assignment = |permission: &Permission| match self.get(permission)? {
            PermissionRow::Has { id, is_changed } => {
                are_changed |= is_changed;
                Some((*id, permission.assigned))
            }
            PermissionRow::Taken => None,
        };
        let given = entry.user.permissions.as_ref();
        let assignments = given.map(|given| given.iter().filter_map(&mut assignment).collect());
        (assignments, are_changed)
    }
}

/// The row of a permission, and what differs in it from what the file says.
pub(super) fn find(
    connection: &Connection,
    uuid: &str,
    permission: &Permission,
) -> rusqlite::Result<Option<(i64, Columns)>> {
    let given = [
        ("name", Some(permission.name.as_str())),
        ("display_name", permission.display_name.as_deref()),
        ("description", permission.description.as_deref()),
    ];
    connection
        .prepare_cached(
            "SELECT id, uuid, name, display_name, description FROM permissions WHERE uuid = :uuid",
        )?
        .query_one(named_params! { ":uuid": uuid }, |row| {
            Ok((row.get(0)?, Columns::texts(row, given)?))
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
) -> rusqlite::Result<Vec<HasPermission>> {
    connection
        .prepare_cached(
            "SELECT permission_id, assigned FROM permission_assignments WHERE user_id = :user_id ORDER BY position",
        )?
        .query_map(named_params! { ":user_id": user_id }, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Gives a new user these permissions.
pub(super) fn assign(
    connection: &Connection,
    user_id: i64,
    assignments: &[HasPermission],
) -> rusqlite::Result<()> {
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
