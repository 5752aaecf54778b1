//! The operator's settings for logins, and their defaults.

use std::time::Duration;

use super::FailedLoginLimits;
use crate::hashing::Cost;

/// The operator's settings for logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The lifetime of a token; `None` means that tokens do not expire.
    pub token_ttl: Option<Duration>,
    /// How many tokens of one user are valid at once.
    pub max_tokens_per_user: u32,
    /// The cost of new hashes, and the least work of any login.
    pub bcrypt_cost: Cost,
    /// The limits on failed logins.
    pub failed_logins: FailedLoginLimits,
    /// How long events are kept; `None` means that no events are recorded.
    pub keep_events: Option<Duration>,
}

impl Policy {
    /// The default settings.
    pub const DEFAULT: Policy = Policy {
        token_ttl: Some(Duration::from_secs(2 * 60 * 60)),
        max_tokens_per_user: 32,
        bcrypt_cost: Cost::DEFAULT,
        failed_logins: FailedLoginLimits::DEFAULT,
        keep_events: Some(Duration::from_secs(90 * 24 * 60 * 60)),
    };
}
