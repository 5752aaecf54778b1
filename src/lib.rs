//! The login call of the Thanos market place, on one SQLite file or a PostgreSQL database that several servers share, in one
//! binary.
//!
//! # The path of one login
//!
//! ```text
//! client --TCP, TLS--> gate --private Unix socket--> server (tiny_http loop) --> endpoint::user_login
//!                                                          auth (admit the try) <+
//!                                                     store (find the account)  <+
//!                                               hashing (verify the password)   <+
//!                                                     store (keep the token)    <+
//! client <------------ gate <----------------------- http::Reply, as endpoint::outcome says
//! ```
//!
//! tiny_http believes every stated length and waits for ever, so it only meets requests that the gate has read whole,
//! checked and written again. Its accepting thread ends for good when the system gives it no thread or descriptor, and its
//! socket's name may be swept: `server` then replaces it.
//!
//! # The modules
//!
//! | module | what it does | what it never does |
//! |---|---|---|
//! | [`cli`] | one file per command: flags in, exit code out | decide anything about a login |
//! | [`Server`] | puts the parts together, in a process of its own or inside a test | touch signals, the logger or limits |
//! | [`gate`] | the public sockets, TLS, HTTP/1.1 framing, limits in bytes and time | know paths or logins |
//! | [`server`] | receives requests, finds their route, counts and logs them | speak SQL |
//! | [`endpoint`] | one file per path: parse, call `auth`, shape the answer; `outcome` maps every error | hash, write |
//! | [`http`] | media type, JSON body, the client's address, reply | know logins |
//! | [`auth`] | the rules: throttle, credentials, statuses, tokens | know HTTP or SQL, read a clock |
//! | [`hashing`] | bcrypt: several passwords at once on each core, from one queue | know users |
//! | [`store`] | all SQL, once; `store::engine` has what differs: `sqlite` (files, migrations, one writer with group commit), `postgres` (URL, TLS, a pool, one transaction a change) | see a plain password, read this machine's date |
//! | [`accounts`] | accounts in files: read, checked, hashed, then written so that all count at once; exported | write half of it |
//! | [`metrics`] | figures for Prometheus | know who logs in |
//! | [`stub`] | around the endpoints of a demo: answers forced, delayed and spoiled, a journal, a clock to move, a page | exist in a real server |
//! | [`audit`] | what an operator should look into | change anything |
//! | [`clock`] | the time: a date that may step, and an uptime that never does | decide |
//! | `housekeeping` | every few seconds: removes what is too old, logs changes by commands | hold up a login |
//! | `files` | files that get their name only once they are whole and on disk | know what is in them |
//! | [`account`] | the words that all of these share | decide |
//!
//! Calls go one way: cli → Server → (gate, server) → endpoint → (http, auth) → (hashing, store) → files. The gate knows no
//! other module: what it says about a request goes into headers that no client can set, and `server` reads them.
//!
//! # Threads
//!
//! For each gate one that accepts, one for each client connection, one while a certificate is renewed, and behind it two
//! that receive and one that looks whether they can be reached (server). One worker for each request that waits for hashing,
//! the disk or a client that reads a long answer, up to three of low priority for each list, one that hashes for each core,
//! one that writes, one that rehashes, one that records logins which got no token, one for what `housekeeping` does, one that
//! writes to each standard stream (cli). With PostgreSQL, one while connections to it are made, and one
//! for each name of a server that is looked up; none that writes, but one that gives back tries (auth).
//!
//! # What always holds
//!
//! - Every wait for a client has a deadline, and everything a client can make grow has a bound.
//! - A token that was answered is committed, and on disk: an answer comes after its commit.
//! - Unknown user and wrong password differ in nothing: same statements, same hashing, same answer, and the same
//!   statements that count and record it. A name of nobody is neither kept nor logged.
//! - Only the SHA-256 of a token is stored, except for one that a fixture pinned.
//! - Durations are measured by a clock that nobody can set, and order is a number that counts up; dates are only stored,
//!   compared with stored ones, and shown. Only failed logins that servers share are timed by their database's date.
//! - A login that waits for its hash or the disk, a list, and a client that does not read hold up no quick request.
//! - Passwords and tokens have no `Debug`, and are wiped when dropped. So is every buffer of the gate, `server`, `http` and
//!   `endpoint` that had a request's body, a token or an answer with one in it. Not wiped are the copies that libraries
//!   make (tiny_http of bodies and fields, rustls of what comes and goes under TLS, serde_json of strings with escapes).

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used))]
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod account;
pub mod accounts;
pub mod audit;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod duration;
pub mod endpoint;
pub mod gate;
pub mod hashing;
pub mod http;
pub mod metrics;
pub mod server;
pub mod store;
pub mod stub;

mod assembly;
mod config;
mod fields;
mod files;
mod housekeeping;
mod low_priority;
mod nearest;
mod periodic;
mod random;
mod scratch;
mod text;
mod threads;

pub use assembly::{Server, StartError};
pub use config::{Certificate, Config, Database, MetricsAccess};

/// The Rust example of docs/stub.md, as a doc test.
#[cfg(doctest)]
#[doc = include_str!("../docs/stub.md")]
struct StubPage;
