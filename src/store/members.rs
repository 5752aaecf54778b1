//! Reading an organization and its users, as account calls show them.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, named_params};

use super::accounts::spelled;
use super::{Error, Store};
use crate::account::{Assignment, OrgType, OrganizationStatus, Permission, Person, UserStatus};

/// An organization as its users see it.
pub struct Organization {
    /// Identity.
    pub uuid: String,
    /// The name people know it by.
    pub name: String,
    /// Retailer or supplier.
    pub org_type: OrgType,
    /// Where it stands.
    pub status: OrganizationStatus,
    /// When it joined.
    pub created_date: Timestamp,
    /// When it became active, if that is known.
    pub active_date: Option<Timestamp>,
    /// Who looks after it, if anybody does.
    pub account_manager: Option<Person>,
}

/// A user as other users of the organization see it.
pub struct Member {
    /// Identity.
    pub uuid: String,
    /// Who it is.
    pub person: Person,
    /// In the order they were given.
    pub permissions: Vec<Assignment>,
    /// Where it stands.
    pub status: UserStatus,
}

impl Store {
    /// Reads an organization that is known to exist.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn organization(&self, org_id: i64) -> Result<Organization, Error> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT organizations.uuid, name, org_type, status, created_date, active_date,
                            people.uuid, first_name, last_name, email, phone
                     FROM organizations LEFT JOIN people ON people.id = organizations.account_manager_id
                     WHERE organizations.id = :org_id",
                )?
                .query_one(named_params! { ":org_id": org_id }, organization)
        })
    }

    /// Hands on the users of an organization one by one, ordered by username: there may be many.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn for_each_member(
        &self,
        org_id: i64,
        mut receive: impl FnMut(Member),
    ) -> Result<(), Error> {
        self.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT users.id, users.uuid, users.status, people.uuid, first_name, last_name, email, phone
                 FROM users JOIN people ON people.id = users.person_id
                 WHERE users.org_id = :org_id
                 ORDER BY users.username",
            )?;
            let mut rows = statement.query(named_params! { ":org_id": org_id })?;
            while let Some(row) = rows.next()? {
                receive(member(connection, row)?);
            }
            Ok(())
        })
    }

    /// Finds one user of an organization.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn member(&self, org_id: i64, uuid: &str) -> Result<Option<Member>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT users.id, users.uuid, users.status, people.uuid, first_name, last_name, email, phone
                     FROM users JOIN people ON people.id = users.person_id
                     WHERE users.uuid = :uuid AND users.org_id = :org_id",
                )?
                .query_one(named_params! { ":uuid": uuid, ":org_id": org_id }, |row| {
                    member(connection, row)
                })
                .optional()
        })
    }
}

fn organization(row: &Row<'_>) -> rusqlite::Result<Organization> {
    let has_manager = row.get_ref(6)? != rusqlite::types::ValueRef::Null;
    Ok(Organization {
        uuid: row.get(0)?,
        name: row.get(1)?,
        org_type: spelled(row, 2)?,
        status: spelled(row, 3)?,
        created_date: moment(row, 4)?,
        active_date: optional_moment(row, 5)?,
        account_manager: has_manager.then(|| person(row, 6)).transpose()?,
    })
}

fn member(connection: &Connection, row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member {
        permissions: permissions(connection, row.get(0)?)?,
        uuid: row.get(1)?,
        status: spelled(row, 2)?,
        person: person(row, 3)?,
    })
}

/// Reads a person from five columns, beginning with `first`.
pub(super) fn person(row: &Row<'_>, first: usize) -> rusqlite::Result<Person> {
    Ok(Person {
        uuid: row.get(first)?,
        first_name: row.get(first + 1)?,
        last_name: row.get(first + 2)?,
        email: row.get(first + 3)?,
        phone: row.get(first + 4)?,
    })
}

pub(super) fn permissions(
    connection: &Connection,
    user_id: i64,
) -> rusqlite::Result<Vec<Assignment>> {
    connection
        .prepare_cached(
            "SELECT assigned, uuid, name, display_name, description
             FROM permission_assignments JOIN permissions ON permissions.id = permission_assignments.permission_id
             WHERE user_id = :user_id ORDER BY position",
        )?
        .query_map(named_params! { ":user_id": user_id }, |row| {
            Ok(Assignment {
                assigned: row.get(0)?,
                permission: Permission {
                    uuid: row.get(1)?,
                    name: row.get(2)?,
                    display_name: row.get(3)?,
                    description: row.get(4)?,
                },
            })
        })?
        .collect()
}

pub(super) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    let microseconds = row.get(column)?;
    Timestamp::from_microsecond(microseconds)
        .map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, microseconds))
}

pub(super) fn optional_moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    match row.get_ref(column)? {
        rusqlite::types::ValueRef::Null => Ok(None),
        _ => moment(row, column).map(Some),
    }
}
