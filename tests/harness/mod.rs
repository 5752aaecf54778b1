//! The real binary, started for one test: its directory, its ready lines, its log, and a client that counts bytes.
//!
//! Waiting always has an end: what does not happen within [`DEADLINE`] fails the test. No test asserts a time.

pub mod accounts;
mod asked;
mod client;
pub mod description;
pub mod machine;
mod place;
pub mod process;
pub mod programs;
pub mod server;

use std::time::{Duration, Instant};

pub use client::{Answer, Connection, JSON, LOGIN, login_body, request};
pub use place::Place;
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

/// For whoever cannot take port 0 and say what it became.
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
