//! Organizations as an operator lists, adds and changes them.

use jiff::Timestamp;
use serde::Serialize;

use super::engine::{self, Connection, Row, parameters};
use super::import::{Outcome, add_new};
use super::listing::{Listing, OrganizationOrder};
use super::rows::{moment, optional_moment, optional_person, spelled, unsigned};
use super::search::{contains, lower_case};
use super::{Error, Store};
use crate::account::{OrgType, OrganizationStatus, Person, trimmed, written_uuid};
use crate::accounts::{self, Accounts, Finding, Place};
use crate::nearest::Nearest;

/// An organization as a listing shows it; the names and the order of the fields are those of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct OrganizationRow {
    /// The row, for changes that follow.
    #[serde(skip)]
    pub id: i64,
    /// Identity.
    pub uuid: String,
    /// The name people know it by.
    pub name: String,
    /// Retailer or supplier.
    pub org_type: OrgType,
    /// Where it stands.
    pub status: OrganizationStatus,
    /// Of a retailer.
    pub retailer_uuid: Option<String>,
    /// Of a supplier.
    pub supplier_uuid: Option<String>,
    /// When it joined.
    pub created_date: Timestamp,
    /// When it became active, if that is known.
    pub active_date: Option<Timestamp>,
    /// Who looks after it, if anybody does.
    pub account_manager: Option<Person>,
    /// How many users it has.
    pub users: u64,
}

/// Which organizations are listed; a part that is `None` leaves none out.
#[derive(Clone, Copy, Default)]
pub struct OrganizationFilter<'f> {
    /// Of this status.
    pub status: Option<OrganizationStatus>,
    /// With this text in the name, whatever the case of ASCII letters.
    pub search: Option<&'f str>,
}

const SELECT: &str =
    "SELECT organizations.id, organizations.uuid, name, org_type, status, retailer_uuid, supplier_uuid, created_date,
            active_date, (SELECT count(*) FROM visible_users WHERE visible_users.org_id = organizations.id) AS users,
            people.uuid, first_name, last_name, email, phone
     FROM visible_organizations AS organizations
     LEFT JOIN people ON people.id = organizations.account_manager_id";

impl Store {
    /// The organizations that pass the filter.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn organizations(
        &self,
        filter: OrganizationFilter<'_>,
        listing: Listing<OrganizationOrder>,
    ) -> Result<Vec<OrganizationRow>, Error> {
        let column = match listing.order {
            OrganizationOrder::Name => "lower(name)",
            OrganizationOrder::CreatedDate => "created_date",
            OrganizationOrder::Status => "status",
            OrganizationOrder::Users => "users",
        };
        self.read(|connection| {
            connection.rows(
                &format!(
                    "{SELECT}
                     WHERE (:status IS NULL OR status = :status)
                           AND (:search IS NULL OR {})
                     {}",
                    contains("name"),
                    listing.clause(column, "organizations.id")
                ),
                parameters! {
                    ":status": filter.status.map(OrganizationStatus::as_str),
                    ":search": lower_case(filter.search),
                },
                organization_row,
            )
        })
    }

    /// The organization that a name or a UUID means, or why none can be said. A name comes first, and need not be unique. White
    /// space around it does not count, unless a name has it too.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn organization_called(
        &self,
        text: &str,
    ) -> Result<Result<OrganizationRow, String>, Error> {
        self.read(|connection| organization_called(connection, text))
    }

    /// The organization with a UUID, as the database has it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn organization_row(&self, uuid: &str) -> Result<Option<OrganizationRow>, Error> {
        self.read(|connection| Ok(find_organizations(connection, "uuid", uuid)?.pop()))
    }

    /// Adds an organization without users, or gives what other rows have of it. Its name may be that of another one only if
    /// `same_name` allows it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn add_organization(
        &self,
        organization: accounts::Organization,
        same_name: bool,
        now: Timestamp,
    ) -> Result<Outcome, Error> {
        let notes = self.notes(now);
        self.write_unless_refused(move |connection| {
            if !same_name && has_name(connection, &organization.name)? {
                let message = "another organization has this name";
                return Ok(Err(vec![Finding::new(Place::File, "name", message)]));
            }
            let uuid = organization.identity();
            let accounts = Accounts {
                organizations: vec![(Place::File, organization)],
                users: Vec::new(),
            };
            let outcome = add_new(connection, accounts, now)?;
            if outcome.is_ok() {
                let (id, status): (i64, String) = connection.one(
                    "SELECT id, status FROM organizations WHERE uuid = :uuid",
                    parameters! { ":uuid": uuid },
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?;
                notes.organization(connection, id, None, Some(&status))?;
            }
            Ok(outcome)
        })
    }

    /// Changes where an organization stands; one that becomes active for the first time gets its date. Says whether it
    /// stood elsewhere. Tokens of its users stay, and are refused as long as it is not active.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn set_organization_status(
        &self,
        id: i64,
        status: OrganizationStatus,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let notes = self.notes(now);
        self.write_accounts(move |connection| {
            let new = status.as_str();
            let old: Option<String> = connection.first("SELECT status FROM organizations WHERE id = :id AND status <> :new", parameters! { ":id": id, ":new": new }, |row| row.get(0))?;
            let Some(old) = old else {
                return Ok(false);
            };
            connection.execute("UPDATE organizations SET
                         status = :new,
                         active_date = CASE WHEN :new = 'ACTIVE' THEN coalesce(active_date, :now) ELSE active_date END
                     WHERE id = :id", parameters! { ":id": id, ":new": new, ":now": now.as_microsecond() })?;
            notes.organization(connection, id, Some(&old), Some(new))?;
            Ok(true)
        })
    }
}

