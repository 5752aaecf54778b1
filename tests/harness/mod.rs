//! Starts the real binary for one test: its directory, its ready lines, its log, and a client that controls every byte.
//!
//! Every wait is bounded: an event that does not happen within [`DEADLINE`] fails the test. No test asserts a duration.

pub mod accounts;
mod client;
mod database;
pub mod deployed;
pub mod description;
pub mod machine;
pub mod page;
mod place;
mod port;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod process;
pub mod programs;
mod sent_request;
pub mod server;

use std::time::{Duration, Instant};

pub use client::{Answer, Connection, JSON, LOGIN, login_body, request};
pub use database::{Lock, Sql, only_in_a_file};
pub use place::Place;
pub use port::HeldPort;
pub use process::{Finished, Launch};
pub use server::Server;

/// Far longer than any awaited event takes.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Polls until a condition holds, for events that cannot be waited for otherwise. `what` describes it in the failure.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "timed out waiting until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
