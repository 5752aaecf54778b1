//! Storing, finding, revoking and purging tokens. This module sees only digests, never the tokens.

use jiff::Timestamp;

use super::accounts::record_login;
use super::engine::{self, Connection, Row, parameters};
use super::events::Event;
use super::failed_logins::{self, CounterKey};
use super::login_attempts::{AttemptId, end_attempt};
use super::login_events::insert_login;
use super::rows::{optional_moment, spelled};
use super::{Error, Store};
use crate::account::{OrgType, OrganizationStatus, UserStatus};
use crate::text::counted;

/// A token to be stored.
pub struct NewToken {
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// When it expires. `None` if it does not expire.
    pub expires_at: Option<Timestamp>,
    /// The maximum number of valid tokens of the user, including this one.
    pub max_per_user: u32,
}

/// A login whose password has been verified.
pub struct VerifiedLogin {
    /// The id of the user's row.
    pub user_id: i64,
    /// The user's revision when the account was read.
    pub revision: i64,
    /// The token to be stored. `None` if the reply is a pinned token.
    pub token: Option<NewToken>,
    /// The counter of failed logins that this login removes.
    pub counter: CounterKey,
    /// The row that counts this login as in progress, if the database counts them.
    pub attempt: Option<AttemptId>,
    /// The event to be recorded. `None` if events are not recorded.
    pub event: Option<Event>,
}

/// The user of a token, with all data that determine whether the token is valid.
pub struct Holder {
    /// The id of the user's row.
    pub user_id: i64,
    /// The id of the organization's row.
    pub org_id: i64,
    /// The user's UUID.
    pub user_uuid: String,
    /// The organization's UUID.
    pub org_uuid: String,
    /// Whether the organization is a retailer or a supplier.
    pub org_type: OrgType,
    /// The `retailer_uuid` of a retailer, the `supplier_uuid` of a supplier.
    pub party_uuid: String,
    /// The status of the user.
    pub user_status: UserStatus,
    /// The status of the organization.
    pub org_status: OrganizationStatus,
    /// When the token expires. `None` if it does not expire.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// Looks up the user of a token, by three primary keys in one statement.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn holder(&self, digest: &[u8; 32]) -> Result<Option<Holder>, Error> {
        self.read(|connection| {
            connection.first("SELECT users.id, organizations.id, users.uuid, organizations.uuid, organizations.org_type,
                            coalesce(organizations.retailer_uuid, organizations.supplier_uuid),
                            users.status, organizations.status, tokens.expires_at
                     FROM tokens
                     JOIN users ON users.id = tokens.user_id
                     JOIN organizations ON organizations.id = users.org_id
                     WHERE tokens.digest = :digest", parameters! { ":digest": digest }, holder)
        })
    }

