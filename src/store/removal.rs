//! Removing users and organizations, with what nobody else has of them: tokens, people, permissions.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::{Error, Store};
use crate::account::OrganizationStatus;

/// What became of an organization that is to be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is removed, with its last users, which were so many.
    Done(usize),
    /// So many of its users are removed, and it is DEACTIVATED; the same call goes on.
    Started(usize),
    /// It has so many users, and stays.
    HasUsers(u64),
    /// There is none.
    Gone,
}

impl Store {
    /// Removes the user with a UUID. `false` when there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn remove_user(&self, uuid: String) -> Result<bool, Error> {
        self.write(move |connection| {
            let found = connection
                .prepare_cached("SELECT id, person_id FROM users WHERE uuid = :uuid")?
                .query_one(named_params! { ":uuid": uuid }, |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let Some((id, person_id)) = found else {
                return Ok(false);
            };
            remove_user(connection, id, person_id)?;
            Ok(true)
        })
    }

    /// Removes the organization with a UUID, and its users if `with_users` allows it, of whom at most `limit` go at once:
    /// logins wait for no longer than that takes. With more, it is DEACTIVATED first, and nobody of it gets in any more.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn remove_organization(
        &self,
        uuid: String,
        with_users: bool,
        limit: u32,
    ) -> Result<Removal, Error> {
        self.write(move |connection| {
            let found = connection
                .prepare_cached(
                    "SELECT id, account_manager_id FROM organizations WHERE uuid = :uuid",
                )?
                .query_one(named_params! { ":uuid": uuid }, |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()?;
            let Some((id, manager_id)) = found else {
                return Ok(Removal::Gone);
            };
            let users = count_users(connection, id)?;
            if users == 0 || with_users {
                remove_organization(connection, id, manager_id, users, limit)
            } else {
                Ok(Removal::HasUsers(users))
            }
        })
    }
}

/// All of them, those that an import under way has added too.
fn count_users(connection: &Connection, org_id: i64) -> rusqlite::Result<u64> {
    let users: i64 = connection
        .prepare_cached("SELECT count(*) FROM users WHERE org_id = :org_id")?
        .query_one(named_params! { ":org_id": org_id }, |row| row.get(0))?;
    Ok(users.unsigned_abs())
}

fn remove_organization(
    connection: &Connection,
    id: i64,
    manager_id: Option<i64>,
    users: u64,
    limit: u32,
) -> rusqlite::Result<Removal> {
    let are_more = users > u64::from(limit);
    if are_more {
        connection
            .prepare_cached(
                "UPDATE organizations SET status = :status WHERE id = :id AND status <> :status",
            )?
            .execute(named_params! {
                ":status": OrganizationStatus::Deactivated.as_str(),
                ":id": id,
            })?;
    }
    let users: Vec<(i64, i64)> = connection
        .prepare_cached("SELECT id, person_id FROM users WHERE org_id = :id LIMIT :limit")?
        .query_map(named_params! { ":id": id, ":limit": limit }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for (user_id, person_id) in &users {
        remove_user(connection, *user_id, *person_id)?;
    }
    if are_more {
        return Ok(Removal::Started(users.len()));
    }
    connection
        .prepare_cached("DELETE FROM organizations WHERE id = :id")?
        .execute(named_params! { ":id": id })?;
    if let Some(manager_id) = manager_id {
        remove_unused_person(connection, manager_id)?;
    }
    Ok(Removal::Done(users.len()))
}

/// Tokens and assignments go with the row.
fn remove_user(connection: &Connection, id: i64, person_id: i64) -> rusqlite::Result<()> {
    let permissions: Vec<i64> = connection
        .prepare_cached("SELECT permission_id FROM permission_assignments WHERE user_id = :id")?
        .query_map(named_params! { ":id": id }, |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    connection
        .prepare_cached("DELETE FROM users WHERE id = :id")?
        .execute(named_params! { ":id": id })?;
    remove_unused_person(connection, person_id)?;
    for permission_id in permissions {
        connection
            .prepare_cached(
                "DELETE FROM permissions
                 WHERE id = :id
                       AND NOT EXISTS (SELECT 1 FROM permission_assignments WHERE permission_id = :id)",
            )?
            .execute(named_params! { ":id": permission_id })?;
    }
    Ok(())
}

/// Removes a person that nobody is any more.
pub(super) fn remove_unused_person(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM people
             WHERE id = :id
                   AND NOT EXISTS (SELECT 1 FROM users WHERE person_id = :id)
                   AND NOT EXISTS (SELECT 1 FROM organizations WHERE account_manager_id = :id)",
        )?
        .execute(named_params! { ":id": id })?;
    Ok(())
}

#[cfg(test)]
mod tests;
