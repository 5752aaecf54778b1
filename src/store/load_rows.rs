//! One organization or user of a load: compared with what is there, and written where it differs.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::load::{Fate, NewOrganization, NewPassword, NewUser, Pin};
use super::people::{assign_permissions, load_person, remove_unused_person};
use super::tokens::end_all_tokens;
use crate::account::OrgType;

pub(super) fn load_organization(
    connection: &Connection,
    organization: &NewOrganization,
    now: Timestamp,
) -> rusqlite::Result<(i64, Fate)> {
    let (retailer_uuid, supplier_uuid) = match organization.org_type {
        OrgType::Retailer => (Some(&organization.party_uuid), None),
        OrgType::Supplier => (None, Some(&organization.party_uuid)),
    };
    let manager = organization
        .account_manager
        .as_ref()
        .map(|person| load_person(connection, person))
        .transpose()?;
    let (manager_id, new_manager) =
        manager.map_or((None, false), |(id, changed)| (Some(id), changed));
    let existing: Option<(i64, Option<i64>)> = connection
        .prepare_cached("SELECT id, account_manager_id FROM organizations WHERE uuid = :uuid")?
        .query_one(named_params! { ":uuid": organization.uuid }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let touched = connection
        .prepare_cached(
            "INSERT INTO organizations (uuid, name, org_type, retailer_uuid, supplier_uuid, status, created_date,
                                        active_date, account_manager_id)
             VALUES (:uuid, :name, :org_type, :retailer_uuid, :supplier_uuid, :status, coalesce(:created_date, :now),
                     :active_date, :manager_id)
             ON CONFLICT (uuid) DO UPDATE SET
                 name = :name, org_type = :org_type, retailer_uuid = :retailer_uuid, supplier_uuid = :supplier_uuid,
                 status = :status, created_date = coalesce(:created_date, created_date), active_date = :active_date,
                 account_manager_id = :manager_id
             WHERE (name, org_type, retailer_uuid, supplier_uuid, status, created_date, active_date, account_manager_id)
                   IS NOT (:name, :org_type, :retailer_uuid, :supplier_uuid, :status,
                           coalesce(:created_date, created_date), :active_date, :manager_id)",
        )?
        .execute(named_params! {
            ":uuid": organization.uuid,
            ":name": organization.name,
            ":org_type": organization.org_type.as_str(),
            ":retailer_uuid": retailer_uuid,
            ":supplier_uuid": supplier_uuid,
            ":status": organization.status.as_str(),
            ":created_date": organization.created_date.map(Timestamp::as_microsecond),
            ":active_date": organization.active_date.map(Timestamp::as_microsecond),
            ":manager_id": manager_id,
            ":now": now.as_microsecond(),
        })?;
    let Some((id, old_manager_id)) = existing else {
        return Ok((connection.last_insert_rowid(), Fate::Added));
    };
    if let Some(old) = old_manager_id.filter(|old| Some(*old) != manager_id) {
        remove_unused_person(connection, old)?;
    }
    let changed = touched > 0 || new_manager;
    Ok((
        id,
        if changed {
            Fate::Changed
        } else {
            Fate::Unchanged
        },
    ))
}

struct ExistingUser {
    id: i64,
    org_id: i64,
    person_id: i64,
    username: String,
    status: String,
    pinned: Option<String>,
}

fn existing_user(connection: &Connection, uuid: &str) -> rusqlite::Result<Option<ExistingUser>> {
    connection
        .prepare_cached(
            "SELECT users.id, users.org_id, users.person_id, users.username, users.status, tokens.pinned
             FROM users LEFT JOIN tokens ON tokens.user_id = users.id AND tokens.pinned IS NOT NULL
             WHERE users.uuid = :uuid",
        )?
        .query_one(named_params! { ":uuid": uuid }, |row| {
            Ok(ExistingUser {
                id: row.get(0)?,
                org_id: row.get(1)?,
                person_id: row.get(2)?,
                username: row.get(3)?,
                status: row.get(4)?,
                pinned: row.get(5)?,
            })
        })
        .optional()
}

