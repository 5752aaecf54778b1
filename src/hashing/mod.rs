//! bcrypt: verifying a password against a hash, and hashing a new one.
//!
//! The only module that knows bcrypt. Work waits in one queue, first come, first served, and is done by one thread per
//! core, so a caller blocks but never hashes. It knows no users and no statuses: who may log in is decided in `auth`.

mod engine;
mod error;
mod expansion;
mod format;
mod lanes;
mod password;
mod permits;
mod pi;
#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineConfig, Precedence};
pub use error::Error;
pub use expansion::MAX_LANES;
pub use format::{Cost, PasswordHash};
pub use lanes::{Digest, Lanes, Order};
pub use password::{MAX_PASSWORD_BYTES, Password};
pub use permits::{Permit, Permits};
