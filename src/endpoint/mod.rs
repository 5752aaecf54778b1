//! One file per path: parse the input, call `auth`, shape the output.
//!
//! A handler reads like the published page, in the order of its checks, and returns a `Result`; `outcome` is the one place
//! that knows the statuses and texts of everything that is not a success.

mod outcome;
pub mod user_login;

use jiff::Timestamp;

use crate::auth::Auth;

pub use outcome::{Error, defect};

/// What handlers work with.
pub struct Services {
    /// Decides logins.
    pub auth: Auth,
    /// The time, which a stub can move.
    pub clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// The longest body that is read, in bytes.
    pub max_body: usize,
}
