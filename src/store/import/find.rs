//! Which rows a record of a file means, and which values other rows have.

use rusqlite::{Connection, OptionalExtension, Row, named_params};

use crate::accounts::{Organization, User};

pub(super) const HAS_USERNAME: &str = "another row of the database has this username";
pub(super) const HAS_UUID: &str = "another row of the database has this UUID";
pub(super) const HAS_TOKEN: &str = "another row of the database has this token";
const UNDER_WAY: &str = "an import that is under way adds it; try again after its end";

/// The row that a record means, if there is one; or the key that keeps it from having one, and why.
pub(super) type Found<R> = rusqlite::Result<Result<Option<R>, (&'static str, &'static str)>>;

pub(super) struct UserRow {
    pub(super) id: i64,
    pub(super) uuid: String,
    pub(super) org_id: i64,
    pub(super) person_id: i64,
    pub(super) username: String,
    pub(super) password_hash: String,
    pub(super) loaded_hash_digest: Option<[u8; 32]>,
    pub(super) status: String,
    is_visible: bool,
}

pub(super) struct OrganizationRow {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) org_type: String,
    pub(super) party_uuid: String,
    pub(super) status: String,
    pub(super) created_date: i64,
    pub(super) active_date: Option<i64>,
    pub(super) manager_id: Option<i64>,
    is_visible: bool,
}

/// The row with the UUID that is given; else the one with the username, else the one with the UUID derived from that.
pub(super) fn user(connection: &Connection, user: &User) -> Found<UserRow> {
    let with = |column, value: &str| user_with(connection, column, value);
    let (key, row) = match (&user.uuid, &user.username) {
        (Some(uuid), username) => {
            let row = with("uuid", uuid)?;
            if row.is_none()
                && let Some(username) = username
                && with("username", username.as_str())?.is_some()
            {
                return Ok(Err(("username", HAS_USERNAME)));
            }
            ("uuid", row)
        }
        (None, Some(username)) => match with("username", username.as_str())? {
            None => ("uuid", with("uuid", &user.new_uuid(username))?),
            row => ("username", row),
        },
        (None, None) => return Ok(Ok(None)),
    };
    Ok(match row {
        Some(row) if !row.is_visible => Err((key, UNDER_WAY)),
        row => Ok(row),
    })
}

fn user_with(
    connection: &Connection,
    column: &'static str,
    value: &str,
) -> rusqlite::Result<Option<UserRow>> {
    connection
        .prepare_cached(&format!(
            "SELECT id, uuid, org_id, person_id, username, password_hash, loaded_hash_digest, status,
                    import_id IS NULL OR import_id NOT IN (SELECT id FROM imports)
             FROM users WHERE {column} = :value"
        ))?
        .query_one(named_params! { ":value": value }, user_row)
        .optional()
}

fn user_row(row: &Row<'_>) -> rusqlite::Result<UserRow> {
    Ok(UserRow {
        id: row.get(0)?,
        uuid: row.get(1)?,
        org_id: row.get(2)?,
        person_id: row.get(3)?,
        username: row.get(4)?,
        password_hash: row.get(5)?,
        loaded_hash_digest: row.get(6)?,
        status: row.get(7)?,
        is_visible: row.get(8)?,
    })
}

pub(super) fn organization(
    connection: &Connection,
    organization: &Organization,
) -> Found<OrganizationRow> {
    let row = connection
        .prepare_cached(
            "SELECT id, name, org_type, coalesce(retailer_uuid, supplier_uuid), status, created_date, active_date,
                    account_manager_id, import_id IS NULL OR import_id NOT IN (SELECT id FROM imports)
             FROM organizations WHERE uuid = :uuid",
        )?
        .query_one(named_params! { ":uuid": organization.identity() }, |row| {
            Ok(OrganizationRow {
                id: row.get(0)?,
                name: row.get(1)?,
                org_type: row.get(2)?,
                party_uuid: row.get(3)?,
                status: row.get(4)?,
                created_date: row.get(5)?,
                active_date: row.get(6)?,
                manager_id: row.get(7)?,
                is_visible: row.get(8)?,
            })
        })
        .optional()?;
    Ok(match row {
        Some(row) if !row.is_visible => Err(("uuid", UNDER_WAY)),
        row => Ok(row),
    })
}

/// Whether a row has the UUID. A UUID names one thing, so it may be once in all the columns that hold one.
pub(super) fn has_uuid(connection: &Connection, uuid: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM users WHERE uuid = :uuid)
                 OR EXISTS (SELECT 1 FROM people WHERE uuid = :uuid)
                 OR EXISTS (SELECT 1 FROM permissions WHERE uuid = :uuid)
                 OR EXISTS (SELECT 1 FROM organizations WHERE uuid = :uuid)
                 OR EXISTS (SELECT 1 FROM organizations WHERE retailer_uuid = :uuid)
                 OR EXISTS (SELECT 1 FROM organizations WHERE supplier_uuid = :uuid)",
        )?
        .query_one(named_params! { ":uuid": uuid }, |row| row.get(0))
}

/// Whether another user than this one has the username.
pub(super) fn another_has_username(
    connection: &Connection,
    username: &str,
    user_id: i64,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM users WHERE username = :username AND id <> :user_id")?
        .exists(named_params! { ":username": username, ":user_id": user_id })
}

/// Whether another user than this one has the token; `None` for a new user.
pub(super) fn another_has_token(
    connection: &Connection,
    digest: &[u8; 32],
    user_id: Option<i64>,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM tokens WHERE digest = :digest AND user_id IS NOT :user_id")?
        .exists(named_params! { ":digest": digest, ":user_id": user_id })
}
