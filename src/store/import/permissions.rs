//! Permissions, and their assignments to users, in an import.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::columns::Columns;
use crate::accounts::{Permission, UserEntry};
use crate::store::engine::{self, Connection, parameters};

/// The id of a permission, and whether the user has it, if the file gives that.
pub(super) type Assignment = (i64, Option<bool>);

/// The id of a permission, and whether the user has it.
pub(super) type HasPermission = (i64, bool);

/// Every distinct permission of the users, in the order of the file. Values that one user's record omits are taken from
/// those of others.
pub(super) fn distinct(users: &[UserEntry]) -> Vec<Permission> {
    let mut distinct: IndexMap<String, Permission> = IndexMap::new();
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

/// The rows of the permissions of a file.
#[derive(Default)]
pub(super) struct PermissionRows {
    /// By UUID: the id of the row and whether it changes, or the reason why there is no row.
    rows: HashMap<String, Result<(i64, bool), String>>,
    /// By the id of the row: the UUID of the permission that identifies it.
    uuids: HashMap<i64, String>,
}

impl PermissionRows {
    pub(super) fn add(&mut self, uuid: String, row: Result<(i64, bool), String>) {
        self.rows.insert(uuid, row);
    }

    /// Whether another permission of the file identifies the same row.
    pub(super) fn is_meant_twice(&mut self, uuid: &str, id: i64) -> bool {
        let first = self.uuids.entry(id).or_insert_with(|| uuid.to_owned());
        first != uuid
    }

    /// The keys of the permissions in a record that have no row, with the reasons.
    pub(super) fn refused(&self, entry: &UserEntry) -> Vec<(String, String)> {
        let given = (0..).zip(entry.user.permissions.iter().flatten());
        let refused = |(index, permission): (usize, &Permission)| {
            let message = self.rows.get(&permission.identity())?.as_ref().err()?;
            Some((format!("permissions[{index}].uuid"), message.clone()))
        };
        given.filter_map(refused).collect()
    }

    /// The permissions of a record, and whether the row of one of them changes.
    pub(super) fn assignments(&self, entry: &UserEntry) -> (Option<Vec<Assignment>>, bool) {
        let mut are_changed = false;
        let mut assignment = |permission: &Permission| {
            let (id, is_changed) = self.rows.get(&permission.identity())?.as_ref().ok()?;
            are_changed |= is_changed;
            Some((*id, permission.assigned))
        };
        let given = entry.user.permissions.as_ref();
        let assignments = given.map(|given| given.iter().filter_map(&mut assignment).collect());
        (assignments, are_changed)
    }
}

/// The columns of a permission that the file gives.
pub(super) fn columns(permission: &Permission) -> Columns {
    Columns::default()
        .with("name", Some(permission.name.clone()))
        .with("display_name", permission.display_name.clone())
        .with("description", permission.description.clone())
}

/// The permissions of a user in order, each with whether the user has it.
pub(super) fn assigned(
    connection: &Connection,
    user_id: i64,
) -> engine::Result<Vec<HasPermission>> {
    connection.rows("SELECT permission_id, assigned FROM permission_assignments WHERE user_id = :user_id ORDER BY position", parameters! { ":user_id": user_id }, |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Assigns permissions to a new user.
pub(super) fn assign(
    connection: &Connection,
    user_id: i64,
    assignments: &[HasPermission],
) -> engine::Result<()> {
    for (position, (permission_id, assigned)) in (0_i64..).zip(assignments) {
        connection.execute(
            "INSERT INTO permission_assignments (user_id, position, permission_id, assigned)
             VALUES (:user_id, :position, :permission_id, :assigned)",
            parameters! {
                ":user_id": user_id,
                ":position": position,
                ":permission_id": permission_id,
                ":assigned": assigned,
            },
        )?;
    }
    Ok(())
}
