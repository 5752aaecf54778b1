//! The endpoints, one file per path: parse the input, call `auth`, format the output.
//!
//! A handler makes its checks in the order of the published API page, and returns a `Result`. The statuses and texts of all
//! errors are in `outcome` only.

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
use crate::store::{self, DatabaseMetrics, Store};

pub use lists::Lists;
pub use long_answers::LongAnswers;
pub use outcome::{Error, reply};
pub use shared_probe::SharedProbe;

/// The components that handlers use.
pub struct Services {
    /// The rules for logins and tokens.
    pub auth: Auth,
    /// The database. Handlers use it only for probes and metrics; everything else goes through `auth`.
    pub store: Arc<Store>,
    /// The hashing engine. Handlers use it only for probes and metrics; everything else goes through `auth`.
    pub engine: Arc<Engine>,
    /// Limits the number of logins that are being answered.
    pub permits: Permits,
    /// Limits the number of lists that are being read or sent.
    pub lists: Lists,
    /// Limits the memory of long answers.
    pub long_answers: LongAnswers,
    /// Checks whether the database can be read and written.
    pub is_writable: SharedProbe<(), store::Error>,
    /// Reads the metrics of the database.
    pub database_metrics: SharedProbe<DatabaseMetrics, store::Error>,
    /// Counts requests.
    pub metrics: Metrics,
    /// The current time.
    pub clock: Clock,
    /// The proxies whose `X-Forwarded-For` is trusted.
    pub trusted_proxies: TrustedProxies,
    /// Whether new connections of the gate reach the server.
    pub is_reachable: Arc<AtomicBool>,
}

/// Formats a time as the published service does: with microseconds, unless they are zero.
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
    fn times_have_six_decimals_or_none() {
        for (text, expected) in [
            ("2017-10-23T18:20:43.336669Z", "2017-10-23T18:20:43.336669Z"),
            ("2017-10-23T18:20:43.5Z", "2017-10-23T18:20:43.500000Z"),
            ("2017-10-23T20:20:43+02:00", "2017-10-23T18:20:43Z"),
        ] {
            assert_eq!(iso8601(text.parse().unwrap()), expected);
        }
    }
}
