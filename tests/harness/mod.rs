//! The real binary, started for one test: its directory, its ready lines, its log, and a client that counts bytes.
//!
//! Waiting always has an end: what does not happen within [`DEADLINE`] fails the test. No test asserts a time.

pub mod accounts;
mod asked;
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
pub mod server;

use std::time::{Duration, Instant};

pub use client::{Answer, Connection, JSON, LOGIN, login_body, request};
pub use database::{Lock, Sql, only_in_a_file};
pub use place::Place;
pub use port::HeldPort;
pub use process::{Finished, Launch};
pub use server::Server;

/// Far longer than anything takes.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits for what gives no sign of its own.
#[track_caller]
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "it never came to be that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
