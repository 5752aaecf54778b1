//! The login call of the Thanos market place, on one SQLite file or on a PostgreSQL database that several servers share, in
//! one binary.
//!
//! # The path of one login
//!
//! ```text
//! client --TCP, TLS--> gate --private Unix socket--> server (tiny_http loop) --> endpoint::user_login
//!                                                        auth (admit the login) <+
//!                                                     store (find the account)  <+
//!                                               hashing (verify the password)   <+
//!                                                     store (store the token)   <+
//! client <------------ gate <----------------------- http::Reply, as endpoint::outcome says
//! ```
//!
//! tiny_http trusts every stated length and waits without limit, so it receives only requests that the gate has read
//! completely, checked and written again. Its accepting thread ends for good when the system has no thread or descriptor
//! left, and the file of its socket may be deleted: in both cases `server` replaces the tiny_http server.
//!
//! # The modules
//!
//! | module | what it does | what it never does |
//! |---|---|---|
//! | [`cli`] | the commands, one file each: flags in, exit code out | decide anything about a login |
//! | [`Server`] | assembles the parts, in a process of its own or inside a test | change signal handlers, the logger or limits |
//! | [`gate`] | the public sockets, TLS, HTTP/1.1 framing, limits on bytes and time | know paths or logins |
//! | [`server`] | receives requests, routes, counts and logs them | use SQL |
//! | [`endpoint`] | one file per path: parses, calls `auth`, builds the answer; `outcome` maps every error to its answer | hash, write |
//! | [`http`] | media types, JSON bodies, the client's address, replies | know logins |
//! | [`auth`] | the rules: limits on failed logins, credentials, statuses, tokens | know HTTP or SQL, read a clock |
//! | [`hashing`] | bcrypt of several passwords at once on each core, from one queue | know users |
//! | [`store`] | all SQL; `store::engine` has what differs between databases: `sqlite` (files, migrations, one writer with group commit), `postgres` (URL, TLS, a pool, one transaction per change) | see a password in clear, read this machine's date |
//! | [`accounts`] | accounts in files: reads, checks and hashes them, writes them in one change, exports them | write a part of a file |
//! | [`metrics`] | metrics for Prometheus | know who logs in |
//! | [`stub`] | wraps the endpoints of a demo: forced answers, delays, injected faults, a journal, a clock that can be moved, a page | exist in a real server |
//! | [`audit`] | the problems that `check` reports | change anything |
//! | [`clock`] | the time: a date that may be set, and an uptime that never jumps | decide anything |
//! | `housekeeping` | every few seconds: removes what is too old, logs changes by commands | delay a login |
//! | `files` | files that get their name only when they are complete and on disk | know their contents |
//! | [`account`] | the types of organizations and users that all modules share | decide anything |
//!
//! Calls of a server go one way: cli → Server → (gate, server) → endpoint → auth → (store, hashing) → helpers. `endpoint`
//! also calls `http`, `metrics`, and for tokens, lists and permits `store` and `hashing` directly. The gate uses only four
//! helpers (`files`, `low_priority`, `random`, `text`): it describes a request in headers that no client can set, and
//! `server` reads them. In a demo, `stub` is between `server` and `endpoint`, and calls what `endpoint` calls, and
//! `accounts`. Commands call `accounts`, `audit`, `auth`, `hashing` and `store` without a server. `accounts` calls `store`
//! to import, and `store` knows the records of `accounts`.
//!
//! Where some rules are: the spelling of usernames in [`account`], what a status allows in [`auth`], the limits on failed
//! logins in `auth::throttle`, the limit on a user's tokens in SQL in `store/tokens.rs`, and the removal of rows that a
//! killed import has left behind in `store/import/unfinished.rs`.
//!
//! # Threads
//!
//! - `gate`: one that accepts connections, one for each connection, and one while a certificate is renewed.
//! - `server`: two that receive requests, one that tests whether they can be reached, and a worker for each request that
//!   waits for hashing, for the disk, or for a client that reads a long answer; up to three of low priority for each list;
//!   five of tiny_http's own.
//! - `hashing`: one for each core.
//! - `store`: with SQLite one that writes; with PostgreSQL one while it connects, and one for each host name that it looks
//!   up.
//! - `auth`: one that replaces hashes of another cost, one that records logins that got no token, and with PostgreSQL one
//!   that subtracts logins that were counted and did not fail.
//! - `housekeeping`: one. `cli`: one that writes to each standard stream, and with `--exit-with-parent` one that waits for
//!   the end of the parent process, and one for the end of standard input if that is a pipe.
//!
//! # What always holds
//!
//! - Every wait for a client has a deadline, and everything that a client can make grow has a bound.
//! - A token that was returned is committed and on disk: the answer is sent after the commit.
//! - An unknown user and a wrong password are treated alike: the same statements, the same hashing, the same answer, and the
//!   same statements that count and record the failure. An unknown username is neither stored nor logged.
//! - Only the SHA-256 of a token is stored, except for a token that a fixture pinned.
//! - Durations are measured by a clock that cannot be set, and the order of tokens and events is kept by counters;
//!   dates are only stored, compared with stored dates, and shown. Only failed logins that servers share are timed by
//!   their database's clock.
//! - A login that waits for its hash or the disk, a list, and a client that does not read delay no quick request.
//! - Passwords and tokens have no `Debug`, and are wiped when dropped. So is every buffer of the gate, `server`, `http` and
//!   `endpoint` that contained a request's body, a token, or an answer with a token. The copies that libraries make are not
//!   wiped (tiny_http of bodies and fields, rustls of what is sent and received under TLS, serde_json of strings with
//!   escapes).

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
