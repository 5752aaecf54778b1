//! The rules of logging in: who is let in, what a token is, which statuses count.
//!
//! It knows nothing of HTTP and SQL and reads no clock: `now` is passed in.

mod authenticate;
mod error;
mod token;

pub use authenticate::{Auth, Credentials, Login, Policy};
pub use error::Error;
pub use token::{Token, TokenDigest};
