//! The rate of token checks, as a multiple of that of a 404 on the same server: `cargo bench --bench token`, which needs
//! `wrk`.
//!
//! Measured with 5 users, and with 100,000 users and 1,000,000 valid tokens. The checked tokens are drawn from all of them,
//! so that pages of the database have to be looked up, and both kinds of requests send the same header.
#![expect(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;

use common::database::{fill, token};
use common::process::{NOT_FOUND, Process};
use common::rate::print_ratio;
use common::{is_wanted, machine};

const VERIFY: &str = "/api/organizations/token-verify/";
const ORGANIZATION: u32 = 1;
const ROUNDS: usize = 4;
const CLIENTS: usize = 16;
/// The number of tokens that the load generator knows.
const KNOWN_TOKENS: u32 = 10_000;

fn main() {
    machine::print();
    for (users, tokens) in [(5, 50), (100_000, 1_000_000)] {
        let label = format!("token checks among {tokens} tokens of {users} users, relative to 404");
        if is_wanted(&label) {
            measure(&label, users, tokens);
        }
    }
}

fn measure(label: &str, users: u32, tokens: u32) {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("bench.db");
    fill(&database, ORGANIZATION, users, tokens);
    let script = directory.path().join("tokens.lua");
    fs::write(&script, lua(tokens)).unwrap();
    let database = database.to_str().unwrap();
    let server = Process::serve(&["--log-level", "warn", "--db", database]);
    let load = |path| server.load(path, CLIENTS, Some(&script));
    print_ratio(label, None, ROUNDS, || load(NOT_FOUND), || load(VERIFY));
    println!("  {:.1} MiB resident", server.resident_kib() / 1024.0);
}

/// A script for `wrk` that builds all requests once, so that choosing one costs almost nothing.
fn lua(tokens: u32) -> String {
    let known = tokens.min(KNOWN_TOKENS);
    let tokens: String = (0..known)
        .map(|number| format!("'{}',\n", token(ORGANIZATION, number * (tokens / known))))
        .collect();
    format!(
        "local tokens, requests, at = {{{tokens}}}, {{}}, 0\n\
         function init(args)\n\
         \x20 for number, token in ipairs(tokens) do\n\
         \x20   requests[number] = wrk.format('GET', nil, {{ Host = 'localhost', Authorization = 'Token ' .. token }})\n\
         \x20 end\n\
         end\n\
         function request()\n\
         \x20 at = (at * 21 + 7919) % #requests\n\
         \x20 return requests[at + 1]\n\
         end\n"
    )
}
