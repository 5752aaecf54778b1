//! Organizations as a file has them.

use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use super::changes::{Changes, Columns, Target};
use super::find::OrganizationRow;
use super::people;
use super::terms::Terms;
use crate::account::OrganizationStatus;
use crate::accounts::Organization;

/// The UUID as a retailer or supplier that the row is to have, unless it has that already.
pub(super) fn new_party_uuid(
    row: Option<&OrganizationRow>,
    organization: &Organization,
) -> Option<String> {
    let uuid = organization.party_uuid();
    match row {
        Some(row) if row.party_uuid == uuid => None,
        Some(row) if row.org_type == organization.org_type.as_str() => {
            Some(uuid).filter(|_| organization.given_party_uuid().is_some())
        }
        _ => Some(uuid),
    }
}

pub(super) fn add(
    connection: &Connection,
    organization: &Organization,
    terms: Terms,
) -> rusqlite::Result<i64> {
    let manager_id = match &organization.account_manager {
        Some(manager) => {
            let uuid = organization.manager_uuid(manager);
            Some(people::add(connection, &uuid, Some(manager), None)?)
        }
        None => None,
    };
    let party_uuid = Some(organization.party_uuid());
    let (retailer_uuid, supplier_uuid) = organization.org_type.split(party_uuid);
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
            ":created_date": organization.created_date.unwrap_or(terms.now).as_microsecond(),
            ":active_date": organization.active_date.map(Timestamp::as_microsecond),
            ":manager_id": manager_id,
            ":import_id": terms.import_id,
        })?;
    Ok(connection.last_insert_rowid())
}

/// Says whether an organization differs from what the file says.
pub(super) fn change(
    connection: &Connection,
    row: &OrganizationRow,
    organization: &Organization,
    changes: &mut Changes,
) -> rusqlite::Result<bool> {
    let mut columns = Columns::default();
    columns.text("name", Some(&organization.name), Some(&row.name));
    let org_type = organization.org_type.as_str();
    let is_other_type = columns.text("org_type", Some(org_type), Some(&row.org_type));
    let party_uuid = new_party_uuid(Some(row), organization);
    if is_other_type || party_uuid.is_some() {
        let party_uuid = party_uuid.unwrap_or_else(|| row.party_uuid.clone());
        let (retailer_uuid, supplier_uuid) = organization.org_type.split(Some(party_uuid));
        columns.set("retailer_uuid", retailer_uuid);
        columns.set("supplier_uuid", supplier_uuid);
    }
    let status = organization.status.map(OrganizationStatus::as_str);
    columns.text("status", status, Some(&row.status));
    for (column, given, present) in [
        (
            "created_date",
            organization.created_date,
            Some(row.created_date),
        ),
        ("active_date", organization.active_date, row.active_date),
    ] {
        columns.number(column, given.map(Timestamp::as_microsecond), present);
    }
    let is_other_manager = match (&organization.account_manager, row.manager_id) {
        (None, _) => false,
        (Some(manager), Some(id)) => people::change(connection, id, manager, changes)?,
        (Some(manager), None) => {
            changes.add_manager(row.id, organization.manager_uuid(manager), manager);
            true
        }
    };
    let target = Target {
        table: "organizations",
        id: row.id,
        uuid: &organization.identity(),
    };
    let differs = changes.row(connection, target, columns)?;
    Ok(differs || is_other_manager)
}
