//! One file per path: parse the input, call `auth`, shape the output.
//!
//! A handler reads like the published page, in the order of its checks, and returns a `Result`; `outcome` is the one place
//! that knows the statuses and texts of everything that is not a success.

mod outcome;
pub mod user_login;

use std::sync::Arc;

use jiff::Timestamp;

use crate::auth::Auth;
use crate::http::TrustedProxies;

pub use outcome::{Error, defect};

/// Tells the time; a stub can move it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// What handlers work with.
pub struct Services {
    /// Decides logins.
    pub auth: Auth,
    /// The time of a request.
    pub clock: Clock,
    /// Whose word about a client's address counts.
    pub trusted_proxies: TrustedProxies,
}
