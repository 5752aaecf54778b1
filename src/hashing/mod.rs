//! bcrypt: verifying a password against a hash, and hashing a new one.
//!
//! The only module that knows bcrypt. Jobs wait in one queue, in which groups of callers take turns. One thread per
//! core runs them, several at once in its lanes, so a caller blocks but never hashes. Knows no users, networks or
//! statuses: `auth` decides who may log in, and which callers form a group.
//!
//! From the caller inwards: `permits` (admission), `engine` (start a job, compare digests), `pending` (wait for a job),
//! `queue` (which job is next, and on which core), `turns` (the order of jobs), `worker` (the loop of a thread),
//! `lanes` (the running hashes of a thread), `expansion` (Blowfish).

mod calibrate;
mod engine;
mod error;
mod expansion;
mod foreign;
mod format;
mod job;
mod lanes;
mod machine;
mod password;
mod pending;
mod permits;
mod pi;
mod queue;
mod self_test;
#[cfg(test)]
mod tests;
mod turns;
mod worker;

pub use calibrate::{Calibration, calibrate};
pub use engine::{Engine, EngineConfig, Load};
pub use error::Error;
pub use expansion::MAX_LANES;
pub use format::{Cost, PasswordHash};
pub use job::{Group, Member, Precedence};
pub use lanes::{Digest, HashInput, Lanes};
pub use machine::{default_threads, fastest_lanes};
pub use password::{MAX_PASSWORD_BYTES, Password};
pub use pending::Pending;
pub use permits::{Permit, Permits};
