//! Errors of the hashing engine and of the text form of hashes.

use super::MAX_LANES;

/// Why a password was not hashed or a hash was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The group may not have another permit now.
    #[error("the hashing queue is full")]
    QueueFull,
    /// The job waited longer than its caller allows, and was not started.
    #[error("the wait for hashing took too long")]
    WaitTooLong,
    /// The engine was stopped, or one of its threads died.
    #[error("the hashing engine has stopped")]
    Stopped,
    /// bcrypt reads 72 bytes and would ignore the rest, so a longer password is never hashed.
    #[error("the password is longer than 72 bytes")]
    PasswordTooLong,
    /// Not an accepted hash, which is `$2a$`, `$2b$` or `$2y$`, a cost of 4 to 15, and 53 characters of bcrypt's base
    /// 64.
    #[error("not a bcrypt hash ($2a$, $2b$ or $2y$ with a cost of 4 to 15)")]
    BadFormat,
    /// An accepted hash with other text around it.
    #[error("not a bcrypt hash alone: cut off {0}")]
    NotHashAlone(String),
    /// A bcrypt hash of the output of another algorithm, not of the password.
    #[error(
        "a bcrypt hash of another hash of the password, which cannot be verified: give the user a new password"
    )]
    HashOfHash,
    /// A cost outside 4 to 15.
    #[error("a bcrypt cost is a whole number from 4 to 15")]
    BadCost,
    /// The operating system gave no random bytes for a salt.
    #[error("no random bytes for a salt")]
    Random(#[source] getrandom::Error),
    /// A known password did not produce its known hash: the processor or the build is broken.
    #[error("the known-answer test of bcrypt failed")]
    SelfTest,
    /// A number of lanes outside 1 to [`MAX_LANES`].
    #[error("a hashing thread has 1 to {MAX_LANES} lanes")]
    BadLanes,
    /// A thread of the engine could not be started.
    #[error("cannot start a hashing thread")]
    Spawn(#[source] std::io::Error),
}
