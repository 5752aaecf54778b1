//! Adding and changing users in an import, with their permissions and pinned tokens.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::changes::{Changes, REVISION};
use super::columns::{Columns, FoundRow, USERS};
use super::context::{ImportContext, Pins};
use super::find::another_has_token;
use super::people;
use super::permissions::{self, Assignment, HasPermission};
use crate::account::{UserStatus, Username};
use crate::accounts::{Loaded, User, UserEntry};
use crate::hashing::PasswordHash;
use crate::store::engine::{self, Connection, OwnedValue as Value, parameters};

/// The rows that the record of a user refers to.
pub(super) struct ReferencedRows {
    pub(super) org_id: Option<i64>,
    pub(super) assignments: Option<Vec<Assignment>>,
}

fn columns(user: &User, org_id: Option<i64>) -> Columns {
    let username = user.username.as_ref().map(Username::as_str);
    let status = user.status.map(UserStatus::as_str);
    Columns::default()
        .with("org_id", org_id)
        .with("username", username.map(str::to_owned))
        .with("status", status.map(str::to_owned))
}

/// Adds a user, without a pinned token. Returns `None` if the record omits a value that a new user needs.
pub(super) fn add(
    connection: &Connection,
    entry: &UserEntry,
    named: &ReferencedRows,
    context: ImportContext,
) -> engine::Result<Option<i64>> {
    let user = &entry.user;
    let (Some(username), Some(password_hash), Some(org_id)) =
        (&user.username, &user.password_hash, named.org_id)
    else {
        return Ok(None);
    };
    let (uuid, email) = (user.new_person_uuid(username), Some(username.as_str()));
    let person_id = people::add(connection, user.person.as_ref(), uuid, email)?;
    let mut columns = columns(user, Some(org_id))
        .or("status", UserStatus::Active.as_str().to_owned())
        .with("uuid", Some(user.new_uuid(username)))
        .with("person_id", Some(person_id))
        .with("password_hash", Some(password_hash.as_str().to_owned()))
        .with("import_id", context.import_id);
    columns.0.extend(loaded(entry, true).0);
    let id = columns.insert(connection, USERS)?;
    if let Some(assignments) = &named.assignments
        && !assignments.is_empty()
    {
        permissions::assign(connection, id, &with_defaults(assignments, &[]))?;
    }
    Ok(Some(id))
}

/// The columns that record which password was loaded. A password that is written clears the column of the other kind
/// (hash or plain password). One that the user already has leaves that column unchanged, because it may be from another
/// file.
fn loaded(entry: &UserEntry, is_written: bool) -> Columns {
    const DIGEST: &str = "loaded_hash_digest";
    const HASH: &str = "loaded_password_hash";
    let (column, other, value) = match (&entry.loaded, &entry.user.password_hash) {
        (Loaded::GivenHash, Some(given)) => (DIGEST, HASH, Value::Bytes(hash_digest(given))),
        (Loaded::Password(hash), _) => (HASH, DIGEST, Value::Text(hash.as_str().to_owned())),
        (Loaded::GivenHash, None) | (Loaded::Nothing, _) => return Columns::default(),
    };
    Columns::default()
        .with(column, Some(value))
        .with(other, is_written.then_some(Value::Null))
}

/// The digest of a hash from a file. It identifies the hash after a login has replaced it by another one of the same
/// password.
fn hash_digest(hash: &PasswordHash) -> Vec<u8> {
    Sha256::digest(hash.as_str()).to_vec()
}

/// Fills in omitted values of `assigned`: the present value, or `true` for a new permission.
fn with_defaults(assignments: &[Assignment], present: &[HasPermission]) -> Vec<HasPermission> {
    let present = |id: i64| present.iter().find(|(other, _)| *other == id);
    assignments
        .iter()
        .map(|(id, assigned)| {
            let has = || present(*id).is_none_or(|(_, has)| *has);
            (*id, assigned.unwrap_or_else(has))
        })
        .collect()
}

