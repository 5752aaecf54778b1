//! Looking up the account for a username, and updating it after a login.

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::engine::{self, Connection, Row, parameters};
use super::rows::spelled;
use super::{Error, Store};
use crate::account::{OrgType, OrganizationStatus, UserStatus, Username};

/// The user that a username identifies.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The user's UUID.
    pub user_uuid: String,
    /// The organization's UUID.
    pub org_uuid: String,
    /// The username as stored in the database.
    pub username: String,
    /// How many times operators have unlocked the user.
    pub unlocks: i64,
}

/// A user and its organization: the data that a login needs.
pub struct Account {
    /// The id of the row, for subsequent changes.
    pub user_id: i64,
    /// A number that changes with the password and the status.
    pub revision: i64,
    /// The user's identity.
    pub identity: Identity,
    /// The bcrypt hash, 60 characters.
    pub password_hash: String,
    /// The status of the user.
    pub user_status: UserStatus,
    /// Whether the organization is a retailer or a supplier.
    pub org_type: OrgType,
    /// The `retailer_uuid` of a retailer, the `supplier_uuid` of a supplier.
    pub party_uuid: String,
    /// The status of the organization.
    pub org_status: OrganizationStatus,
    /// The token that a fixture pinned, in plain text.
    pub pinned_token: Option<Zeroizing<String>>,
}

impl Account {
    /// Whether the statuses of the user and its organization allow a login.
    pub fn is_active(&self) -> bool {
        self.user_status == UserStatus::Active && self.org_status == OrganizationStatus::Active
    }
}

/// The data that a login reads.
pub struct Lookup {
    /// The account. `None` if no user has the username.
    pub account: Option<Account>,
    /// The highest bcrypt cost of all active users of active organizations. `None` if there are none.
    pub highest_cost: Option<u8>,
}

impl Lookup {
    /// The user that the username identifies, if there is one.
    pub fn identity(&self) -> Option<&Identity> {
        self.account.as_ref().map(|account| &account.identity)
    }
}

impl Store {
    /// Looks up the account for a username, ignoring ASCII case, and the highest cost that a login can have now.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn look_up(&self, username: &Username) -> Result<Lookup, Error> {
        self.read(|connection| {
            Ok(Lookup {
                account: find_account(connection, username)?,
                highest_cost: highest_cost(connection)?,
            })
        })
    }

    /// Looks up the user that a username identifies. Runs the same single statement whether or not the user exists.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn identity(&self, username: &Username) -> Result<Option<Identity>, Error> {
        self.read(|connection| {
            connection.first(
                "SELECT users.uuid, organizations.uuid, users.username, users.unlocks
                     FROM visible_users AS users
                     JOIN organizations ON organizations.id = users.org_id
                     WHERE users.username_key = :username",
                parameters! { ":username": username.key() },
                |row| identity(row, 0),
            )
        })
    }

    /// Replaces a hash, in every column that holds it, by another hash of the same password. Does nothing if the
    /// password or the status has changed since `revision`, or if an operator is changing accounts: both update
    /// the numbers of users by cost, in different orders, and could deadlock.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn rehash(&self, user_id: i64, revision: i64, password_hash: String) -> Result<(), Error> {
        self.write(move |connection| {
            if !connection.try_lock_accounts_shared()? {
                return Ok(());
            }
            connection.execute(
                "UPDATE users SET
                         loaded_password_hash =
                             CASE WHEN loaded_password_hash = password_hash THEN :password_hash
                                  ELSE loaded_password_hash END,
                         password_hash = :password_hash
                     WHERE id = :user_id AND revision = :revision",
                parameters! {
                    ":password_hash": password_hash,
                    ":user_id": user_id,
                    ":revision": revision,
                },
            )?;
            Ok(())
        })
    }
}

fn find_account(connection: &Connection, username: &Username) -> engine::Result<Option<Account>> {
    connection.first("SELECT users.id, users.revision, users.uuid, organizations.uuid, users.username, users.unlocks,
                    users.password_hash, users.status, organizations.org_type,
                    coalesce(organizations.retailer_uuid, organizations.supplier_uuid), organizations.status,
                    tokens.pinned
             FROM visible_users AS users
             JOIN organizations ON organizations.id = users.org_id
             LEFT JOIN tokens ON tokens.user_id = users.id AND tokens.pinned IS NOT NULL
             WHERE users.username_key = :username", parameters! { ":username": username.key() }, account)
}

fn account(row: &Row<'_>) -> engine::Result<Account> {
    Ok(Account {
        user_id: row.get(0)?,
        revision: row.get(1)?,
        identity: identity(row, 2)?,
        password_hash: row.get(6)?,
        user_status: spelled(row, 7)?,
        org_type: spelled(row, 8)?,
        party_uuid: row.get(9)?,
        org_status: spelled(row, 10)?,
        pinned_token: row.get::<Option<String>>(11)?.map(Zeroizing::new),
    })
}

/// Reads an identity from four columns, starting with `first`.
fn identity(row: &Row<'_>, first: usize) -> engine::Result<Identity> {
    Ok(Identity {
        user_uuid: row.get(first)?,
        org_uuid: row.get(first + 1)?,
        username: row.get(first + 2)?,
        unlocks: row.get(first + 3)?,
    })
}

/// Reads the highest cost. The table has a dozen rows, so reading it at each login takes microseconds and sees the
/// changes of other processes.
fn highest_cost(connection: &Connection) -> engine::Result<Option<u8>> {
    connection.first(
        "SELECT cost FROM used_costs ORDER BY cost DESC LIMIT 1",
        &[],
        |row| row.get(0),
    )
}

/// Records the time of a login. Returns `false` if the password or the status has changed since `revision`, or if the
/// user no longer exists.
pub(super) fn record_login(
    connection: &Connection,
    user_id: i64,
    revision: i64,
    now: Timestamp,
) -> engine::Result<bool> {
    let changed = connection.execute(
        "UPDATE users SET last_login = :now WHERE id = :user_id AND revision = :revision",
        parameters! {
            ":now": now.as_microsecond(),
            ":user_id": user_id,
            ":revision": revision,
        },
    )?;
    Ok(changed == 1)
}
