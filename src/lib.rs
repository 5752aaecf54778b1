//! The login call of the Thanos market place, on one SQLite file, in one binary.
//!
//! # The path of one login
//!
//! ```text
//! client --> server (tiny_http loop) --> endpoint::user_login
//!                                          |  auth::Auth::authenticate
//!                 store (find the account) <+
//!            hashing (verify the password) <+
//!                   store (keep the token) <+
//! client <-- http::Reply, as endpoint::outcome says
//! ```
//!
//! # The rooms
//!
//! | room | what it does | what it never does |
//! |---|---|---|
//! | [`cli`] | one file per command: flags in, exit code out | decide anything about a login |
//! | [`Server`] | puts the parts together, in a process of its own or inside a test | touch signals, the logger or limits |
//! | [`server`] | receives requests, finds their route, logs them | speak SQL |
//! | [`endpoint`] | one file per path: parse, call `auth`, shape the answer; `outcome` maps every error | hash, write |
//! | [`http`] | media type, JSON body, reply | know logins |
//! | [`auth`] | the rules: credentials, statuses, tokens | know HTTP or SQL, read a clock |
//! | [`hashing`] | bcrypt on one thread per core, from one queue | know users |
//! | [`store`] | SQLite: opening, migrating, reading, and one writer with group commit | see a plain password, read a clock |
//! | [`seed`], [`fixture`] | accounts from a JSON file: checked whole, hashed, then written in one transaction | write half of it |
//! | [`account`] | the words that all of these share | decide |
//!
//! Calls go one way: cli → Server → server → endpoint → (http, auth) → (hashing, store).
//!
//! # What always holds
//!
//! - A token that was answered is on disk: the writer answers after its commit.
//! - Unknown user and wrong password differ in nothing: same statements, same hashing, same answer.
//! - Only the SHA-256 of a token is stored, except for one that a fixture pinned.
//! - A login that waits for its hash or the disk holds up no request that does not.
//! - Passwords and tokens have no `Debug`, and are wiped after use.

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod account;
pub mod auth;
pub mod cli;
pub mod endpoint;
pub mod fixture;
pub mod gate;
pub mod hashing;
pub mod http;
pub mod metrics;
pub mod seed;
pub mod server;
pub mod store;

mod assembly;
mod housekeeping;
mod scratch;

pub use assembly::{Certificate, Config, Database, MetricsAccess, Server, StartError};

/// The Rust example of README.md, as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