/// See [`Store::organization_called`].
pub(super) fn organization_called(
    connection: &Connection,
    text: &str,
) -> engine::Result<Result<OrganizationRow, String>> {
    let uuid = written_uuid(text).unwrap_or_default();
    for (column, value) in [("name", text), ("name", trimmed(text)), ("uuid", &uuid)] {
        let mut found = find_organizations(connection, column, value)?;
        if found.len() > 1 {
            let uuids: Vec<&str> = found.iter().map(|found| found.uuid.as_str()).collect();
            let (count, uuids) = (found.len(), uuids.join(", "));
            return Ok(Err(format!(
                "{count} organizations are called {text:?}: give the UUID of one ({uuids})"
            )));
        }
        if let Some(organization) = found.pop() {
            return Ok(Ok(organization));
        }
    }
    let mut nearest = Nearest::to(text);
    connection.for_each("SELECT name FROM visible_organizations", &[], |row| {
        nearest.offer(row.text(0)?);
        Ok(())
    })?;
    Ok(Err(nearest.missing("organization", "org")))
}

pub(super) fn find_organizations(
    connection: &Connection,
    column: &'static str,
    value: &str,
) -> engine::Result<Vec<OrganizationRow>> {
    connection.rows(
        &format!("{SELECT} WHERE organizations.{column} = :value ORDER BY organizations.uuid"),
        parameters! { ":value": value },
        organization_row,
    )
}

fn has_name(connection: &Connection, name: &str) -> engine::Result<bool> {
    connection.one(
        "SELECT EXISTS (SELECT 1 FROM visible_organizations WHERE name = :name)",
        parameters! { ":name": name },
        |row| row.get(0),
    )
}

fn organization_row(row: &Row<'_>) -> engine::Result<OrganizationRow> {
    Ok(OrganizationRow {
        id: row.get(0)?,
        uuid: row.get(1)?,
        name: row.get(2)?,
        org_type: spelled(row, 3)?,
        status: spelled(row, 4)?,
        retailer_uuid: row.get(5)?,
        supplier_uuid: row.get(6)?,
        created_date: moment(row, 7)?,
        active_date: optional_moment(row, 8)?,
        users: unsigned(row, 9)?,
        account_manager: optional_person(row, 10)?,
    })
}
