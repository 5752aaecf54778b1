//! Finding the row that a record of a file identifies, and the values that other rows already have.

use std::collections::HashSet;

use super::columns::{FoundRow, ORGANIZATIONS, PERMISSIONS, USERS, find};
use crate::accounts::{Organization, Permission, User};
use crate::store::engine::{self, Connection, Parameters, parameters};

pub(super) const HAS_USERNAME: &str = "another row of the database has this username";
pub(super) const HAS_UUID: &str = "another row of the database has this UUID";
pub(super) const HAS_DERIVED_UUID: &str =
    "missing: another row of the database has the UUID that is derived from the name";
pub(super) const HAS_TOKEN: &str = "another row of the database has this token";
const IN_PROGRESS: &str = "an import in progress adds it; try again when that has ended";

/// The row that a record identifies, if there is one; or the key for which no row can be determined, and the reason.
pub(super) type FindResult = engine::Result<Result<Option<FoundRow>, (&'static str, String)>>;

/// Finds the row of a user: by the given UUID, otherwise by the username, otherwise by the UUID derived from the
/// username.
pub(super) fn user(connection: &Connection, user: &User) -> FindResult {
    let with = |column, value: &str| find(connection, USERS, column, value);
    let (key, row) = match (&user.uuid, &user.username) {
        (Some(uuid), username) => match (with("uuid", uuid)?, username) {
            (None, Some(name)) if with("username_key", &name.key())?.is_some() => {
                return Ok(Err(("username", HAS_USERNAME.to_owned())));
            }
            (row, _) => ("uuid", row),
        },
        (None, Some(username)) => match with("username_key", &username.key())? {
            None => ("uuid", with("uuid", &user.new_uuid(username))?),
            row => ("username", row),
        },
        (None, None) => return Ok(Ok(None)),
    };
    unless_in_progress(connection, key, row)
}

/// Finds the row of an organization: by the given UUID, otherwise by name and type, otherwise by the UUID derived from
/// the name. A name never identifies a row whose UUID another record gives.
pub(super) fn organization(
    connection: &Connection,
    organization: &Organization,
    given: &HashSet<String>,
) -> FindResult {
    let derived = organization.identity();
    let named = match organization.uuid {
        Some(_) => Vec::new(),
        None => uuids(
            connection,
            "SELECT uuid FROM visible_organizations WHERE name = :name AND org_type = :org_type",
            parameters! { ":name": organization.name, ":org_type": organization.org_type.as_str() },
        )?,
    };
    let uuid = match only(named, given, derived) {
        Ok(uuid) => uuid,
        Err(uuids) => {
            return Ok(Err((
                "uuid",
                several("organizations", &organization.name, &uuids),
            )));
        }
    };
    let row = find(connection, ORGANIZATIONS, "uuid", uuid)?;
    unless_in_progress(connection, "uuid", row)
}

/// Finds the row of a permission: by the given UUID, otherwise by name, otherwise by the UUID derived from the name.
/// The inner error explains why no row can be determined.
pub(super) fn permission(
    connection: &Connection,
    permission: &Permission,
    given: &HashSet<String>,
) -> engine::Result<Result<Option<FoundRow>, String>> {
    let named = match permission.uuid {
        Some(_) => Vec::new(),
        None => uuids(
            connection,
            "SELECT uuid FROM permissions WHERE name = :name",
            parameters! { ":name": permission.name },
        )?,
    };
    match only(named, given, permission.identity()) {
        Ok(uuid) => find(connection, PERMISSIONS, "uuid", uuid).map(Ok),
        Err(uuids) => Ok(Err(several("permissions", &permission.name, &uuids))),
    }
}

fn uuids(
    connection: &Connection,
    query: &str,
    parameters: Parameters<'_>,
) -> engine::Result<Vec<String>> {
    connection.rows(query, parameters, |row| row.get(0))
}

/// Selects the UUID for a name: that of the only row with the name. If there are no rows, or several that include the
/// derived UUID, it is the derived one. Otherwise the error lists the candidates.
fn only(
    mut named: Vec<String>,
    given: &HashSet<String>,
    derived: String,
) -> Result<String, Vec<String>> {
    named.retain(|uuid| !given.contains(uuid));
    if named.len() < 2 {
        return Ok(named.pop().unwrap_or(derived));
    }
    match named.contains(&derived) {
        true => Ok(derived),
        false => Err(named),
    }
}

pub(in crate::store) fn several(what: &str, name: &str, uuids: &[String]) -> String {
    let (count, uuids) = (uuids.len(), uuids.join(", "));
    format!("{count} {what} are called {name:?}: give the UUID of one ({uuids})")
}

fn unless_in_progress(
    connection: &Connection,
    key: &'static str,
    row: Option<FoundRow>,
) -> FindResult {
    let import_id = row.as_ref().and_then(|row| row.number("import_id"));
    let is_in_progress = match import_id {
        Some(id) => connection.exists(
            "SELECT 1 FROM imports WHERE id = :id",
            parameters! { ":id": id },
        )?,
        None => false,
    };
    Ok(match is_in_progress {
        true => Err((key, IN_PROGRESS.to_owned())),
        false => Ok(row),
    })
}

/// Whether a row has the UUID. A UUID identifies one object, so it must be unique across all columns that hold UUIDs.
pub(super) fn has_uuid(connection: &Connection, uuid: &str) -> engine::Result<bool> {
    connection.one(
        "SELECT EXISTS (SELECT 1 FROM users WHERE uuid = :uuid)
                 OR EXISTS (SELECT 1 FROM people WHERE uuid = :uuid)
                 OR EXISTS (SELECT 1 FROM permissions WHERE uuid = :uuid)
                 OR EXISTS (SELECT 1 FROM organizations WHERE uuid = :uuid)
                 OR EXISTS (SELECT 1 FROM organizations WHERE retailer_uuid = :uuid)
                 OR EXISTS (SELECT 1 FROM organizations WHERE supplier_uuid = :uuid)",
        parameters! { ":uuid": uuid },
        |row| row.get(0),
    )
}

/// Whether a user other than `user_id` has the token. `user_id` is `None` for a new user.
pub(super) fn another_has_token(
    connection: &Connection,
    digest: &[u8; 32],
    user_id: Option<i64>,
) -> engine::Result<bool> {
    connection.exists(
        "SELECT 1 FROM tokens WHERE digest = :digest AND user_id IS DISTINCT FROM :user_id",
        parameters! { ":digest": digest, ":user_id": user_id },
    )
}
