//! Listing, adding and changing users, for operators.

use jiff::Timestamp;
use serde::Serialize;

use super::engine::{self, Connection, Row, parameters};
use super::import::{ImportOutcome, add_new};
use super::listing::{Listing, UserOrder};
use super::lock::{self, UserLock};
use super::members::{permissions, permissions_of};
use super::rows::{optional_moment, spelled, unsigned};
use super::search::{contains, lower_case};
use super::tokens::revoke_all_tokens;
use super::{Error, Store};
use crate::account::{
    Assignment, OrgType, OrganizationStatus, UserStatus, Username, normalized_uuid, trimmed,
};
use crate::accounts::{Accounts, Loaded, Permission, RecordPlace, User, UserEntry};

/// A user in a listing. The fields have the names and the order of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct UserRow {
    /// The id of the row, for subsequent changes.
    #[serde(skip)]
    pub id: i64,
    /// The user's UUID.
    pub uuid: String,
    /// The username.
    pub username: String,
    /// The status.
    pub status: UserStatus,
    /// The name of its organization.
    pub org: String,
    /// The UUID of its organization.
    pub org_uuid: String,
    /// Whether the organization is a retailer or a supplier.
    pub org_type: OrgType,
    /// The status of the organization.
    pub org_status: OrganizationStatus,
    /// The first name, stored as given.
    pub first_name: Option<String>,
    /// The last name, stored as given.
    pub last_name: Option<String>,
    /// The email address. The default is the username.
    pub email: Option<String>,
    /// The phone number, in any notation.
    pub phone: Option<String>,
    /// The permissions, in order.
    pub permissions: Vec<Permission>,
    /// The bcrypt cost of the password hash.
    pub bcrypt_cost: u8,
    /// The time of the last successful login.
    pub last_login: Option<Timestamp>,
    /// When an operator last unlocked the user.
    pub unlocked_at: Option<Timestamp>,
    /// The number of valid tokens.
    pub tokens_live: u64,
    /// Whether the user is locked because of failed logins.
    #[serde(flatten)]
    pub lock: UserLock,
}

/// Selects the users to be listed. A field that is `None` does not restrict the list.
#[derive(Clone, Copy, Default)]
pub struct UserFilter<'f> {
    /// Only users of this organization.
    pub org_id: Option<i64>,
    /// Only users with this status.
    pub status: Option<UserStatus>,
    /// Only users whose username, first and last name or email address contains this text, ignoring ASCII case.
    pub search: Option<&'f str>,
    /// Only users whose logins are refused from at least one address.
    pub only_locked: bool,
}

const COLUMNS: &str =
    "users.id, users.uuid, users.username, users.status, organizations.name, organizations.uuid,
     organizations.org_type, organizations.status, first_name, last_name, email, phone, users.cost,
     users.last_login, users.unlocked_at,
     (SELECT count(*) FROM tokens
      WHERE tokens.user_id = users.id AND (expires_at IS NULL OR expires_at > :now)) AS tokens_live";

const TABLES: &str = "visible_users AS users
     JOIN organizations ON organizations.id = users.org_id
     JOIN people ON people.id = users.person_id";

