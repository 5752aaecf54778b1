//! bcrypt: verifying a password against a hash, and hashing a new one.
//!
//! The only module that knows bcrypt. Work waits in one queue, in which groups of callers take turns, and is done by one
//! thread per core, several passwords at once in the lanes of each; so a caller blocks but never hashes. It knows no users,
//! networks and statuses: who may log in, and who is a group, is decided in `auth`.
//!
//! From the caller inwards: `permits` (who may come in), `engine` (begin, compare) and `pending` (wait), `queue` (what is next, on
//! which core), `turns` (in what order), `worker` (a thread's life), `lanes` (what a thread has in work), `expansion` (the
//! loop).

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
pub use lanes::{Digest, Lanes, Order};
pub use machine::{default_threads, fastest_lanes};
pub use password::{MAX_PASSWORD_BYTES, Password};
pub use pending::Pending;
pub use permits::{Permit, Permits};
