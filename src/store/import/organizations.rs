//! Organizations as a file has them.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, named_params};

use super::columns::Columns;
use super::find::OrganizationRow;
use super::people;
use crate::account::{OrgType, OrganizationStatus};
use crate::accounts::{Organization, Person};

/// The column, and the key, of the UUID that goes with a type.
pub(super) fn party_column(org_type: OrgType) -> &'static str {
    match org_type {
        OrgType::Retailer => "retailer_uuid",
        OrgType::Supplier => "supplier_uuid",
    }
}

fn other_party_column(org_type: OrgType) -> &'static str {
    match org_type {
        OrgType::Retailer => party_column(OrgType::Supplier),
        OrgType::Supplier => party_column(OrgType::Retailer),
    }
}

/// The UUID as a retailer or supplier, if the file says one that the row has not.
pub(super) fn new_party_uuid(row: &OrganizationRow, organization: &Organization) -> Option<String> {
    let given = match organization.org_type {
        OrgType::Retailer => &organization.retailer_uuid,
        OrgType::Supplier => &organization.supplier_uuid,
    };
    let is_asked_for = given.is_some() || row.org_type != organization.org_type.as_str();
    is_asked_for
        .then(|| organization.party_uuid())
        .filter(|uuid| *uuid != row.party_uuid)
}

pub(super) fn add(
    connection: &Connection,
    organization: &Organization,
    import_id: Option<i64>,
    now: Timestamp,
) -> rusqlite::Result<i64> {
    let manager_id = organization
        .account_manager
        .as_ref()
        .map(|manager| add_manager(connection, organization, manager))
        .transpose()?;
    let party_uuid = organization.party_uuid();
    let (retailer_uuid, supplier_uuid) = match organization.org_type {
        OrgType::Retailer => (Some(&party_uuid), None),
        OrgType::Supplier => (None, Some(&party_uuid)),
    };
    let status = organization.status.unwrap_or(OrganizationStatus::Active);
    connection
        .prepare_cached(
            "INSERT INTO organizations (uuid, name, org_type, retailer_uuid, supplier_uuid, status, created_date,
                                        active_date, account_manager_id, import_id)
             VALUES (:uuid, :name, :org_type, :retailer_uuid, :supplier_uuid, :status, :created_date, :active_date,
                     :manager_id, :import_id)",
        )?
        .execute(named_params! {
            ":uuid": organization.identity(),
            ":name": organization.name,
            ":org_type": organization.org_type.as_str(),
            ":retailer_uuid": retailer_uuid,
            ":supplier_uuid": supplier_uuid,
            ":status": status.as_str(),
            ":created_date": organization.created_date.unwrap_or(now).as_microsecond(),
            ":active_date": organization.active_date.map(Timestamp::as_microsecond),
            ":manager_id": manager_id,
            ":import_id": import_id,
        })?;
    Ok(connection.last_insert_rowid())
}

fn add_manager(
    connection: &Connection,
    organization: &Organization,
    manager: &Person,
) -> rusqlite::Result<i64> {
    let uuid = organization.manager_uuid(manager);
    people::add(connection, &uuid, Some(manager), None)
}

/// What a file says otherwise of an organization.
pub(super) struct Difference {
    columns: Columns,
    manager: Columns,
    needs_manager: bool,
}

impl Difference {
    pub(super) fn of(
        connection: &Connection,
        row: &OrganizationRow,
        organization: &Organization,
    ) -> rusqlite::Result<Self> {
        let mut columns = Columns::default();
        columns.text("name", Some(&organization.name), Some(&row.name));
        let org_type = organization.org_type.as_str();
        let is_other_type = columns.text("org_type", Some(org_type), Some(&row.org_type));
        let party_uuid = new_party_uuid(row, organization);
        if is_other_type {
            columns.set(other_party_column(organization.org_type), Value::Null);
        }
        if is_other_type || party_uuid.is_some() {
            let party_uuid = party_uuid.unwrap_or_else(|| row.party_uuid.clone());
            columns.set(party_column(organization.org_type), party_uuid);
        }
        let status = organization.status.map(OrganizationStatus::as_str);
        columns.text("status", status, Some(&row.status));
        let moment = |date: Option<Timestamp>| date.map(Timestamp::as_microsecond);
        let created_date = moment(organization.created_date);
        columns.number("created_date", created_date, Some(row.created_date));
        columns.number(
            "active_date",
            moment(organization.active_date),
            row.active_date,
        );
        let manager = match (&organization.account_manager, row.manager_id) {
            (Some(manager), Some(id)) => people::difference(connection, id, manager)?,
            _ => Columns::default(),
        };
        Ok(Self {
            columns,
            manager,
            needs_manager: organization.account_manager.is_some() && row.manager_id.is_none(),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty() && self.manager.is_empty() && !self.needs_manager
    }

    pub(super) fn write(
        mut self,
        connection: &Connection,
        row: &OrganizationRow,
        organization: &Organization,
    ) -> rusqlite::Result<()> {
        match (&organization.account_manager, row.manager_id) {
            (Some(manager), None) => {
                let id = add_manager(connection, organization, manager)?;
                self.columns.set("account_manager_id", id);
            }
            (Some(_), Some(id)) => self.manager.update(connection, "people", id)?,
            (None, _) => {}
        }
        self.columns.update(connection, "organizations", row.id)
    }
}