impl Store {
    /// The users that match the filter.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn users(
        &self,
        filter: UserFilter<'_>,
        listing: Listing<UserOrder>,
        now: Timestamp,
    ) -> Result<Vec<UserRow>, Error> {
        let query = list_query(&filter, listing);
        let mut users = Vec::new();
        self.read(|connection| {
            connection.in_snapshot(|connection| {
                connection.pages(
                    &query,
                    parameters! {
                        ":org_id": filter.org_id,
                        ":status": filter.status.map(UserStatus::as_str),
                        ":only_locked": filter.only_locked,
                        ":search": lower_case(filter.search),
                        ":now": now.as_microsecond(),
                    },
                    user_row,
                    |page: Vec<UserRow>| {
                        let mut permissions =
                            permissions(connection, page.iter().map(|user| user.id))?;
                        users.extend(page.into_iter().map(|user| {
                            let permissions = permissions.remove(&user.id).unwrap_or_default();
                            user.with(permissions)
                        }));
                        Ok(())
                    },
                )
            })
        })?;
        Ok(users)
    }

    /// Finds the user with a username or a UUID. Usernames take precedence over UUIDs. Surrounding white space is
    /// ignored.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn user_called(&self, text: &str, now: Timestamp) -> Result<Option<UserRow>, Error> {
        let text = trimmed(text);
        self.read(|connection| {
            let named = find_user(connection, "username_key", &text.to_ascii_lowercase(), now)?;
            match (named, normalized_uuid(text)) {
                (None, Some(uuid)) => find_user(connection, "uuid", &uuid, now),
                (named, _) => Ok(named),
            }
        })
    }

    /// The user with a UUID in the hyphenated, lower-case form.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn user(&self, uuid: &str, now: Timestamp) -> Result<Option<UserRow>, Error> {
        self.read(|connection| find_user(connection, "uuid", uuid, now))
    }

    /// Calls `receive` with every username.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn for_each_username(&self, mut receive: impl FnMut(&str)) -> Result<(), Error> {
        self.read(|connection| {
            connection.for_each("SELECT username FROM visible_users", &[], |row| {
                receive(row.text(0)?);
                Ok(())
            })
        })
    }

    /// Adds a user to the organization that it names, or returns the findings.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn add_user(&self, user: User, now: Timestamp) -> Result<ImportOutcome, Error> {
        let username = user.username.clone();
        let entry = UserEntry {
            place: RecordPlace::File,
            user,
            loaded: Loaded::Nothing,
        };
        let accounts = Accounts {
            organizations: Vec::new(),
            users: vec![entry],
        };
        let recorder = self.recorder(now);
        self.write_unless_refused(move |connection| {
            let outcome = add_new(connection, accounts, now)?;
            if let (Ok(_), Some(username)) = (&outcome, username) {
                let id = connection.one(
                    "SELECT id FROM all_users WHERE username_key = :username",
                    parameters! { ":username": username.key() },
                    |row| row.get(0),
                )?;
                let status = status_of(connection, id)?;
                recorder.user(connection, id, None, status.as_deref())?;
            }
            Ok(outcome)
        })
    }

    /// Changes the password of the user with a UUID, and revokes all its tokens. Does nothing if the user does not
    /// exist.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn set_password(
        &self,
        uuid: String,
        password_hash: String,
        now: Timestamp,
    ) -> Result<(), Error> {
        let recorder = self.recorder(now);
        self.write_accounts(move |connection| {
            let changed: Option<i64> = connection.first(
                "UPDATE users SET
                         password_hash = :password_hash, revision = revision + 1
                     WHERE uuid = :uuid
                     RETURNING id",
                parameters! { ":uuid": uuid, ":password_hash": password_hash },
                |row| row.get(0),
            )?;
            if let Some(user_id) = changed {
                revoke_all_tokens(connection, user_id)?;
                recorder.user(connection, user_id, None, None)?;
            }
            Ok(())
        })
    }

    /// Changes the status of a user, and returns whether it was different before. If so, the user's tokens are revoked.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn set_user_status(
        &self,
        user_id: i64,
        status: UserStatus,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let recorder = self.recorder(now);
        self.write_accounts(move |connection| {
            let new = status.as_str();
            let Some(old) = status_of(connection, user_id)?.filter(|old| old != new) else {
                return Ok(false);
            };
            connection.execute(
                "UPDATE users SET status = :status, revision = revision + 1 WHERE id = :user_id",
                parameters! { ":user_id": user_id, ":status": new },
            )?;
            revoke_all_tokens(connection, user_id)?;
            recorder.user(connection, user_id, Some(&old), Some(new))?;
            Ok(true)
        })
    }

    /// Unlocks a user, and returns its row as it was before, with any stored lock and also counting expired tokens. A
    /// server notices the change when it would refuse the user's next login. It compares the number of unlocks and not
    /// the date, because two unlocks may have the same date and the clock may be set.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn unlock(&self, uuid: String, now: Timestamp) -> Result<Option<UserRow>, Error> {
        let recorder = self.recorder(now);
        self.write_accounts(move |connection| {
            // A lock whose end seems to be past may still hold in a server: the date may have been set since.
            let Some(before) = find_user(connection, "uuid", &uuid, Timestamp::MIN)? else {
                return Ok(None);
            };
            connection.execute(
                "UPDATE users SET unlocked_at = :now, unlocks = unlocks + 1 WHERE id = :user_id",
                parameters! { ":user_id": before.id, ":now": now.as_microsecond() },
            )?;
            recorder.user(
                connection,
                before.id,
                before.lock.described().as_deref(),
                None,
            )?;
            Ok(Some(before))
        })
    }
}

