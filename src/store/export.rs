//! Reading accounts whole, to be written to a file.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::accounts::spelled;
use super::members::{moment, optional_moment, permissions, person};
use super::{Error, Store};
use crate::account::{WrittenOrganization, WrittenPermission, WrittenUser};

const USERS: &str =
    "SELECT users.id, organizations.uuid, users.username, users.password_hash, users.status, users.uuid,
            people.uuid, first_name, last_name, email, phone
     FROM users
     JOIN organizations ON organizations.id = users.org_id
     JOIN people ON people.id = users.person_id";

impl Store {
    /// Every user, or those of one organization, by organization and username.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn written_users(&self, org_id: Option<i64>) -> Result<Vec<WrittenUser>, Error> {
        self.read(|connection| users(connection, org_id))
    }

    /// One user by UUID or username, and its organization.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn written_user(&self, identity: &str) -> Result<Option<WrittenUser>, Error> {
        self.read(|connection| {
            for condition in ["users.uuid = lower(:text)", "users.username = :text"] {
                let found = connection
                    .prepare_cached(&format!("{USERS} WHERE {condition}"))?
                    .query_one(named_params! { ":text": identity }, |row| {
                        user(connection, row)
                    })
                    .optional()?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok(None)
        })
    }

    /// Every organization, or one, with its users, all as of one moment.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn written_organizations(
        &self,
        org_id: Option<i64>,
    ) -> Result<Vec<WrittenOrganization>, Error> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let found: Vec<(i64, WrittenOrganization)> = transaction
                .prepare_cached(
                    "SELECT organizations.id, name, org_type, status, organizations.uuid, retailer_uuid, supplier_uuid,
                            created_date, active_date, people.uuid, first_name, last_name, email, phone
                     FROM organizations LEFT JOIN people ON people.id = organizations.account_manager_id
                     WHERE :org_id IS NULL OR organizations.id = :org_id
                     ORDER BY name, organizations.uuid",
                )?
                .query_map(named_params! { ":org_id": org_id }, organization)?
                .collect::<Result<_, _>>()?;
            found
                .into_iter()
                .map(|(id, mut organization)| {
                    organization.users = users(&transaction, Some(id))?;
                    for user in &mut organization.users {
                        user.org = None;
                    }
                    Ok(organization)
                })
                .collect()
        })
    }
}

fn users(connection: &Connection, org_id: Option<i64>) -> rusqlite::Result<Vec<WrittenUser>> {
    connection
        .prepare_cached(&format!(
            "{USERS} WHERE :org_id IS NULL OR users.org_id = :org_id ORDER BY organizations.uuid, users.username"
        ))?
        .query_map(named_params! { ":org_id": org_id }, |row| user(connection, row))?
        .collect()
}

fn user(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<WrittenUser> {
    let permissions = permissions(connection, row.get(0)?)?
        .into_iter()
        .map(|assignment| WrittenPermission {
            permission: assignment.permission,
            assigned: assignment.assigned,
        })
        .collect();
    Ok(WrittenUser {
        org: row.get(1)?,
        username: row.get(2)?,
        password_hash: row.get(3)?,
        status: spelled(row, 4)?,
        uuid: row.get(5)?,
        person: person(row, 6)?,
        permissions,
    })
}

fn organization(row: &Row<'_>) -> rusqlite::Result<(i64, WrittenOrganization)> {
    let has_manager = row.get_ref(9)? != rusqlite::types::ValueRef::Null;
    let organization = WrittenOrganization {
        name: row.get(1)?,
        org_type: spelled(row, 2)?,
        status: spelled(row, 3)?,
        uuid: row.get(4)?,
        retailer_uuid: row.get(5)?,
        supplier_uuid: row.get(6)?,
        created_date: moment(row, 7)?,
        active_date: optional_moment(row, 8)?,
        account_manager: has_manager.then(|| person(row, 9)).transpose()?,
        users: Vec::new(),
    };
    Ok((row.get(0)?, organization))
}
