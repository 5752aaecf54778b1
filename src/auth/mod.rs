//! The rules of logging in: who may log in, what a token is, which statuses count.
//!
//! Knows neither HTTP nor SQL and reads no clock: `now` is passed in.

mod account;
mod authenticate;
mod error;
mod new_password;
mod policy;
mod recorder;
mod rehash;
mod restart;
mod throttle;
mod token;

pub use authenticate::{Auth, Credentials, Login, StartError};
pub use error::Error;
pub use new_password::{MIN_PASSWORD_BYTES, PasswordFault, check_new_password, random_password};
pub use policy::Policy;
pub use rehash::Rehash;
pub use throttle::{
    Admission, Attempt, ClientNetwork, FailedLoginLimits, MAX_ENTRIES as MAX_COUNTERS,
    QueuedAttempt,
};
pub use token::{Token, TokenDigest};
