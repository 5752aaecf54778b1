//! Loading whole organizations with their users, as a fixture describes them, in one transaction.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::import::Summary;
use super::load_rows::{load_organization, load_user};
use super::{Error, Store};
use crate::account::{Assignment, OrgType, OrganizationStatus, Person, UserStatus, Username};

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
    /// When it became active, if that is known.
    pub active_date: Option<Timestamp>,
    /// Who looks after it, if anybody does.
    pub account_manager: Option<Person>,
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
    /// What becomes of its pinned token.
    pub pin: Pin,
    /// Who the user is.
    pub person: Person,
    /// In this order.
    pub permissions: Vec<Assignment>,
}

/// What becomes of a user's pinned token.
pub enum Pin {
    /// It stays, unless the password or status changes, which ends all tokens.
    Keep,
    /// There is none from now on.
    End,
    /// This one, in clear, with its digest.
    Set(String, [u8; 32]),
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
    /// The UUID of a person, and the user or organization it belongs to.
    Person(String, String),
    /// The UUID of a permission, which many users may have.
    Permission(String),
    /// A username, and the UUID of its user.
    Username(Username, String),
    /// The digest of a pinned token, and the UUID of its user.
    Token([u8; 32], String),
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
                .query_one(named_params! { ":uuid": uuid }, |row| {
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
        self.read(|connection| is_held_by_another(connection, claim))
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
                count(&mut organization_summary, fate);
                for user in &organization.users {
                    count(&mut user_summary, load_user(connection, org_id, user, now)?);
                }
            }
            Ok((organization_summary, user_summary))
        })
    }
}

impl Store {
    /// Makes users of organizations that are there, given by their rows, stand as described, all or nothing.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn load_users(&self, users: Vec<(i64, NewUser)>, now: Timestamp) -> Result<Summary, Error> {
        self.write(move |connection| {
            let mut summary = Summary::default();
            for (org_id, user) in &users {
                count(&mut summary, load_user(connection, *org_id, user, now)?);
            }
            Ok(summary)
        })
    }
}

/// What became of one row.
pub(super) enum Fate {
    Added,
    Changed,
    Unchanged,
}

fn count(summary: &mut Summary, fate: Fate) {
    match fate {
        Fate::Added => summary.added += 1,
        Fate::Changed => summary.changed += 1,
        Fate::Unchanged => summary.unchanged += 1,
    }
}

pub(super) fn is_held_by_another(connection: &Connection, claim: &Claim) -> rusqlite::Result<bool> {
    match claim {
        Claim::Organization(uuid) => holds_uuid(connection, uuid, "organization", uuid),
        Claim::Party(uuid, owner) => holds_uuid(connection, uuid, "party", owner),
        Claim::User(uuid) => holds_uuid(connection, uuid, "user", uuid),
        Claim::Person(uuid, owner) => holds_uuid(connection, uuid, "person", owner),
        Claim::Permission(uuid) => holds_uuid(connection, uuid, "permission", uuid),
        Claim::Username(username, owner) => connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM users WHERE username = :username AND uuid <> :owner)",
            )?
            .query_one(
                named_params! { ":username": username.as_str(), ":owner": owner },
                |row| row.get(0),
            ),
        Claim::Token(digest, owner) => connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM tokens JOIN users ON users.id = tokens.user_id
                                WHERE tokens.digest = :digest AND users.uuid <> :owner)",
            )?
            .query_one(
                named_params! { ":digest": digest, ":owner": owner },
                |row| row.get(0),
            ),
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
                 OR EXISTS (SELECT 1 FROM users WHERE uuid = :uuid AND :kind <> 'user')
                 OR EXISTS (SELECT 1 FROM permissions WHERE uuid = :uuid AND :kind <> 'permission')
                 OR EXISTS (SELECT 1 FROM people JOIN users ON users.person_id = people.id
                            WHERE people.uuid = :uuid AND NOT (:kind = 'person' AND users.uuid = :owner))
                 OR EXISTS (SELECT 1 FROM people JOIN organizations ON organizations.account_manager_id = people.id
                            WHERE people.uuid = :uuid AND NOT (:kind = 'person' AND organizations.uuid = :owner))",
        )?
        .query_one(
            named_params! { ":uuid": uuid, ":kind": kind, ":owner": owner },
            |row| row.get(0),
        )
}