fn list_query(filter: &UserFilter<'_>, listing: Listing<UserOrder>) -> String {
    let column = match listing.order {
        UserOrder::Username => "users.username_key",
        UserOrder::Org => "lower(organizations.name)",
        UserOrder::Status => "users.status",
        UserOrder::LastLogin => "users.last_login",
        UserOrder::TokensLive => "tokens_live",
    };
    // With `OR`, SQLite would not use the index.
    let organization = match filter.org_id {
        Some(_) => "users.org_id = :org_id",
        None => ":org_id IS NULL",
    };
    format!(
        "SELECT {COLUMNS}, {} FROM {TABLES}
         WHERE {organization}
               AND (:status IS NULL OR users.status = :status)
               AND (NOT :only_locked OR {})
               AND (:search IS NULL OR {} OR {} OR {})
         {}",
        lock::COLUMNS,
        lock::IS_LOCKED,
        contains("users.username"),
        contains("coalesce(first_name, '') || ' ' || coalesce(last_name, '')"),
        contains("coalesce(email, '')"),
        listing.clause(column, "users.id"),
    )
}

fn status_of(connection: &Connection, user_id: i64) -> engine::Result<Option<String>> {
    connection.first(
        "SELECT status FROM users WHERE id = :user_id",
        parameters! { ":user_id": user_id },
        |row| row.get(0),
    )
}

/// Whether another user than this one has the username.
pub(super) fn another_has_username(
    connection: &Connection,
    username: &Username,
    user_id: i64,
) -> engine::Result<bool> {
    connection.exists(
        "SELECT 1 FROM all_users WHERE username_key = :username AND id <> :user_id",
        parameters! { ":username": username.key(), ":user_id": user_id },
    )
}

pub(super) fn find_user(
    connection: &Connection,
    column: &'static str,
    value: &str,
    now: Timestamp,
) -> engine::Result<Option<UserRow>> {
    connection.first(
        &format!(
            "SELECT {COLUMNS}, {} FROM {TABLES} WHERE users.{column} = :value",
            lock::COLUMNS
        ),
        parameters! { ":value": value, ":now": now.as_microsecond() },
        |row| {
            let permissions = permissions_of(connection, row.get(0)?)?;
            Ok(user_row(row)?.with(permissions))
        },
    )
}

impl UserRow {
    fn with(self, permissions: Vec<Assignment>) -> Self {
        let permissions = permissions.into_iter().map(Permission::from).collect();
        Self {
            permissions,
            ..self
        }
    }
}

/// Reads a user without its permissions.
fn user_row(row: &Row<'_>) -> engine::Result<UserRow> {
    Ok(UserRow {
        id: row.get(0)?,
        uuid: row.get(1)?,
        username: row.get(2)?,
        status: spelled(row, 3)?,
        org: row.get(4)?,
        org_uuid: row.get(5)?,
        org_type: spelled(row, 6)?,
        org_status: spelled(row, 7)?,
        first_name: row.get(8)?,
        last_name: row.get(9)?,
        email: row.get(10)?,
        phone: row.get(11)?,
        permissions: Vec::new(),
        bcrypt_cost: row.get(12)?,
        last_login: optional_moment(row, 13)?,
        unlocked_at: optional_moment(row, 14)?,
        tokens_live: unsigned(row, 15)?,
        lock: UserLock::of(row, 16)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, WhenMissing};

    #[test]
    fn the_users_of_an_organization_are_listed_by_an_index() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("one.db");
        let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
        let listing = Listing {
            order: UserOrder::LastLogin,
            reverse: false,
            limit: None,
        };
        let filter = UserFilter {
            org_id: Some(1),
            ..UserFilter::default()
        };
        let query = format!("EXPLAIN QUERY PLAN {}", list_query(&filter, listing));
        let plan: Vec<String> = store
            .read(|connection| {
                connection.rows(
                    &query,
                    parameters! {
                        ":org_id": 1_i64,
                        ":status": None::<&str>,
                        ":only_locked": false,
                        ":search": None::<String>,
                        ":now": 0_i64,
                    },
                    |row| row.get(3),
                )
            })
            .unwrap();
        let by_org = "SEARCH users USING INDEX users_by_org (org_id=?)";
        assert!(plan.iter().any(|step| step == by_org), "{plan:?}");
    }
}
