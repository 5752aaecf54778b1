//! Reports what a request presented: the state and the user of its token, and whether its password is right.
//!
//! The report does not contain the token or the password. It lets a test check that its client has sent the right one.

use std::sync::Arc;

use jiff::Timestamp;
use lru::LruCache;
use parking_lot::Mutex;
use serde::Serialize;

use super::content::Content;
use super::redaction::USERNAME;
use crate::account::Username;
use crate::accounts::Accounts;
use crate::auth::Token;
use crate::endpoint::Services;
use crate::endpoint::authorization::{self, HeaderFault};
use crate::hashing::{Password, PasswordHash};
use crate::http::{Body, Field};

/// How many issued tokens are remembered.
const MAX_ISSUED: usize = 10_000;

/// The state of a token when its request arrives.
#[derive(Clone, Copy, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TokenState {
    Valid,
    /// This server has issued it, and it is no longer valid.
    Expired,
    Unknown,
    #[default]
    None,
}

/// Whether a login's password is right.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PasswordState {
    Right,
    Wrong,
    Missing,
}

/// The digests of issued and pinned tokens with their usernames; the latest are kept.
pub(super) struct Issued(Mutex<LruCache<[u8; 32], String>>);

/// Determines what requests presented.
pub(super) struct Presented {
    pub(super) issued: Issued,
    pub(super) services: Arc<Services>,
}

impl Issued {
    /// Starts with the pinned tokens of the fixture.
    pub(super) fn of(demo: &Accounts) -> Self {
        let issued = Self(Mutex::new(LruCache::unbounded()));
        for user in demo.users.iter().map(|entry| &entry.user) {
            if let (Some(token), Some(username)) = (&user.auth_token, &user.username) {
                issued.add(&Token::from_text(token.clone()), username.as_str());
            }
        }
        issued
    }

    fn add(&self, token: &Token, username: &str) {
        let mut issued = self.0.lock();
        issued.put(token.digest().0, username.to_owned());
        if issued.len() > MAX_ISSUED {
            issued.pop_lru();
        }
    }

    fn username(&self, token: &Token) -> Option<String> {
        self.0.lock().peek(&token.digest().0).cloned()
    }
}

impl Presented {
    /// The state and the username of the token in an `Authorization` header. To be called before the request is
    /// answered, since the call itself may revoke the token.
    pub(super) fn token(&self, header: &[u8], now: Timestamp) -> (TokenState, Option<String>) {
        let token = match authorization::parse(header) {
            Ok(token) => token,
            Err(HeaderFault::NotProvided | HeaderFault::NoCredentials) => {
                return (TokenState::None, None);
            }
            Err(HeaderFault::Spaces | HeaderFault::InvalidCharacters) => {
                return (TokenState::Unknown, None);
            }
        };
        if let Ok(holder) = self.services.auth.holder(&token, now) {
            return (TokenState::Valid, self.username(&holder.user_uuid, now));
        }
        match self.issued.username(&token) {
            Some(username) => (TokenState::Expired, Some(username)),
            None => (TokenState::Unknown, None),
        }
    }

    fn username(&self, user_uuid: &str, now: Timestamp) -> Option<String> {
        let user = self.services.store.user(user_uuid, now).ok()??;
        Some(user.username)
    }

    /// Remembers the token that a login was answered with.
    pub(super) fn note_login(&self, answer: &Body, now: Timestamp) {
        let text = |key: &str| match answer.object().ok()?.field(key) {
            Ok(Field::Text(text)) => Some(text),
            _ => None,
        };
        if let (Some(token), Some(uuid)) = (text("auth_token"), text("user_uuid"))
            && let Some(username) = self.username(&uuid, now)
        {
            self.issued.add(&Token::from_text(token), &username);
        }
    }

    /// Whether the password of a login is right. Decided by the status of the answer; if the status was forced (`None`)
    /// or says nothing about the password, by verifying it. `None` if this cannot be determined.
    pub(super) fn password(&self, content: &Content, status: Option<u16>) -> Option<PasswordState> {
        let password = match content.value("password") {
            Field::Missing | Field::Null => return Some(PasswordState::Missing),
            Field::Text(text) if text.is_empty() => return Some(PasswordState::Missing),
            Field::Text(text) => Password::new(text.clone()),
            Field::Other => return Some(PasswordState::Wrong),
        };
        let is_right = match status {
            Some(200 | 403) => true,
            Some(401) => false,
            // The server had no capacity to hash the password.
            Some(503) => return None,
            _ => self.is_right(content, &password)?,
        };
        Some(if is_right {
            PasswordState::Right
        } else {
            PasswordState::Wrong
        })
    }

    fn is_right(&self, content: &Content, password: &Password) -> Option<bool> {
        let Field::Text(username) = content.value(USERNAME) else {
            return Some(false);
        };
        let Ok(username) = Username::parse(username) else {
            return Some(false);
        };
        let Some(account) = self.services.store.look_up(&username).ok()?.account else {
            return Some(false);
        };
        let hash: PasswordHash = account.password_hash.parse().ok()?;
        let engine = &self.services.engine;
        let verification = engine.start_verification(password, Some(&hash), hash.cost());
        verification.wait().ok()
    }
}
