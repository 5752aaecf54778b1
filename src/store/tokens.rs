//! Issuing, finding, ending and purging tokens. Only digests come in here.

use jiff::Timestamp;

use super::accounts::record_login;
use super::engine::{self, Connection, Row, parameters};
use super::events::Event;
use super::failed_logins::{self, CounterKey};
use super::login_attempts::{AttemptId, give_back};
use super::login_events::insert_login;
use super::rows::{optional_moment, spelled};
use super::{Error, Store};
use crate::account::{OrgType, OrganizationStatus, UserStatus};
use crate::text::counted;

/// A token to be kept.
pub struct NewToken {
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// `None` lives for ever.
    pub expires_at: Option<Timestamp>,
    /// How many tokens of the user, this one included, may live at once.
    pub max_per_user: u32,
}

/// A login whose password was right.
pub struct VerifiedLogin {
    /// The row of the user.
    pub user_id: i64,
    /// What it was when the account was read.
    pub revision: i64,
    /// The token to be kept; `None` where a pinned one is answered.
    pub token: Option<NewToken>,
    /// The counter of failed logins that ends with it.
    pub counter: CounterKey,
    /// Where the database counts it as in work.
    pub attempt: Option<AttemptId>,
    /// What is recorded of it; `None` where no events are kept.
    pub event: Option<Event>,
}

/// Whose a token is, and whether that still counts.
pub struct Holder {
    /// The row of the user.
    pub user_id: i64,
    /// The row of the organization.
    pub org_id: i64,
    /// Public identity of the user.
    pub user_uuid: String,
    /// Public identity of the organization.
    pub org_uuid: String,
    /// Retailer or supplier.
    pub org_type: OrgType,
    /// The `retailer_uuid` of a retailer, the `supplier_uuid` of a supplier.
    pub party_uuid: String,
    /// Where the user stands.
    pub user_status: UserStatus,
    /// Where the organization stands.
    pub org_status: OrganizationStatus,
    /// `None` lives for ever.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// Finds whose a token is, by three primary keys in one statement.
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

    /// Ends one token; a pinned one goes on.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn end_token(&self, digest: [u8; 32]) -> Result<(), Error> {
        self.write(move |connection| {
            connection.execute(
                "DELETE FROM tokens WHERE digest = :digest AND pinned IS NULL",
                parameters! { ":digest": digest },
            )?;
            Ok(())
        })
    }

    /// Ends all tokens of a user; a pinned one goes on.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn end_tokens(&self, user_id: i64) -> Result<(), Error> {
        self.write(move |connection| {
            // A login ends tokens, too: one of the two comes first.
            connection.lock_user(user_id)?;
            connection.execute(
                "DELETE FROM tokens WHERE user_id = :user_id AND pinned IS NULL",
                parameters! { ":user_id": user_id },
            )?;
            Ok(())
        })
    }

    /// Ends all tokens that logins were given, and forgets when users logged in last, what failed and all events; pinned
    /// tokens go on.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn forget_logins(&self) -> Result<(), Error> {
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

    /// Completes a login: notes it, keeps the new token, ends the user's oldest tokens beyond the cap, and ends the counter
    /// of failed logins, all in one transaction.
    ///
    /// `false` when the user's password or status changed since the revision was read: nothing is kept then.
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
                end_oldest(connection, login.user_id, token, now)?;
            }
            failed_logins::remove(connection, &login.counter)?;
            if let Some(attempt) = &login.attempt {
                give_back(connection, attempt)?;
            }
            if let Some(event) = &login.event {
                insert_login(connection, event)?;
            }
            Ok(true)
        })
    }

    /// Whether a token has expired and still stands.
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

    /// Removes at most `limit` expired tokens and says how many it removed: none while another server is at it, and none that
    /// others have locked.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn purge_expired(&self, now: Timestamp, limit: u32) -> Result<usize, Error> {
        let notes = self.notes(now);
        let purge = move |connection: &Connection| {
            let removed = connection.execute(&format!("DELETE FROM tokens WHERE digest IN (
                         SELECT digest FROM tokens WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit {})", connection.unlocked()), parameters! { ":now": now.as_microsecond(), ":limit": limit })?;
            if removed > 0 {
                let tokens = counted(removed, "expired token");
                notes.whole(connection, None, format!("{tokens} removed"))?;
            }
            Ok(removed)
        };
        // A command waits for its turn, and notes what it has done.
        match self.actor {
            Some(_) => self.write_accounts(purge),
            None => self.write_in_common(purge),
        }
    }
}

/// Ends every token of a user, a pinned one too, and says how many there were.
pub(super) fn end_all_tokens(connection: &Connection, user_id: i64) -> engine::Result<usize> {
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

/// The oldest are those issued first, whatever the clock said then.
fn end_oldest(
    connection: &Connection,
    user_id: i64,
    token: &NewToken,
    now: Timestamp,
) -> engine::Result<()> {
    connection.execute("DELETE FROM tokens WHERE digest IN (
                 SELECT digest FROM tokens
                 WHERE user_id = :user_id AND pinned IS NULL AND (expires_at IS NULL OR expires_at > :now)
                 ORDER BY number DESC, issued_at DESC LIMIT 9223372036854775807 OFFSET :max)", parameters! {
            ":user_id": user_id,
            ":now": now.as_microsecond(),
            ":max": token.max_per_user,
        })?;
    Ok(())
}
