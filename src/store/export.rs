//! Reading complete accounts for an export to a file.

use super::engine::{self, Connection, Row, parameters};
use super::members::permissions;
use super::rows::{moment, optional_moment, optional_person, person, spelled};
use super::{Error, Store};
use crate::accounts::{Organization, Permission, User};

const USERS: &str =
    "SELECT users.id, organizations.uuid, users.username, users.password_hash, users.status, users.uuid,
            people.uuid, first_name, last_name, email, phone
     FROM visible_users AS users
     JOIN organizations ON organizations.id = users.org_id
     JOIN people ON people.id = users.person_id";

impl Store {
    /// All users, or those of one organization, ordered by organization and username.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn users_for_export(&self, org_id: Option<i64>) -> Result<Vec<User>, Error> {
        self.read(|connection| connection.in_snapshot(|connection| users(connection, org_id)))
    }

    /// All organizations, or a single one, each with its users, from one snapshot.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn organizations_for_export(
        &self,
        org_id: Option<i64>,
    ) -> Result<Vec<(Organization, Vec<User>)>, Error> {
        self.read(|connection| connection.in_snapshot(|connection| {
            let found: Vec<(i64, Organization)> = connection.rows("SELECT organizations.id, name, org_type, status, organizations.uuid, retailer_uuid, supplier_uuid,
                            created_date, active_date, people.uuid, first_name, last_name, email, phone
                     FROM visible_organizations AS organizations
                     LEFT JOIN people ON people.id = organizations.account_manager_id
                     WHERE :org_id IS NULL OR organizations.id = :org_id
                     ORDER BY name, organizations.uuid", parameters! { ":org_id": org_id }, organization)?;
            found
                .into_iter()
                .map(|(id, organization)| {
                    let mut users = users(connection, Some(id))?;
                    for user in &mut users {
                        user.org = None;
                    }
                    Ok((organization, users))
                })
                .collect()
        }))
    }
}

fn users(connection: &Connection, org_id: Option<i64>) -> engine::Result<Vec<User>> {
    let mut users = Vec::new();
    connection.pages(
        &format!(
            "{USERS} WHERE :org_id IS NULL OR users.org_id = :org_id ORDER BY organizations.uuid, users.username_key"
        ),
        parameters! { ":org_id": org_id },
        |row| Ok((row.get(0)?, user(row)?)),
        |page| {
            let mut permissions = permissions(connection, page.iter().map(|(id, _)| *id))?;
            users.extend(page.into_iter().map(|(id, user)| {
                let permissions = permissions.remove(&id).unwrap_or_default();
                let permissions = permissions.into_iter().map(Permission::from).collect();
                User { permissions: Some(permissions), ..user }
            }));
            Ok(())
        },
    )?;
    Ok(users)
}

/// Reads a user without its permissions.
fn user(row: &Row<'_>) -> engine::Result<User> {
    Ok(User {
        org: row.get(1)?,
        username: Some(spelled(row, 2)?),
        password: None,
        password_hash: Some(spelled(row, 3)?),
        status: Some(spelled(row, 4)?),
        uuid: row.get(5)?,
        auth_token: None,
        person: Some(person(row, 6)?),
        permissions: None,
    })
}

fn organization(row: &Row<'_>) -> engine::Result<(i64, Organization)> {
    let organization = Organization {
        name: row.get(1)?,
        org_type: spelled(row, 2)?,
        status: Some(spelled(row, 3)?),
        uuid: row.get(4)?,
        retailer_uuid: row.get(5)?,
        supplier_uuid: row.get(6)?,
        created_date: Some(moment(row, 7)?),
        active_date: optional_moment(row, 8)?,
        account_manager: optional_person(row, 9)?,
        users: Vec::new(),
    };
    Ok((row.get(0)?, organization))
}