    /// Revokes one token, unless it is pinned.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn revoke_token(&self, digest: [u8; 32]) -> Result<(), Error> {
        self.write(move |connection| {
            connection.execute(
                "DELETE FROM tokens WHERE digest = :digest AND pinned IS NULL",
                parameters! { ":digest": digest },
            )?;
            Ok(())
        })
    }

    /// Revokes all tokens of a user except a pinned one.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn revoke_user_tokens(&self, user_id: i64) -> Result<(), Error> {
        self.write(move |connection| {
            // A login of this user removes tokens too, so the user is locked first.
            connection.lock_user(user_id)?;
            connection.execute(
                "DELETE FROM tokens WHERE user_id = :user_id AND pinned IS NULL",
                parameters! { ":user_id": user_id },
            )?;
            Ok(())
        })
    }

    /// Revokes all tokens except pinned ones, and removes the times of the last logins, the counters of failed logins
    /// and all events.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn reset_logins(&self) -> Result<(), Error> {
        self.write(|connection| {
            connection.execute("DELETE FROM tokens WHERE pinned IS NULL", &[])?;
            connection.execute(
                "UPDATE users SET last_login = NULL WHERE last_login IS NOT NULL",
                &[],
            )?;
            connection.execute("DELETE FROM failed_logins", &[])?;
            connection.execute("DELETE FROM events", &[])?;
            Ok(())
        })
    }

    /// Completes a login in one transaction: records its time, stores the new token, revokes the user's oldest tokens
    /// beyond the limit, and removes the counter of failed logins.
    ///
    /// Returns `false`, and stores nothing, if the user's password or status has changed since the revision was read.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn complete_login(&self, login: VerifiedLogin, now: Timestamp) -> Result<bool, Error> {
        self.write(move |connection| {
            if !record_login(connection, login.user_id, login.revision, now)? {
                return Ok(false);
            }
            if let Some(token) = &login.token {
                insert(connection, login.user_id, token, now)?;
                revoke_oldest(connection, login.user_id, token.max_per_user)?;
            }
            failed_logins::remove(connection, &login.counter)?;
            if let Some(attempt) = &login.attempt {
                end_attempt(connection, attempt)?;
            }
            if let Some(event) = &login.event {
                insert_login(connection, event)?;
            }
            Ok(true)
        })
    }

    /// Whether an expired token has not been removed yet.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn has_expired(&self, now: Timestamp) -> Result<bool, Error> {
        self.read(|connection| {
            connection.one(
                "SELECT EXISTS (SELECT 1 FROM tokens WHERE expires_at <= :now)",
                parameters! { ":now": now.as_microsecond() },
                |row| row.get(0),
            )
        })
    }

    /// Removes at most `limit` expired tokens and returns their number. Skips rows that other transactions have locked.
    /// A server removes none while another server does this work.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn purge_expired(&self, now: Timestamp, limit: u32) -> Result<usize, Error> {
        let recorder = self.recorder(now);
        let purge = move |connection: &Connection| {
            let removed = connection.execute(&format!("DELETE FROM tokens WHERE digest IN (
                         SELECT digest FROM tokens WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit {})", connection.skip_locked()), parameters! { ":now": now.as_microsecond(), ":limit": limit })?;
            if removed > 0 {
                let tokens = counted(removed, "expired token");
                recorder.whole(connection, None, format!("{tokens} removed"))?;
            }
            Ok(removed)
        };
        // A command waits for other changes, and records its own in the events.
        match self.actor {
            Some(_) => self.write_accounts(purge),
            None => self.write_on_one_server(purge),
        }
    }
}

/// Revokes all tokens of a user, including a pinned one, and returns their number.
pub(super) fn revoke_all_tokens(connection: &Connection, user_id: i64) -> engine::Result<usize> {
    connection.execute(
        "DELETE FROM tokens WHERE user_id = :user_id",
        parameters! { ":user_id": user_id },
    )
}

fn holder(row: &Row<'_>) -> engine::Result<Holder> {
    Ok(Holder {
        user_id: row.get(0)?,
        org_id: row.get(1)?,
        user_uuid: row.get(2)?,
        org_uuid: row.get(3)?,
        org_type: spelled(row, 4)?,
        party_uuid: row.get(5)?,
        user_status: spelled(row, 6)?,
        org_status: spelled(row, 7)?,
        expires_at: optional_moment(row, 8)?,
    })
}

fn insert(
    connection: &Connection,
    user_id: i64,
    token: &NewToken,
    now: Timestamp,
) -> engine::Result<()> {
    connection.execute(
        "INSERT INTO tokens (digest, user_id, issued_at, expires_at, number)
             VALUES (:digest, :user_id, :issued_at, :expires_at,
                     (SELECT coalesce(max(number), 0) + 1 FROM tokens WHERE user_id = :user_id))",
        parameters! {
            ":digest": token.digest,
            ":user_id": user_id,
            ":issued_at": now.as_microsecond(),
            ":expires_at": token.expires_at.map(Timestamp::as_microsecond),
        },
    )?;
    Ok(())
}

/// Revokes the oldest tokens of a user beyond the limit. The order is that of issue, and tokens that seem to have
/// expired count as well: so the result does not depend on the clock, which may be set back.
fn revoke_oldest(connection: &Connection, user_id: i64, max: u32) -> engine::Result<()> {
    connection.execute(
        "DELETE FROM tokens WHERE digest IN (
                 SELECT digest FROM tokens WHERE user_id = :user_id AND pinned IS NULL
                 ORDER BY number DESC, issued_at DESC LIMIT 9223372036854775807 OFFSET :max)",
        parameters! { ":user_id": user_id, ":max": max },
    )?;
    Ok(())
}
