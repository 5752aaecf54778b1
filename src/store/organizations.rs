//! Listing, adding and changing organizations, for operators.

use jiff::Timestamp;
use serde::Serialize;

use super::engine::{self, Connection, Row, parameters};
use super::import::{ImportOutcome, add_new};
use super::listing::{Listing, OrganizationOrder};
use super::rows::{moment, optional_moment, optional_person, spelled, unsigned};
use super::search::{contains, lower_case};
use super::{Error, Store};
use crate::account::{OrgType, OrganizationStatus, Person, normalized_uuid, trimmed};
use crate::accounts::{self, Accounts, Finding, RecordPlace};
use crate::nearest::Nearest;

/// An organization in a listing. The fields have the names and the order of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct OrganizationRow {
    /// The id of the row, for subsequent changes.
    #[serde(skip)]
    pub id: i64,
    /// The organization's UUID.
    pub uuid: String,
    /// The name that is displayed to people.
    pub name: String,
    /// Whether it is a retailer or a supplier.
    pub org_type: OrgType,
    /// The status.
    pub status: OrganizationStatus,
    /// The UUID as a retailer; only for retailers.
    pub retailer_uuid: Option<String>,
    /// The UUID as a supplier; only for suppliers.
    pub supplier_uuid: Option<String>,
    /// When it joined.
    pub created_date: Timestamp,
    /// When it became active, if known.
    pub active_date: Option<Timestamp>,
    /// The account manager, if it has one.
    pub account_manager: Option<Person>,
    /// The number of its users.
    pub users: u64,
}

/// Selects the organizations to be listed. A field that is `None` does not restrict the list.
#[derive(Clone, Copy, Default)]
pub struct OrganizationFilter<'f> {
    /// Only organizations with this status.
    pub status: Option<OrganizationStatus>,
    /// Only organizations whose name contains this text, ignoring ASCII case.
    pub search: Option<&'f str>,
}

const SELECT: &str =
    "SELECT organizations.id, organizations.uuid, name, org_type, status, retailer_uuid, supplier_uuid, created_date,
            active_date, (SELECT count(*) FROM visible_users WHERE visible_users.org_id = organizations.id) AS users,
            people.uuid, first_name, last_name, email, phone
     FROM visible_organizations AS organizations
     LEFT JOIN people ON people.id = organizations.account_manager_id";

impl Store {
    /// The organizations that match the filter.
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

    /// Finds the organization with a name or a UUID. The inner error explains why no single one was found. Names take
    /// precedence over UUIDs and need not be unique. Surrounding white space is ignored, unless a name contains it.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn organization_called(
        &self,
        text: &str,
    ) -> Result<Result<OrganizationRow, String>, Error> {
        self.read(|connection| organization_called(connection, text))
    }

    /// The organization with a UUID in the hyphenated, lower-case form.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn organization_row(&self, uuid: &str) -> Result<Option<OrganizationRow>, Error> {
        self.read(|connection| Ok(find_organizations(connection, "uuid", uuid)?.pop()))
    }

    /// Adds an organization without users, or returns the conflicts with existing rows. `same_name` allows a name that
    /// another organization has.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn add_organization(
        &self,
        organization: accounts::Organization,
        same_name: bool,
        now: Timestamp,
    ) -> Result<ImportOutcome, Error> {
        let recorder = self.recorder(now);
        self.write_unless_refused(move |connection| {
            if !same_name && has_name(connection, &organization.name)? {
                let message = "another organization has this name";
                return Ok(Err(vec![Finding::new(RecordPlace::File, "name", message)]));
            }
            let uuid = organization.identity();
            let accounts = Accounts {
                organizations: vec![(RecordPlace::File, organization)],
                users: Vec::new(),
            };
            let outcome = add_new(connection, accounts, now)?;
            if outcome.is_ok() {
                let (id, status): (i64, String) = connection.one(
                    "SELECT id, status FROM organizations WHERE uuid = :uuid",
                    parameters! { ":uuid": uuid },
                    |row| Ok((row.get(0)?, row.get(1)?)),
                )?;
                recorder.organization(connection, id, None, Some(&status))?;
            }
            Ok(outcome)
        })
    }

    /// Changes the status of an organization, and returns whether it was different before. An organization that becomes
    /// active for the first time gets its `active_date`. The tokens of its users are kept, and are refused while it is
    /// not active.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn set_organization_status(
        &self,
        id: i64,
        status: OrganizationStatus,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let recorder = self.recorder(now);
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
            recorder.organization(connection, id, Some(&old), Some(new))?;
            Ok(true)
        })
    }
}

/// See [`Store::organization_called`].
pub(super) fn organization_called(
    connection: &Connection,
    text: &str,
) -> engine::Result<Result<OrganizationRow, String>> {
    let uuid = normalized_uuid(text).unwrap_or_default();
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
