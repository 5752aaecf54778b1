//! Removing users and organizations, together with their tokens and with the people and permissions that no other row
//! uses.

use jiff::Timestamp;

use super::engine::{self, Connection, Row, parameters};
use super::event_recorder::EventRecorder;
use super::{Error, Store};
use crate::account::OrganizationStatus;

/// The outcome of removing an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovalOutcome {
    /// The organization and its last users, this many, have been removed.
    Done(usize),
    /// This many users have been removed, and the organization is DEACTIVATED. Another call continues.
    Started(usize),
    /// The organization has this many users and has not been removed.
    HasUsers(u64),
    /// There is no such organization.
    Gone,
}

struct User {
    id: i64,
    person_id: i64,
    status: String,
}

struct Organization {
    id: i64,
    manager_id: Option<i64>,
    status: String,
}

impl Store {
    /// Removes the user with a UUID. Returns `false` if there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn remove_user(&self, uuid: String, now: Timestamp) -> Result<bool, Error> {
        let recorder = self.recorder(now);
        self.write_accounts(move |connection| {
            let found = connection.first(
                "SELECT id, person_id, status FROM users WHERE uuid = :uuid",
                parameters! { ":uuid": uuid },
                User::of,
            )?;
            let Some(user) = found else {
                return Ok(false);
            };
            remove_user(connection, &user, &recorder)?;
            Ok(true)
        })
    }

    /// Removes the organization with a UUID, and its users if `with_users` allows that. One call removes at most
    /// `limit` users, so that logins do not wait for long. If there are more, the organization is DEACTIVATED first, so
    /// that its users can no longer log in.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn remove_organization(
        &self,
        uuid: String,
        with_users: bool,
        limit: u32,
        now: Timestamp,
    ) -> Result<RemovalOutcome, Error> {
        let recorder = self.recorder(now);
        self.write_accounts(move |connection| {
            let found = connection.first(
                "SELECT id, account_manager_id, status FROM organizations WHERE uuid = :uuid",
                parameters! { ":uuid": uuid },
                Organization::of,
            )?;
            let Some(organization) = found else {
                return Ok(RemovalOutcome::Gone);
            };
            let users = count_users(connection, organization.id)?;
            if users == 0 || with_users {
                remove_organization(connection, &organization, users, limit, &recorder)
            } else {
                Ok(RemovalOutcome::HasUsers(users))
            }
        })
    }
}

impl User {
    fn of(row: &Row<'_>) -> engine::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            person_id: row.get(1)?,
            status: row.get(2)?,
        })
    }
}

impl Organization {
    fn of(row: &Row<'_>) -> engine::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            manager_id: row.get(1)?,
            status: row.get(2)?,
        })
    }
}

/// The number of users of an organization, including those that an import in progress has added.
fn count_users(connection: &Connection, org_id: i64) -> engine::Result<u64> {
    let users: i64 = connection.one(
        "SELECT count(*) FROM users WHERE org_id = :org_id",
        parameters! { ":org_id": org_id },
        |row| row.get(0),
    )?;
    Ok(users.unsigned_abs())
}

fn remove_organization(
    connection: &Connection,
    organization: &Organization,
    users: u64,
    limit: u32,
    recorder: &EventRecorder,
) -> engine::Result<RemovalOutcome> {
    let Organization {
        id,
        manager_id,
        ref status,
    } = *organization;
    let are_more = users > u64::from(limit);
    let deactivated = OrganizationStatus::Deactivated.as_str();
    if are_more && status != deactivated {
        connection.execute(
            "UPDATE organizations SET status = :status WHERE id = :id",
            parameters! { ":status": deactivated, ":id": id },
        )?;
        recorder.organization(connection, id, Some(status), Some(deactivated))?;
    }
    let users: Vec<User> = connection.rows(
        "SELECT id, person_id, status FROM users WHERE org_id = :id LIMIT :limit",
        parameters! { ":id": id, ":limit": limit },
        User::of,
    )?;
    for user in &users {
        remove_user(connection, user, recorder)?;
    }
    if are_more {
        return Ok(RemovalOutcome::Started(users.len()));
    }
    recorder.organization(connection, id, Some(status), None)?;
    connection.execute(
        "DELETE FROM organizations WHERE id = :id",
        parameters! { ":id": id },
    )?;
    if let Some(manager_id) = manager_id {
        remove_unused_person(connection, manager_id)?;
    }
    Ok(RemovalOutcome::Done(users.len()))
}

/// Removes a user. Its tokens and permission assignments are removed by `ON DELETE CASCADE`.
fn remove_user(
    connection: &Connection,
    user: &User,
    recorder: &EventRecorder,
) -> engine::Result<()> {
    let User {
        id,
        person_id,
        ref status,
    } = *user;
    recorder.user(connection, id, Some(status), None)?;
    let permissions: Vec<i64> = connection.rows(
        "SELECT permission_id FROM permission_assignments WHERE user_id = :id",
        parameters! { ":id": id },
        |row| row.get(0),
    )?;
    connection.execute(
        "DELETE FROM users WHERE id = :id",
        parameters! { ":id": id },
    )?;
    remove_unused_person(connection, person_id)?;
    for permission_id in permissions {
        connection.execute("DELETE FROM permissions
                 WHERE id = :id
                       AND NOT EXISTS (SELECT 1 FROM permission_assignments WHERE permission_id = :id)", parameters! { ":id": permission_id })?;
    }
    Ok(())
}

/// Removes a person that no user and no organization refers to.
pub(super) fn remove_unused_person(connection: &Connection, id: i64) -> engine::Result<()> {
    connection.execute(
        "DELETE FROM people
             WHERE id = :id
                   AND NOT EXISTS (SELECT 1 FROM users WHERE person_id = :id)
                   AND NOT EXISTS (SELECT 1 FROM organizations WHERE account_manager_id = :id)",
        parameters! { ":id": id },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests;