pub(super) fn load_user(
    connection: &Connection,
    org_id: i64,
    user: &NewUser,
    now: Timestamp,
) -> rusqlite::Result<Fate> {
    let existing = existing_user(connection, &user.uuid)?;
    let (person_id, new_person) = load_person(connection, &user.person)?;
    let Some(existing) = existing else {
        let id = insert_user(connection, org_id, person_id, user)?;
        assign_permissions(connection, id, &user.permissions)?;
        pin_token(connection, id, user, now)?;
        return Ok(Fate::Added);
    };
    let ends_logins = existing.status != user.status.as_str()
        || matches!(user.password, NewPassword::Replace { .. });
    let moved = (
        existing.org_id,
        existing.person_id,
        existing.username.as_str(),
    ) != (org_id, person_id, user.username.as_str());
    if ends_logins || moved {
        update_user(
            connection,
            existing.id,
            org_id,
            person_id,
            user,
            ends_logins,
        )?;
    }
    if existing.person_id != person_id {
        remove_unused_person(connection, existing.person_id)?;
    }
    if ends_logins {
        end_all_tokens(connection, existing.id)?;
    }
    let new_pin = match &user.pin {
        Pin::Keep => false,
        Pin::End => existing.pinned.is_some(),
        Pin::Set(token, _) => existing.pinned.as_ref() != Some(token),
    };
    if ends_logins || new_pin {
        pin_token(connection, existing.id, user, now)?;
    }
    let new_permissions = assign_permissions(connection, existing.id, &user.permissions)?;
    let changed = ends_logins || moved || new_pin || new_person || new_permissions;
    Ok(if changed {
        Fate::Changed
    } else {
        Fate::Unchanged
    })
}

fn insert_user(
    connection: &Connection,
    org_id: i64,
    person_id: i64,
    user: &NewUser,
) -> rusqlite::Result<i64> {
    // Without a hash the schema refuses the row: `Keep` is for users who have one.
    let (hash, loaded_hash_digest) = replacement(&user.password);
    connection
        .prepare_cached(
            "INSERT INTO users (uuid, org_id, person_id, username, password_hash, loaded_hash_digest, status)
             VALUES (:uuid, :org_id, :person_id, :username, :password_hash, :loaded_hash_digest, :status)",
        )?
        .execute(named_params! {
            ":uuid": user.uuid,
            ":org_id": org_id,
            ":person_id": person_id,
            ":username": user.username.as_str(),
            ":password_hash": hash,
            ":loaded_hash_digest": loaded_hash_digest,
            ":status": user.status.as_str(),
        })?;
    Ok(connection.last_insert_rowid())
}

fn update_user(
    connection: &Connection,
    id: i64,
    org_id: i64,
    person_id: i64,
    user: &NewUser,
    ends_logins: bool,
) -> rusqlite::Result<()> {
    let (hash, loaded_hash_digest) = replacement(&user.password);
    connection
        .prepare_cached(
            "UPDATE users SET
                 org_id = :org_id, person_id = :person_id, username = :username, status = :status,
                 revision = revision + :ends_logins,
                 loaded_hash_digest = iif(:password_hash IS NULL, loaded_hash_digest, :loaded_hash_digest),
                 password_hash = coalesce(:password_hash, password_hash)
             WHERE id = :id",
        )?
        .execute(named_params! {
            ":org_id": org_id,
            ":person_id": person_id,
            ":username": user.username.as_str(),
            ":status": user.status.as_str(),
            ":ends_logins": ends_logins,
            ":password_hash": hash,
            ":loaded_hash_digest": loaded_hash_digest,
            ":id": id,
        })?;
    Ok(())
}

fn replacement(password: &NewPassword) -> (Option<&str>, Option<[u8; 32]>) {
    match password {
        NewPassword::Keep => (None, None),
        NewPassword::Replace {
            hash,
            loaded_hash_digest,
        } => (Some(hash), *loaded_hash_digest),
    }
}

/// Makes the user's pinned token the described one, or none.
fn pin_token(
    connection: &Connection,
    user_id: i64,
    user: &NewUser,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM tokens WHERE user_id = :user_id AND pinned IS NOT NULL")?
        .execute(named_params! { ":user_id": user_id })?;
    let Pin::Set(token, digest) = &user.pin else {
        return Ok(());
    };
    connection
        .prepare_cached(
            "INSERT INTO tokens (digest, user_id, issued_at, pinned) VALUES (:digest, :user_id, :now, :token)
             ON CONFLICT (digest) DO UPDATE SET user_id = :user_id, expires_at = NULL, pinned = :token",
        )?
        .execute(named_params! {
            ":digest": digest,
            ":user_id": user_id,
            ":now": now.as_microsecond(),
            ":token": token,
        })?;
    Ok(())
}
