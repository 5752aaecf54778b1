//! Users as a file has them, with their permissions and pinned tokens.

use jiff::Timestamp;
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, named_params};
use sha2::{Digest, Sha256};

use super::columns::Columns;
use super::find::{UserRow, another_has_token};
use super::{people, permissions};
use crate::account::{UserStatus, Username};
use crate::accounts::Entry;
use crate::hashing::PasswordHash;
use crate::store::tokens::end_all_tokens;

/// What becomes of a pinned token that the file says nothing of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pins {
    /// It stays, unless the password or status changes, which ends all tokens.
    Keep,
    /// There is none from now on.
    End,
}

/// A permission's row, and whether the user has it, if that is said.
pub(super) type Assignment = (i64, Option<bool>);

/// What a new user needs that another may leave out.
pub(super) struct NewUser<'e> {
    pub(super) username: &'e Username,
    pub(super) password_hash: &'e PasswordHash,
    pub(super) org_id: i64,
    pub(super) import_id: Option<i64>,
}

/// Adds a user, without a pinned token.
pub(super) fn add(
    connection: &Connection,
    new: &NewUser<'_>,
    entry: &Entry,
    assignments: &[Assignment],
) -> rusqlite::Result<i64> {
    let user = &entry.user;
    let person_id = people::add(
        connection,
        &user.new_person_uuid(new.username),
        user.person.as_ref(),
        Some(new.username.as_str()),
    )?;
    let loaded_hash_digest = loaded_hash_digest(entry, new.password_hash);
    connection
        .prepare_cached(
            "INSERT INTO users (uuid, org_id, person_id, username, password_hash, loaded_hash_digest, status, import_id)
             VALUES (:uuid, :org_id, :person_id, :username, :password_hash, :loaded_hash_digest, :status, :import_id)",
        )?
        .execute(named_params! {
            ":uuid": user.new_uuid(new.username),
            ":org_id": new.org_id,
            ":person_id": person_id,
            ":username": new.username.as_str(),
            ":password_hash": new.password_hash.as_str(),
            ":loaded_hash_digest": loaded_hash_digest,
            ":status": user.status.unwrap_or(UserStatus::Active).as_str(),
            ":import_id": new.import_id,
        })?;
    let id = connection.last_insert_rowid();
    if !assignments.is_empty() {
        permissions::assign(connection, id, &with_defaults(assignments, &[]))?;
    }
    Ok(id)
}

/// SHA-256 of a hash that the file gave: a login may replace it by another one of the same password.
fn loaded_hash_digest(entry: &Entry, hash: &PasswordHash) -> Option<[u8; 32]> {
    (!entry.is_hashed_here).then(|| Sha256::digest(hash.as_str()).into())
}

/// What is not said stays, or is yes.
fn with_defaults(assignments: &[Assignment], present: &[(i64, bool)]) -> Vec<(i64, bool)> {
    let present = |id: i64| present.iter().find(|(other, _)| *other == id);
    assignments
        .iter()
        .map(|(id, assigned)| {
            let has = || present(*id).is_none_or(|(_, has)| *has);
            (*id, assigned.unwrap_or_else(has))
        })
        .collect()
}

/// What a file says otherwise of a user.
pub(super) struct Difference {
    columns: Columns,
    person: Columns,
    assignments: Option<Vec<(i64, bool)>>,
    /// The password or status is another one.
    ends_tokens: bool,
    pins: bool,
}

impl Difference {
    pub(super) fn of(
        connection: &Connection,
        row: &UserRow,
        entry: &Entry,
        org_id: Option<i64>,
        assignments: Option<&[Assignment]>,
        pins: Pins,
    ) -> rusqlite::Result<Self> {
        let user = &entry.user;
        let mut columns = Columns::default();
        columns.number("org_id", org_id, Some(row.org_id));
        let username = user.username.as_ref().map(Username::as_str);
        columns.text("username", username, Some(&row.username));
        let status = user.status.map(UserStatus::as_str);
        let mut ends_tokens = columns.text("status", status, Some(&row.status));
        if let Some(hash) = new_hash(row, entry) {
            columns.set("password_hash", hash.as_str().to_owned());
            let digest = loaded_hash_digest(entry, hash).map(Vec::from);
            columns.set(
                "loaded_hash_digest",
                digest.map_or(Value::Null, Value::Blob),
            );
            ends_tokens = true;
        }
        if ends_tokens {
            columns.set("revision", row.revision + 1);
        }
        let person = match &user.person {
            Some(person) => people::difference(connection, row.person_id, person)?,
            None => Columns::default(),
        };
        let assignments = match assignments {
            Some(assignments) => new_assignments(connection, row.id, assignments)?,
            None => None,
        };
        let pins = match (&user.auth_token, pins) {
            (None, Pins::Keep) => false,
            (None, Pins::End) => pinned(connection, row.id)?.is_some(),
            (token, _) => ends_tokens || pinned(connection, row.id)? != *token,
        };
        Ok(Self {
            columns,
            person,
            assignments,
            ends_tokens,
            pins,
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.columns.is_empty()
            && self.person.is_empty()
            && self.assignments.is_none()
            && !self.pins
    }

    /// Writes it; `false` when another user has the token that is to be pinned.
    pub(super) fn write(
        self,
        connection: &Connection,
        row: &UserRow,
        entry: &Entry,
        now: Timestamp,
    ) -> rusqlite::Result<bool> {
        self.columns.update(connection, "users", row.id)?;
        self.person.update(connection, "people", row.person_id)?;
        if let Some(assignments) = &self.assignments {
            permissions::assign(connection, row.id, assignments)?;
        }
        if self.ends_tokens {
            end_all_tokens(connection, row.id)?;
        }
        if !self.pins {
            return Ok(true);
        }
        unpin(connection, row.id)?;
        match &entry.user.auth_token {
            Some(token) => pin(connection, row.id, token, now),
            None => Ok(true),
        }
    }
}

/// The hash that the file gives, unless it is there or was loaded last and a login has replaced it.
fn new_hash<'e>(row: &UserRow, entry: &'e Entry) -> Option<&'e PasswordHash> {
    let hash = entry.user.password_hash.as_ref()?;
    let digest = loaded_hash_digest(entry, hash);
    let is_there = row.password_hash == hash.as_str()
        || (digest.is_some() && row.loaded_hash_digest == digest);
    (!is_there).then_some(hash)
}

fn new_assignments(
    connection: &Connection,
    user_id: i64,
    assignments: &[Assignment],
) -> rusqlite::Result<Option<Vec<(i64, bool)>>> {
    let present = permissions::assigned(connection, user_id)?;
    let wanted = with_defaults(assignments, &present);
    Ok((wanted != present).then_some(wanted))
}

fn pinned(connection: &Connection, user_id: i64) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached(
            "SELECT pinned FROM tokens WHERE user_id = :user_id AND pinned IS NOT NULL",
        )?
        .query_one(named_params! { ":user_id": user_id }, |row| row.get(0))
        .optional()
}

fn unpin(connection: &Connection, user_id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM tokens WHERE user_id = :user_id AND pinned IS NOT NULL")?
        .execute(named_params! { ":user_id": user_id })?;
    Ok(())
}

/// Pins a token of a user without one; `false` when another user has it.
pub(super) fn pin(
    connection: &Connection,
    user_id: i64,
    token: &str,
    now: Timestamp,
) -> rusqlite::Result<bool> {
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
