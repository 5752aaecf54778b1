//! The errors of logins and of calls with a token.

use crate::store::LoginOutcome;
use crate::{hashing, store};

/// Why a login gets no token, or why a token is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user is unknown or the password is wrong; clients cannot distinguish the two.
    #[error("wrong username or password")]
    BadCredentials {
        /// The user, if the username is known. Only for the log: the answer does not depend on it.
        user_uuid: Option<String>,
    },
    /// The token is unknown, expired or revoked, or its user or organization is not ACTIVE.
    #[error("the token is not valid")]
    BadToken,
    /// There were too many failed logins, whether or not the password is right.
    #[error("too many failed logins")]
    Throttled {
        /// The time until the limit admits attempts again, in seconds, rounded up.
        retry_after_seconds: u64,
        /// The user, if the username is known.
        user_uuid: Option<String>,
    },
    /// The password was right, but the user or its organization is not ACTIVE.
    #[error("the user or its organization is not active")]
    NotActive {
        /// The user whose password it was.
        user_uuid: String,
    },
    /// The password could not be verified.
    #[error("cannot verify the password")]
    Hashing(#[from] hashing::Error),
    /// The account could not be read, or the login could not be written.
    #[error("cannot use the database")]
    Store(#[from] store::Error),
    /// The operating system provided no random bytes for a token.
    #[error("no random bytes for a token")]
    Random(#[source] getrandom::Error),
}

impl Error {
    /// The user of the login, if it is known.
    pub fn user_uuid(&self) -> Option<&str> {
        match self {
            Self::BadCredentials { user_uuid } | Self::Throttled { user_uuid, .. } => {
                user_uuid.as_deref()
            }
            Self::NotActive { user_uuid } => Some(user_uuid),
            Self::BadToken | Self::Hashing(_) | Self::Store(_) | Self::Random(_) => None,
        }
    }

    /// Adds the user of the login to the error.
    pub(super) fn about(mut self, user: Option<&str>) -> Self {
        if let Self::BadCredentials { user_uuid } | Self::Throttled { user_uuid, .. } = &mut self {
            *user_uuid = user.map(str::to_owned);
        }
        self
    }

    /// The outcome of the login to be recorded; `None` if the login was not decided.
    pub(super) fn outcome(&self) -> Option<LoginOutcome> {
        match self {
            Self::BadCredentials { .. } => Some(LoginOutcome::Failed),
            Self::Throttled { .. } => Some(LoginOutcome::Throttled),
            Self::NotActive { .. } => Some(LoginOutcome::Inactive),
            Self::BadToken | Self::Hashing(_) | Self::Store(_) | Self::Random(_) => None,
        }
    }
}
