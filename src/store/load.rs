//! Loading whole organizations with their users, as a fixture describes them, in one transaction.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::{Error, Store};
use crate::account::{OrgType, OrganizationStatus, UserStatus, Username};

/// An organization as it shall stand.
pub struct NewOrganization {
    /// Identity: a row that has it is updated.
    pub uuid: String,
    /// The name people know it by.
    pub name: String,
    /// Retailer or supplier.
    pub org_type: OrgType,
    /// The `retailer_uuid` of a retailer, the `supplier_uuid` of a supplier.
    pub party_uuid: String,
    /// Where it stands.
    pub status: OrganizationStatus,
    /// `None` keeps what is there, or is now.
    pub created_date: Option<Timestamp>,
    /// Its users.
    pub users: Vec<NewUser>,
}

/// A user as it shall stand.
pub struct NewUser {
    /// Identity: a row that has it is updated.
    pub uuid: String,
    /// What it logs in with.
    pub username: Username,
    /// Where it stands.
    pub status: UserStatus,
    /// What becomes of its password.
    pub password: NewPassword,
    /// A token in clear with its digest.
    pub pinned_token: Option<(String, [u8; 32])>,
}

/// What becomes of a user's password.
pub enum NewPassword {
    /// The one in the database is right.
    Keep,
    /// A new one.
    Replace {
        /// bcrypt, 60 characters.
        hash: String,
        /// SHA-256 of the hash, where the fixture gave a hash and not a password.
        loaded_hash_digest: Option<[u8; 32]>,
    },
}

/// What is known of a user's password before loading.
pub struct LoadedUser {
    /// bcrypt, 60 characters.
    pub password_hash: String,
    /// SHA-256 of the hash that a fixture last loaded.
    pub loaded_hash_digest: Option<[u8; 32]>,
}

/// A value that only one row may have.
pub enum Claim {
    /// The UUID of an organization.
    Organization(String),
    /// The retailer's or supplier's UUID, and the organization it belongs to.
    Party(String, String),
    /// The UUID of a user.
    User(String),
    /// A username, and the UUID of its user.
    Username(Username, String),
    /// The digest of a pinned token, and the UUID of its user.
    Token([u8; 32], String),
}

/// How many rows a load touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// New rows.
    pub added: usize,
    /// Rows that differed.
    pub changed: usize,
    /// Rows that stood as described.
    pub unchanged: usize,
}

impl Store {
    /// What the database holds of one user's password.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn loaded_user(&self, uuid: &str) -> Result<Option<LoadedUser>, Error> {
        self.read(|connection| {
            connection
                .prepare_cached(
                    "SELECT password_hash, loaded_hash_digest FROM users WHERE uuid = :uuid",
                )?
                .query_row(named_params! { ":uuid": uuid }, |row| {
                    Ok(LoadedUser {
                        password_hash: row.get(0)?,
                        loaded_hash_digest: row.get(1)?,
                    })
                })
                .optional()
        })
    }

    /// Whether another row than the claim's own holds what it claims.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn is_held_by_another(&self, claim: &Claim) -> Result<bool, Error> {
        self.read(|connection| match claim {
            Claim::Organization(uuid) => holds_uuid(connection, uuid, "organization", uuid),
            Claim::Party(uuid, owner) => holds_uuid(connection, uuid, "party", owner),
            Claim::User(uuid) => holds_uuid(connection, uuid, "user", uuid),
            Claim::Username(username, owner) => connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM users WHERE username = :username AND uuid <> :owner)",
                )?
                .query_row(
                    named_params! { ":username": username.as_str(), ":owner": owner },
                    |row| row.get(0),
                ),
            Claim::Token(digest, owner) => connection
                .prepare_cached(
                    "SELECT EXISTS (SELECT 1 FROM tokens JOIN users ON users.id = tokens.user_id
                                    WHERE tokens.digest = :digest AND users.uuid <> :owner)",
                )?
                .query_row(named_params! { ":digest": digest, ":owner": owner }, |row| row.get(0)),
        })
    }

    /// Makes the rows stand as described, all or nothing. Gives what happened to organizations, then to users.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn load(
        &self,
        organizations: Vec<NewOrganization>,
        now: Timestamp,
    ) -> Result<(Summary, Summary), Error> {
        self.write(move |connection| {
            let mut organization_summary = Summary::default();
            let mut user_summary = Summary::default();
            for organization in &organizations {
                let (org_id, fate) = load_organization(connection, organization, now)?;
                organization_summary.count(fate);
                for user in &organization.users {
                    user_summary.count(load_user(connection, org_id, user, now)?);
                }
            }
            Ok((organization_summary, user_summary))
        })
    }
}

enum Fate {
    Added,
    Changed,
    Unchanged,
}

impl Summary {
    fn count(&mut self, fate: Fate) {
        match fate {
            Fate::Added => self.added += 1,
            Fate::Changed => self.changed += 1,
            Fate::Unchanged => self.unchanged += 1,
        }
    }
}

/// A UUID names one thing, so it may stand once in all the columns that hold one.
fn holds_uuid(
    connection: &Connection,
    uuid: &str,
    kind: &str,
    owner: &str,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM organizations WHERE uuid = :uuid AND :kind <> 'organization')
                 OR EXISTS (SELECT 1 FROM organizations
                            WHERE retailer_uuid = :uuid AND NOT (:kind = 'party' AND uuid = :owner))
                 OR EXISTS (SELECT 1 FROM organizations
                            WHERE supplier_uuid = :uuid AND NOT (:kind = 'party' AND uuid = :owner))
                 OR EXISTS (SELECT 1 FROM users WHERE uuid = :uuid AND :kind <> 'user')",
        )?
        .query_row(
            named_params! { ":uuid": uuid, ":kind": kind, ":owner": owner },
            |row| row.get(0),
        )
}