/// Collects the changes of an existing user, and returns whether it differs from the file. The pinned token is compared
/// here but written separately. Recording which password was loaded does not count as a difference.
pub(super) fn change(
    connection: &Connection,
    row: &FoundRow,
    entry: &UserEntry,
    named: &ReferencedRows,
    pins: Pins,
    changes: &mut Changes,
) -> engine::Result<bool> {
    let user = &entry.user;
    let mut columns = columns(user, named.org_id).differing_from(row);
    // The row was found by the UUID that is derived from the username: an operator has renamed the user, and the new
    // name is kept.
    if user.uuid.is_none() && !is_called(row, user) {
        columns = columns.without("username");
    }
    let new_hash = new_hash(row, entry);
    if columns.has("status") || new_hash.is_some() {
        columns = columns.with(REVISION, Some(Value::Null));
    }
    if let Some(hash) = new_hash {
        columns = columns.with("password_hash", Some(hash.as_str().to_owned()));
    }
    let differs = !columns.0.is_empty();
    if !was_loaded(row, entry) {
        let loaded = loaded(entry, new_hash.is_some());
        columns.0.extend(loaded.differing_from(row).0);
    }
    let is_other_pin = match (&user.auth_token, pins) {
        (None, Pins::Keep) => false,
        (token, _) => pinned(connection, row.id())? != *token,
    };
    let is_other_person = match (&user.person, row.number("person_id")) {
        (Some(person), Some(id)) => people::change(connection, id, person, changes)?,
        _ => false,
    };
    let are_others = match &named.assignments {
        Some(assignments) => change_assignments(connection, row, assignments, changes)?,
        None => false,
    };
    changes.row(connection, row, columns)?;
    Ok(differs || is_other_pin || is_other_person || are_others)
}

fn is_called(row: &FoundRow, user: &User) -> bool {
    let username = user.username.as_ref().map_or("", Username::as_str);
    row.text("username").eq_ignore_ascii_case(username)
}

/// The hash from the file, unless it is the user's present hash or the one that was last loaded.
fn new_hash<'e>(row: &FoundRow, entry: &'e UserEntry) -> Option<&'e PasswordHash> {
    let hash = entry.user.password_hash.as_ref()?;
    let is_there = row.text("password_hash") == hash.as_str();
    (!is_there && !was_loaded(row, entry)).then_some(hash)
}

/// Whether the hash from the file is of the password that was last loaded. That may have been a plain password, because
/// an export contains its hash.
fn was_loaded(row: &FoundRow, entry: &UserEntry) -> bool {
    let (Loaded::GivenHash, Some(hash)) = (&entry.loaded, &entry.user.password_hash) else {
        return false;
    };
    *row.value("loaded_hash_digest") == Value::Bytes(hash_digest(hash))
        || row.text("loaded_password_hash") == hash.as_str()
}

fn change_assignments(
    connection: &Connection,
    row: &FoundRow,
    assignments: &[Assignment],
    changes: &mut Changes,
) -> engine::Result<bool> {
    let present = permissions::assigned(connection, row.id())?;
    let wanted = with_defaults(assignments, &present);
    let differ = wanted != present;
    if differ {
        changes.assignments(connection, row, &wanted)?;
    }
    Ok(differ)
}

fn pinned(connection: &Connection, user_id: i64) -> engine::Result<Option<String>> {
    connection.first(
        "SELECT pinned FROM tokens WHERE user_id = :user_id AND pinned IS NOT NULL",
        parameters! { ":user_id": user_id },
        |row| row.get(0),
    )
}

/// Pins a token of a user and removes any other pinned token. Returns `false` if another user has the token.
pub(super) fn pin(
    connection: &Connection,
    user_id: i64,
    token: Option<&str>,
    now: Timestamp,
) -> engine::Result<bool> {
    connection.execute("DELETE FROM tokens WHERE user_id = :user_id AND pinned IS NOT NULL AND pinned IS DISTINCT FROM :token", parameters! { ":user_id": user_id, ":token": token })?;
    let Some(token) = token else {
        return Ok(true);
    };
    let digest = digest(token);
    if another_has_token(connection, &digest, Some(user_id))? {
        return Ok(false);
    }
    connection.execute("INSERT INTO tokens (digest, user_id, issued_at, pinned) VALUES (:digest, :user_id, :now, :token)
             ON CONFLICT (digest) DO UPDATE SET expires_at = NULL, pinned = :token", parameters! {
            ":digest": digest,
            ":user_id": user_id,
            ":now": now.as_microsecond(),
            ":token": token,
        })?;
    Ok(true)
}

pub(super) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}
