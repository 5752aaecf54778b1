//! Why hashing did not happen.

use super::MAX_LANES;

/// What can keep the engine from an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// As many logins as are allowed are in work or waiting.
    #[error("the hashing queue is full")]
    QueueFull,
    /// The work waited longer than its caller allows, and was not started.
    #[error("the wait for hashing took too long")]
    WaitTooLong,
    /// The engine was stopped, or one of its threads died.
    #[error("the hashing engine has stopped")]
    Stopped,
    /// bcrypt reads 72 bytes and would ignore the rest, so such a password is never hashed.
    #[error("the password is longer than 72 bytes")]
    PasswordTooLong,
    /// Not a hash this program takes: `$2a$`, `$2b$` or `$2y$`, a cost of 4 to 15, 53 characters of bcrypt's base 64.
    #[error("not a bcrypt hash ($2a$, $2b$ or $2y$ with a cost of 4 to 15)")]
    BadFormat,
    /// A hash that this program takes, with something around it that is no part of one.
    #[error("not a bcrypt hash alone: cut off {0}")]
    NotHashAlone(String),
    /// bcrypt, but of something that another algorithm made of the password.
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
    /// A known password did not give its known hash: the processor or the build is broken.
    #[error("the known-answer test of bcrypt failed")]
    SelfTest,
    /// A number of lanes that no loop exists for.
    #[error("a hashing thread has 1 to {MAX_LANES} lanes")]
    BadLanes,
    /// A thread of the engine could not be started.
    #[error("cannot start a hashing thread")]
    Spawn(#[source] std::io::Error),
}
