//! Issuing, ending and purging tokens. Only digests come in here.

use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use super::accounts::record_login;
use super::{Error, Store};

/// A token to be kept.
pub struct NewToken {
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    /// `None` lives for ever.
    pub expires_at: Option<Timestamp>,
    /// How many tokens of the user, this one included, may live at once.
    pub max_per_user: u32,
}

impl Store {
    /// Completes a login: notes it, keeps the new token, if there is one (a pinned token stands already), and ends the
    /// user's oldest tokens beyond the cap, all in one transaction.
    ///
    /// `false` when the user's password or status changed since `revision` was read: nothing is kept then.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn complete_login(
        &self,
        user_id: i64,
        revision: i64,
        token: Option<NewToken>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.write(move |connection| {
            if !record_login(connection, user_id, revision, now)? {
                return Ok(false);
            }
            if let Some(token) = token {
                insert(connection, user_id, &token, now)?;
                end_oldest(connection, user_id, &token, now)?;
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
            connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM tokens WHERE expires_at <= :now)")?
                .query_row(named_params! { ":now": now.as_microsecond() }, |row| {
                    row.get(0)
                })
        })
    }

    /// Removes at most `limit` expired tokens and says how many it removed.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn purge_expired(&self, now: Timestamp, limit: u32) -> Result<usize, Error> {
        self.write(move |connection| {
            connection
                .prepare_cached(
                    "DELETE FROM tokens WHERE digest IN (
                         SELECT digest FROM tokens WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit)",
                )?
                .execute(named_params! { ":now": now.as_microsecond(), ":limit": limit })
        })
    }
}

fn insert(
    connection: &Connection,
    user_id: i64,
    token: &NewToken,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO tokens (digest, user_id, issued_at, expires_at)
             VALUES (:digest, :user_id, :issued_at, :expires_at)",
        )?
        .execute(named_params! {
            ":digest": token.digest,
            ":user_id": user_id,
            ":issued_at": now.as_microsecond(),
            ":expires_at": token.expires_at.map(Timestamp::as_microsecond),
        })?;
    Ok(())
}

/// The new token itself is left out of the choice: after a step back of the clock it would look like the oldest.
fn end_oldest(
    connection: &Connection,
    user_id: i64,
    token: &NewToken,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM tokens WHERE digest IN (
                 SELECT digest FROM tokens
                 WHERE user_id = :user_id AND pinned IS NULL AND digest <> :digest
                       AND (expires_at IS NULL OR expires_at > :now)
                 ORDER BY issued_at DESC LIMIT -1 OFFSET :others)",
        )?
        .execute(named_params! {
            ":user_id": user_id,
            ":digest": token.digest,
            ":now": now.as_microsecond(),
            ":others": token.max_per_user.saturating_sub(1),
        })?;
    Ok(())
}
