//! Why a login or a token does not count.

use crate::{hashing, store};

/// A login that gets no token, or a token that opens nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Unknown user and wrong password alike.
    #[error("wrong username or password")]
    BadCredentials,
    /// A token that is unknown, expired or ended, or whose user or organization is not ACTIVE.
    #[error("the token does not count")]
    BadToken,
    /// Too many failed logins, whatever the password is.
    #[error("too many failed logins")]
    Throttled {
        /// When the limit is open again, in whole seconds from now, rounded up.
        retry_after_seconds: u64,
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