fn load_organization(
    connection: &Connection,
    organization: &NewOrganization,
    now: Timestamp,
) -> rusqlite::Result<(i64, Fate)> {
    let (retailer_uuid, supplier_uuid) = match organization.org_type {
        OrgType::Retailer => (Some(&organization.party_uuid), None),
        OrgType::Supplier => (None, Some(&organization.party_uuid)),
    };
    let existing = connection
        .prepare_cached("SELECT id FROM organizations WHERE uuid = :uuid")?
        .query_row(named_params! { ":uuid": organization.uuid }, |row| {
            row.get(0)
        })
        .optional()?;
    let touched = connection
        .prepare_cached(
            "INSERT INTO organizations (uuid, name, org_type, retailer_uuid, supplier_uuid, status, created_date)
             VALUES (:uuid, :name, :org_type, :retailer_uuid, :supplier_uuid, :status, coalesce(:created_date, :now))
             ON CONFLICT (uuid) DO UPDATE SET
                 name = :name, org_type = :org_type, retailer_uuid = :retailer_uuid, supplier_uuid = :supplier_uuid,
                 status = :status, created_date = coalesce(:created_date, created_date)
             WHERE (name, org_type, retailer_uuid, supplier_uuid, status, created_date)
                   IS NOT (:name, :org_type, :retailer_uuid, :supplier_uuid, :status, coalesce(:created_date, created_date))",
        )?
        .execute(named_params! {
            ":uuid": organization.uuid,
            ":name": organization.name,
            ":org_type": organization.org_type.as_str(),
            ":retailer_uuid": retailer_uuid,
            ":supplier_uuid": supplier_uuid,
            ":status": organization.status.as_str(),
            ":created_date": organization.created_date.map(Timestamp::as_microsecond),
            ":now": now.as_microsecond(),
        })?;
    match (existing, touched) {
        (Some(id), 0) => Ok((id, Fate::Unchanged)),
        (Some(id), _) => Ok((id, Fate::Changed)),
        (None, _) => Ok((connection.last_insert_rowid(), Fate::Added)),
    }
}

struct ExistingUser {
    id: i64,
    org_id: i64,
    username: String,
    status: String,
    pinned: Option<String>,
}

fn existing_user(connection: &Connection, uuid: &str) -> rusqlite::Result<Option<ExistingUser>> {
    connection
        .prepare_cached(
            "SELECT users.id, users.org_id, users.username, users.status, tokens.pinned
             FROM users LEFT JOIN tokens ON tokens.user_id = users.id AND tokens.pinned IS NOT NULL
             WHERE users.uuid = :uuid",
        )?
        .query_row(named_params! { ":uuid": uuid }, |row| {
            Ok(ExistingUser {
                id: row.get(0)?,
                org_id: row.get(1)?,
                username: row.get(2)?,
                status: row.get(3)?,
                pinned: row.get(4)?,
            })
        })
        .optional()
}

fn load_user(
    connection: &Connection,
    org_id: i64,
    user: &NewUser,
    now: Timestamp,
) -> rusqlite::Result<Fate> {
    let Some(existing) = existing_user(connection, &user.uuid)? else {
        let id = insert_user(connection, org_id, user)?;
        pin_token(connection, id, user, now)?;
        return Ok(Fate::Added);
    };
    let new_status = existing.status != user.status.as_str();
    let new_password = matches!(user.password, NewPassword::Replace { .. });
    let moved = existing.org_id != org_id || existing.username != user.username.as_str();
    let pinned = user.pinned_token.as_ref().map(|(token, _)| token);
    let new_pin = existing.pinned.as_ref() != pinned;
    if !(new_status || new_password || moved || new_pin) {
        return Ok(Fate::Unchanged);
    }
    update_user(
        connection,
        existing.id,
        org_id,
        user,
        new_status || new_password,
    )?;
    if new_status || new_password {
        end_tokens(connection, existing.id)?;
    }
    pin_token(connection, existing.id, user, now)?;
    Ok(Fate::Changed)
}

fn insert_user(connection: &Connection, org_id: i64, user: &NewUser) -> rusqlite::Result<i64> {
    // Without a hash the schema refuses the row: `Keep` is for users who have one.
    let (hash, loaded_hash_digest) = replacement(&user.password);
    connection
        .prepare_cached(
            "INSERT INTO users (uuid, org_id, username, password_hash, loaded_hash_digest, status)
             VALUES (:uuid, :org_id, :username, :password_hash, :loaded_hash_digest, :status)",
        )?
        .execute(named_params! {
            ":uuid": user.uuid,
            ":org_id": org_id,
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
    user: &NewUser,
    ends_logins: bool,
) -> rusqlite::Result<()> {
    let (hash, loaded_hash_digest) = replacement(&user.password);
    connection
        .prepare_cached(
            "UPDATE users SET
                 org_id = :org_id, username = :username, status = :status, revision = revision + :ends_logins,
                 loaded_hash_digest = iif(:password_hash IS NULL, loaded_hash_digest, :loaded_hash_digest),
                 password_hash = coalesce(:password_hash, password_hash)
             WHERE id = :id",
        )?
        .execute(named_params! {
            ":org_id": org_id,
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

/// Ends every token of a user, a pinned one too.
fn end_tokens(connection: &Connection, user_id: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM tokens WHERE user_id = :user_id")?
        .execute(named_params! { ":user_id": user_id })?;
    Ok(())
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
    let Some((token, digest)) = &user.pinned_token else {
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
