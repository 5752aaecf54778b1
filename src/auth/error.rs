//! Why a login or a token does not count.

use crate::store::LoginOutcome;
use crate::{hashing, store};

/// A login that gets no token, or a token that opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Unknown user and wrong password alike.
    #[error("wrong username or password")]
    BadCredentials {
        /// Whom the username means. For the log: the answer is the same without.
        user_uuid: Option<String>,
    },
    /// A token that is unknown, expired or ended, or whose user or organization is not ACTIVE.
    #[error("the token does not count")]
    BadToken,
    /// Too many failed logins, whatever the password is.
    #[error("too many failed logins")]
    Throttled {
        /// When the limit is open again, in whole seconds from now, rounded up.
        retry_after_seconds: u64,
        /// Whom the username means.
        user_uuid: Option<String>,
    },
    /// The password was right, but the user or its organization is not ACTIVE.
    #[error("the user or its organization is not active")]
    NotActive {
        /// Whose password it was.
        user_uuid: String,
    },
    /// The password could not be verified.
    #[error("cannot verify the password")]
    Hashing(#[from] hashing::Error),
    /// The account could not be read, or the login not be written.
    #[error("cannot use the database")]
    Store(#[from] store::Error),
    /// The operating system gave no random bytes for a token.
    #[error("no random bytes for a token")]
    Random(#[source] getrandom::Error),
}

impl Error {
    /// Whose login it was, as far as that is known.
    pub fn user_uuid(&self) -> Option<&str> {
        match self {
            Self::BadCredentials { user_uuid } | Self::Throttled { user_uuid, .. } => {
                user_uuid.as_deref()
            }
            Self::NotActive { user_uuid } => Some(user_uuid),
            Self::BadToken | Self::Hashing(_) | Self::Store(_) | Self::Random(_) => None,
        }
    }

    /// The same error about the login of this user.
    pub(super) fn about(mut self, user: Option<&str>) -> Self {
        if let Self::BadCredentials { user_uuid } | Self::Throttled { user_uuid, .. } = &mut self {
            *user_uuid = user.map(str::to_owned);
        }
        self
    }

    /// What became of the login; `None` where it was not decided.
    pub(super) fn outcome(&self) -> Option<LoginOutcome> {
        match self {
            Self::BadCredentials { .. } => Some(LoginOutcome::Failed),
            Self::Throttled { .. } => Some(LoginOutcome::Throttled),
            Self::NotActive { .. } => Some(LoginOutcome::Inactive),
            Self::BadToken | Self::Hashing(_) | Self::Store(_) | Self::Random(_) => None,
        }
    }
}
