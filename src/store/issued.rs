//! Listing and revoking tokens by a prefix of their digest, because the tokens themselves are not stored.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::engine::{self, Row, parameters};
use super::listing::{Listing, TokenOrder};
use super::rows::{moment, optional_moment};
use super::tokens::revoke_all_tokens;
use super::{Error, Store};
use crate::text::counted;

/// The number of hexadecimal digits of the digest that identify a token in listings. 64 bits make collisions
/// negligible.
const ID_CHARS: usize = 16;

/// A token in a listing. The fields have the names and the order of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct TokenRow {
    /// The prefix of the digest in hexadecimal. It gives no access.
    pub id: String,
    /// The username of the token's user.
    pub username: String,
    /// The UUID of the token's user.
    pub user_uuid: String,
    /// The name of the organization.
    pub org: String,
    /// When it was issued.
    pub issued_at: Timestamp,
    /// When it expires. `None` if it is valid until it is revoked.
    pub expires_at: Option<Timestamp>,
    /// Whether it is a pinned token from a fixture.
    pub pinned: bool,
}

/// The range of digests with a common prefix.
#[derive(Clone, Copy)]
pub struct DigestRange {
    first: [u8; 32],
    last: [u8; 32],
}

impl DigestRange {
    /// Parses a prefix of 8 to 64 hexadecimal digits. `None` for any other text.
    pub fn parse(id: &str) -> Option<Self> {
        if !(8..=64).contains(&id.len()) {
            return None;
        }
        let padded = |with: &str| {
            let mut digest = [0; 32];
            let text = format!("{id}{}", with.repeat(64 - id.len()));
            hex::decode_to_slice(text, &mut digest)
                .ok()
                .map(|()| digest)
        };
        Some(Self {
            first: padded("0")?,
            last: padded("f")?,
        })
    }
}

impl Store {
    /// The tokens that are valid now, of one user or of all.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn tokens(
        &self,
        user_id: Option<i64>,
        listing: Listing<TokenOrder>,
        now: Timestamp,
    ) -> Result<Vec<TokenRow>, Error> {
        let query = list_query(user_id, listing);
        self.read(|connection| {
            connection.rows(
                &query,
                parameters! { ":user_id": user_id, ":now": now.as_microsecond() },
                token_row,
            )
        })
    }

    /// The number of tokens whose digest is in the range.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn count_tokens(&self, range: DigestRange) -> Result<i64, Error> {
        self.read(|connection| {
            connection.one(
                "SELECT count(*) FROM tokens WHERE digest BETWEEN :first AND :last",
                parameters! { ":first": range.first, ":last": range.last },
                |row| row.get(0),
            )
        })
    }

    /// Revokes the tokens in the ranges and all tokens of the user, including pinned ones. Returns their number.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn revoke_tokens(
        &self,
        ranges: Vec<DigestRange>,
        user_id: Option<i64>,
        now: Timestamp,
    ) -> Result<usize, Error> {
        let recorder = self.recorder(now);
        self.write_accounts(move |connection| {
            let mut revoked: BTreeMap<i64, usize> = BTreeMap::new();
            for range in &ranges {
                let holders: Vec<i64> = connection.rows(
                    "SELECT DISTINCT user_id FROM tokens WHERE digest BETWEEN :first AND :last",
                    parameters! { ":first": range.first, ":last": range.last },
                    |row| row.get(0),
                )?;
                revoked.extend(holders.into_iter().map(|holder| (holder, 0)));
            }
            revoked.extend(user_id.map(|user_id| (user_id, 0)));
            // Logins of these users remove tokens too, so the user is locked first.
            for holder in revoked.keys() {
                connection.lock_user(*holder)?;
            }
            for range in ranges {
                connection.for_each(
                    "DELETE FROM tokens WHERE digest BETWEEN :first AND :last RETURNING user_id",
                    parameters! { ":first": range.first, ":last": range.last },
                    |holder| {
                        *revoked.entry(holder.get(0)?).or_default() += 1;
                        Ok(())
                    },
                )?;
            }
            if let Some(user_id) = user_id {
                *revoked.entry(user_id).or_default() += revoke_all_tokens(connection, user_id)?;
            }
            for (user_id, count) in revoked.iter().filter(|(_, count)| **count > 0) {
                let ended = counted(*count, "token");
                recorder.user(connection, *user_id, None, Some(&format!("{ended} ended")))?;
            }
            Ok(revoked.values().sum())
        })
    }
}

fn list_query(user_id: Option<i64>, listing: Listing<TokenOrder>) -> String {
    let column = match listing.order {
        TokenOrder::IssuedAt => "tokens.issued_at",
        TokenOrder::ExpiresAt => "tokens.expires_at",
        TokenOrder::Username => "users.username_key",
    };
    // With `OR`, SQLite would not use the index.
    let user = match user_id {
        Some(_) => "tokens.user_id = :user_id",
        None => ":user_id IS NULL",
    };
    format!(
        "SELECT tokens.digest, users.username, users.uuid, organizations.name, tokens.issued_at,
            tokens.expires_at, tokens.pinned IS NOT NULL
         FROM tokens
         JOIN all_users AS users ON users.id = tokens.user_id
         JOIN organizations ON organizations.id = users.org_id
         WHERE (tokens.expires_at IS NULL OR tokens.expires_at > :now) AND {user}
         {}",
        listing.clause(column, "tokens.digest")
    )
}

fn token_row(row: &Row<'_>) -> engine::Result<TokenRow> {
    let mut id = hex::encode(row.get::<[u8; 32]>(0)?);
    id.truncate(ID_CHARS);
    Ok(TokenRow {
        id,
        username: row.get(1)?,
        user_uuid: row.get(2)?,
        org: row.get(3)?,
        issued_at: moment(row, 4)?,
        expires_at: optional_moment(row, 5)?,
        pinned: row.get(6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Durability, WhenMissing};

    #[test]
    fn the_tokens_of_a_user_are_listed_by_an_index() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("one.db");
        let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
        let listing = Listing {
            order: TokenOrder::IssuedAt,
            reverse: false,
            limit: None,
        };
        let query = format!("EXPLAIN QUERY PLAN {}", list_query(Some(1), listing));
        let plan: Vec<String> = store
            .read(|connection| {
                connection.rows(
                    &query,
                    parameters! { ":user_id": 1_i64, ":now": 0_i64 },
                    |row| row.get(3),
                )
            })
            .unwrap();
        let by_user = "SEARCH tokens USING INDEX tokens_by_user (user_id=?)";
        assert!(plan.iter().any(|step| step == by_user), "{plan:?}");
    }
}
