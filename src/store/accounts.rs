//! Finding the account behind a username, and what a login changes in it.

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::engine::{self, Connection, Row, parameters};
use super::rows::spelled;
use super::{Error, Store};
use crate::account::{OrgType, OrganizationStatus, UserStatus, Username};

/// Whom a username means.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Public identity of the user.
    pub user_uuid: String,
    /// Public identity of the organization.
    pub org_uuid: String,
    /// As the database spells it.
    pub username: String,
    /// How often operators have unlocked the user.
    pub unlocks: i64,
}

/// A user with its organization, as a login needs it.
pub struct Account {
    /// The row, for changes that follow.
    pub user_id: i64,
    /// Changes with the password and the status.
    pub revision: i64,
    /// Who it is.
    pub identity: Identity,
    /// bcrypt, 60 characters.
    pub password_hash: String,
    /// Where the user stands.
    pub user_status: UserStatus,
    /// Retailer or supplier.
    pub org_type: OrgType,
    /// The `retailer_uuid` of a retailer, the `supplier_uuid` of a supplier.
    pub party_uuid: String,
    /// Where the organization stands.
    pub org_status: OrganizationStatus,
    /// The token that a fixture pinned, in clear.
    pub pinned_token: Option<Zeroizing<String>>,
}

impl Account {
    /// Whether the user may log in, as far as statuses go.
    pub fn is_active(&self) -> bool {
        self.user_status == UserStatus::Active && self.org_status == OrganizationStatus::Active
    }
}

/// What a login reads.
pub struct Lookup {
    /// `None` when nobody has the name.
    pub account: Option<Account>,
    /// The highest bcrypt cost of all active users of active organizations; `None` without any.
    pub highest_cost: Option<u8>,
}

impl Lookup {
    /// Whom the username means.
    pub fn identity(&self) -> Option<&Identity> {
        self.account.as_ref().map(|account| &account.identity)
    }
}

impl Store {
    /// Finds the account of a username, without regard to ASCII case, and the highest cost that a login can have now.
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

    /// Whom a username means, by one statement whether that is somebody or not.
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

    /// Replaces a hash by one of the same password, wherever it is kept. Does nothing when the password or status changed since
    /// `revision`, or an administrator changes accounts at this moment: both count users by the costs of their hashes, in
    /// another order.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn rehash(&self, user_id: i64, revision: i64, password_hash: String) -> Result<(), Error> {
        self.write(move |connection| {
            if !connection.hold_off_accounts()? {
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

/// A dozen rows, so asking at each login costs microseconds and sees every change of another process.
fn highest_cost(connection: &Connection) -> engine::Result<Option<u8>> {
    connection.first(
        "SELECT cost FROM used_costs ORDER BY cost DESC LIMIT 1",
        &[],
        |row| row.get(0),
    )
}

/// Notes a login. `false` when the password or status changed since `revision`, or the user is gone.
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
