//! Users as a file has them, with their permissions and pinned tokens.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};
use sha2::{Digest, Sha256};

use super::changes::{Changes, Columns, Target};
use super::find::{UserRow, another_has_token};
use super::people;
use super::permissions::{self, Assignment, HasPermission};
use super::terms::{Pins, Terms};
use crate::account::{UserStatus, Username};
use crate::accounts::Entry;
use crate::hashing::PasswordHash;

/// The rows that a record of a user names, as far as it does.
pub(super) struct Named {
    pub(super) org_id: Option<i64>,
    pub(super) assignments: Option<Vec<Assignment>>,
}

/// Adds a user, without a pinned token. `None` when the record leaves out what a new user needs.
pub(super) fn add(
    connection: &Connection,
    entry: &Entry,
    named: &Named,
    terms: Terms,
) -> rusqlite::Result<Option<i64>> {
    let user = &entry.user;
    let (Some(username), Some(password_hash), Some(org_id)) =
        (&user.username, &user.password_hash, named.org_id)
    else {
        return Ok(None);
    };
    let person_id = people::add(
        connection,
        &user.new_person_uuid(username),
        user.person.as_ref(),
        Some(username.as_str()),
    )?;
    connection
        .prepare_cached(
            "INSERT INTO users (uuid, org_id, person_id, username, password_hash, loaded_hash_digest, status, import_id)
             VALUES (:uuid, :org_id, :person_id, :username, :password_hash, :loaded_hash_digest, :status, :import_id)",
        )?
        .execute(named_params! {
            ":uuid": user.new_uuid(username),
            ":org_id": org_id,
            ":person_id": person_id,
            ":username": username.as_str(),
            ":password_hash": password_hash.as_str(),
            ":loaded_hash_digest": loaded_hash_digest(entry, password_hash),
            ":status": user.status.unwrap_or(UserStatus::Active).as_str(),
            ":import_id": terms.import_id,
        })?;
    let id = connection.last_insert_rowid();
    if let Some(assignments) = &named.assignments
        && !assignments.is_empty()
    {
        permissions::assign(connection, id, &with_defaults(assignments, &[]))?;
    }
    Ok(Some(id))
}

/// SHA-256 of a hash that the file gave: a login may replace it by another one of the same password.
fn loaded_hash_digest(entry: &Entry, hash: &PasswordHash) -> Option<[u8; 32]> {
    (!entry.is_hashed_here).then(|| Sha256::digest(hash.as_str()).into())
}

/// What is not said stays, or is yes.
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

/// Says whether a user differs from what the file says. A token to be pinned is no part of the changes.
pub(super) fn change(
    connection: &Connection,
    row: &UserRow,
    entry: &Entry,
    named: &Named,
    pins: Pins,
    changes: &mut Changes,
) -> rusqlite::Result<bool> {
    let user = &entry.user;
    let mut columns = Columns::default();
    columns.number("org_id", named.org_id, Some(row.org_id));
    let username = user.username.as_ref().map(Username::as_str);
    columns.text("username", username, Some(&row.username));
    let status = user.status.map(UserStatus::as_str);
    let is_other_status = columns.text("status", status, Some(&row.status));
    let new_hash = new_hash(row, entry);
    if let Some(hash) = new_hash {
        columns.set("password_hash", hash.as_str().to_owned());
        let digest = loaded_hash_digest(entry, hash).map(Vec::from);
        columns.set("loaded_hash_digest", digest);
    }
    if is_other_status || new_hash.is_some() {
        columns.raise_revision();
    }
    let is_other_pin = match (&user.auth_token, pins) {
        (None, Pins::Keep) => false,
        (token, _) => pinned(connection, row.id)? != *token,
    };
    let is_other_person = match &user.person {
        Some(person) => people::change(connection, row.person_id, person, changes)?,
        None => false,
    };
    let target = Target {
        table: "users",
        id: row.id,
        uuid: &row.uuid,
    };
    let are_others = match &named.assignments {
        Some(assignments) => change_assignments(connection, target, assignments, changes)?,
        None => false,
    };
    let differs = changes.row(connection, target, columns)?;
    Ok(differs || is_other_pin || is_other_person || are_others)
}

/// The hash that the file gives, unless it is there or was loaded last and a login has replaced it.
fn new_hash<'e>(row: &UserRow, entry: &'e Entry) -> Option<&'e PasswordHash> {
    let hash = entry.user.password_hash.as_ref()?;
    let digest = loaded_hash_digest(entry, hash);
    let is_there = row.password_hash == hash.as_str()
        || (digest.is_some() && row.loaded_hash_digest == digest);
    (!is_there).then_some(hash)
}

fn change_assignments(
    connection: &Connection,
    user: Target<'_>,
    assignments: &[Assignment],
    changes: &mut Changes,
) -> rusqlite::Result<bool> {
    let present = permissions::assigned(connection, user.id)?;
    let wanted = with_defaults(assignments, &present);
    let differ = wanted != present;
    if differ {
        changes.assignments(connection, user, &wanted)?;
    }
    Ok(differ)
}

fn pinned(connection: &Connection, user_id: i64) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached(
            "SELECT pinned FROM tokens WHERE user_id = :user_id AND pinned IS NOT NULL",
        )?
        .query_one(named_params! { ":user_id": user_id }, |row| row.get(0))
        .optional()
}

/// Pins a token of a user, and no other one; `false` when another user has it.
pub(super) fn pin(
    connection: &Connection,
    user_id: i64,
    token: Option<&str>,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("DELETE FROM tokens WHERE user_id = :user_id AND pinned IS NOT NULL AND pinned IS NOT :token")?
        .execute(named_params! { ":user_id": user_id, ":token": token })?;
    let Some(token) = token else {
        return Ok(true);
    };
    let digest = digest(token);
    if another_has_token(connection, &digest, Some(user_id))? {
        return Ok(false);
    }
    connection
        .prepare_cached(
            "INSERT INTO tokens (digest, user_id, issued_at, pinned) VALUES (:digest, :user_id, :now, :token)
             ON CONFLICT (digest) DO UPDATE SET expires_at = NULL, pinned = :token",
        )?
        .execute(named_params! {
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
