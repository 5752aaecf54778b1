//! What an operator decides about logins, and what holds otherwise.

use std::time::Duration;

use super::Limits;
use crate::hashing::Cost;

/// What the operator decided about logins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long a token lives; `None` is for ever.
    pub token_ttl: Option<Duration>,
    /// How many tokens of a user live at once.
    pub max_tokens_per_user: u32,
    /// The cost of new hashes, and of the decoy while there are no users.
    pub bcrypt_cost: Cost,
    /// How many failed logins are too many.
    pub failed_logins: Limits,
    /// How long events are kept; `None` where none are.
    pub keep_events: Option<Duration>,
}

impl Policy {
    /// What holds unless the operator says otherwise.
    pub const DEFAULT: Policy = Policy {
        token_ttl: Some(Duration::from_secs(2 * 60 * 60)),
        max_tokens_per_user: 32,
        bcrypt_cost: Cost::DEFAULT,
        failed_logins: Limits::DEFAULT,
        keep_events: Some(Duration::from_secs(90 * 24 * 60 * 60)),
    };
}
