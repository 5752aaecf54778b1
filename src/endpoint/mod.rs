//! One file per path: parse the input, call `auth`, shape the output.
//!
//! A handler reads like the published page, in the order of its checks, and returns a `Result`; `outcome` is the one place
//! that knows the statuses and texts of everything that is not a success.

pub mod authorization;
pub mod health;
mod lists;
mod long_answers;
pub mod metrics;
pub mod openapi;
pub mod organization;
mod outcome;
mod shared_probe;
pub mod token_verify;
pub mod user_login;
pub mod user_logout;
pub mod users;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use crate::auth::Auth;
use crate::clock::Clock;
use crate::hashing::{Engine, Permits};
use crate::http::TrustedProxies;
use crate::metrics::Metrics;
use crate::store::{self, Figures, Store};

pub use lists::Lists;
pub use long_answers::LongAnswers;
pub use outcome::{Error, reply};
pub use shared_probe::SharedProbe;

/// What handlers work with.
pub struct Services {
    /// Decides logins and what tokens open.
    pub auth: Auth,
    /// For the probes, which ask about the parts themselves.
    pub store: Arc<Store>,
    /// Likewise.
    pub engine: Arc<Engine>,
    /// The places of logins.
    pub permits: Permits,
    /// The lists in work.
    pub lists: Lists,
    /// The long answers that are sent.
    pub long_answers: LongAnswers,
    /// Whether the database can be read and written.
    pub is_writable: SharedProbe<(), store::Error>,
    /// What the metrics say of the database.
    pub database_metrics: SharedProbe<Figures, store::Error>,
    /// Counts what is answered.
    pub metrics: Metrics,
    /// The time of a request.
    pub clock: Clock,
    /// Whose word about a client's address counts.
    pub trusted_proxies: TrustedProxies,
    /// Whether new connections of the gate reach the server.
    pub is_reachable: Arc<AtomicBool>,
}

/// A moment as the published service writes it: with microseconds, unless there are none.
fn iso8601(moment: Timestamp) -> String {
    if moment.subsec_microsecond() == 0 && moment.subsec_nanosecond() == 0 {
        format!("{moment:.0}")
    } else {
        format!("{moment:.6}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_microseconds_or_none() {
        for (text, expected) in [
            ("2017-10-23T18:20:43.336669Z", "2017-10-23T18:20:43.336669Z"),
            ("2017-10-23T18:20:43.5Z", "2017-10-23T18:20:43.500000Z"),
            ("2017-10-23T20:20:43+02:00", "2017-10-23T18:20:43Z"),
        ] {
            assert_eq!(iso8601(text.parse().unwrap()), expected);
        }
    }
}
