//! Adding and changing organizations in an import.

use jiff::Timestamp;

use super::changes::Changes;
use super::columns::{Columns, FoundRow, ORGANIZATIONS};
use super::context::ImportContext;
use super::people;
use crate::account::OrganizationStatus;
use crate::accounts::Organization;
use crate::store::engine::{self, Connection};

fn columns(organization: &Organization) -> Columns {
    let status = organization.status.map(OrganizationStatus::as_str);
    let created = organization.created_date.map(Timestamp::as_microsecond);
    let active = organization.active_date.map(Timestamp::as_microsecond);
    Columns::default()
        .with("name", Some(organization.name.clone()))
        .with("org_type", Some(organization.org_type.as_str().to_owned()))
        .with("status", status.map(str::to_owned))
        .with("created_date", created)
        .with("active_date", active)
}

fn with_party(columns: Columns, organization: &Organization, uuid: String) -> Columns {
    let (retailer_uuid, supplier_uuid) = organization.org_type.split(Some(uuid));
    columns
        .with("retailer_uuid", Some(retailer_uuid))
        .with("supplier_uuid", Some(supplier_uuid))
}

/// The retailer or supplier UUID that would be written. `None` if it does not change.
pub(super) fn new_party_uuid(
    row: Option<&FoundRow>,
    organization: &Organization,
) -> Option<String> {
    let uuid = organization.party_uuid();
    match row {
        Some(row) if party_uuid(row) == uuid => None,
        Some(row) if row.text("org_type") == organization.org_type.as_str() => {
            organization.given_party_uuid().cloned()
        }
        _ => Some(uuid),
    }
}

fn party_uuid(row: &FoundRow) -> &str {
    match row.text("retailer_uuid") {
        "" => row.text("supplier_uuid"),
        uuid => uuid,
    }
}

pub(super) fn add(
    connection: &Connection,
    organization: &Organization,
    context: ImportContext,
) -> engine::Result<i64> {
    let manager_id = match &organization.account_manager {
        Some(manager) => {
            let uuid = organization.manager_uuid(manager);
            Some(people::add(connection, Some(manager), uuid, None)?)
        }
        None => None,
    };
    let active = OrganizationStatus::Active.as_str().to_owned();
    with_party(
        columns(organization),
        organization,
        organization.party_uuid(),
    )
    .or("status", active)
    .or("created_date", context.now.as_microsecond())
    .with("uuid", Some(organization.identity()))
    .with("account_manager_id", manager_id)
    .with("import_id", context.import_id)
    .insert(connection, ORGANIZATIONS)
}

/// Collects the changes of an existing organization, and returns whether it differs from the file.
pub(super) fn change(
    connection: &Connection,
    row: &FoundRow,
    organization: &Organization,
    changes: &mut Changes,
) -> engine::Result<bool> {
    let mut columns = columns(organization).differing_from(row);
    // Without a given UUID, a different name means that the row was found by the UUID derived from the name, and that
    // an operator has renamed the organization since: the new name is kept.
    if organization.uuid.is_none() {
        columns = columns.without("name");
    }
    let new_party_uuid = new_party_uuid(Some(row), organization);
    if columns.has("org_type") || new_party_uuid.is_some() {
        let uuid = new_party_uuid.unwrap_or_else(|| party_uuid(row).to_owned());
        columns = with_party(columns, organization, uuid);
    }
    let manager_id = row.number("account_manager_id");
    let is_other_manager = match (&organization.account_manager, manager_id) {
        (None, _) => false,
        (Some(manager), Some(id)) => people::change(connection, id, manager, changes)?,
        (Some(manager), None) => {
            let uuid = organization.manager_uuid(manager);
            changes.add_manager(connection, row.id(), uuid, manager)?;
            true
        }
    };
    Ok(changes.row(connection, row, columns)? || is_other_manager)
}
