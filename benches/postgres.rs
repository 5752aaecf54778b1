//! PostgreSQL on this machine, over its socket: `cargo bench --features postgres --bench postgres`.
//!
//! Logins compared with those of a server on an SQLite file, and token checks compared with the `postgres` crate alone.
//! PostgreSQL syncs its commits to disk, as SQLite does.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;
#[allow(dead_code)]
#[path = "../tests/harness/postgres.rs"]
mod postgres_server;

use std::array;
use std::net::SocketAddr;
use std::time::Instant;

use common::client::{CALLS, Client, get_with_token, login};
use common::rate::{Rate, median, print_ratio, rate_of_threads};
use common::server::{PASSWORD, address, seed, serve, serve_file, username};
use common::{is_wanted, machine};
use postgres::{NoTls, Statement};
use postgres_server::{PostgresServer, psql};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use thanos_login::hashing::Cost;
use thanos_login::store::{Location, OpenedBy, Store, WhenMissing};
use thanos_login::{Database, Server};

/// As many clients as a server has connections to its database.
const CLIENTS: usize = 16;
const TOKENS: usize = 100_000;

/// The query of `Store::holder`.
const HOLDER: &str =
    "SELECT users.id, organizations.id, users.uuid, organizations.uuid, organizations.org_type,
           coalesce(organizations.retailer_uuid, organizations.supplier_uuid),
           users.status, organizations.status, tokens.expires_at
    FROM tokens
    JOIN users ON users.id = tokens.user_id
    JOIN organizations ON organizations.id = users.org_id
    WHERE tokens.digest = $1";

fn main() {
    machine::print();
    // A test run measures nothing, so it needs no PostgreSQL.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let settings = ["fsync=on", "full_page_writes=on", "shared_buffers=256MB"];
    let postgres = PostgresServer::start_in(directory(), &settings);
    logins(&postgres);
    token_checks(&postgres);
}

fn logins(postgres: &PostgresServer) {
    let at_once =
        format!("logins at cost 12 with {CLIENTS} clients, relative to those on an SQLite file");
    let alone = "a lone login at cost 12, beside one on an SQLite file";
    if !is_wanted(&at_once) && !is_wanted(alone) {
        return;
    }
    let directory = directory();
    let file = serve_file(directory.path(), Cost::DEFAULT);
    let server = serve_database(&postgres.create("logins"), Cost::DEFAULT);
    let mut of_file = connect_all(address(&file.url()));
    let mut of_server = connect_all(address(&server.url()));
    if is_wanted(&at_once) {
        let (file, server) = (&mut of_file, &mut of_server);
        print_ratio(&at_once, Some(0.95), 5, || log_in(file), || log_in(server));
    }
    if is_wanted(alone) {
        print_difference(alone, &mut of_file[0], &mut of_server[0]);
    }
}

fn token_checks(postgres: &PostgresServer) {
    let label =
        format!("token checks from {CLIENTS} threads, relative to the postgres crate alone");
    let http = format!(
        "token checks over HTTP with {CLIENTS} clients, relative to the postgres crate alone"
    );
    if !is_wanted(&label) && !is_wanted(&http) {
        return;
    }
    let url = postgres.create("tokens");
    let server = serve_database(&url, Cost::MIN);
    add_tokens(&url);
    let mut sessions: Vec<_> = (0..CLIENTS).map(|_| Session::open(&url)).collect();
    if is_wanted(&label) {
        let (store, _) = open(&url, OpenedBy::Server);
        print_ratio(
            &label,
            Some(0.8),
            9,
            || check_alone(&mut sessions),
            || check(&store),
        );
    }
    if is_wanted(&http) {
        let mut clients = connect_all(address(&server.url()));
        print_ratio(
            &http,
            None,
            9,
            || check_alone(&mut sessions),
            || check_over_http(&mut clients),
        );
    }
}

/// A directory beside the built program: the system's temporary directory may be in memory, where a sync costs nothing.
fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn open(url: &str, by: OpenedBy) -> (Store, Location) {
    let location = Location::new(url.into(), None).unwrap();
    let progress = Box::new(|_, _| {});
    let (store, _) = Store::open_at(by, &location, WhenMissing::Create, progress).unwrap();
    (store, location)
}

/// Starts a server on a database with the same accounts as in the file.
fn serve_database(url: &str, cost: Cost) -> Server {
    let (store, location) = open(url, OpenedBy::Command);
    seed(&store, cost);
    serve(Database::from(location), cost)
}

fn connect_all(address: SocketAddr) -> Vec<Client> {
    (0..CLIENTS).map(|_| Client::connect(address)).collect()
}

/// Logs in; each client has its own user.
fn log_in(clients: &mut [Client]) -> Rate {
    let requests: [_; CLIENTS] = array::from_fn(|number| login(&username(number), PASSWORD));
    rate_of_threads(clients, 8 * CLIENTS, |client, piece| {
        assert_eq!(client.exchange(&requests[piece % CLIENTS]), 200);
    })
}

/// Alternates between both, so that other work of the machine affects both.
fn print_difference(label: &str, file: &mut Client, server: &mut Client) {
    let request = login(&username(0), PASSWORD);
    let time = |client: &mut Client| {
        let started = Instant::now();
        assert_eq!(client.exchange(&request), 200);
        started.elapsed().as_secs_f64() * 1000.0
    };
    let times: Vec<_> = (0..40).map(|_| (time(file), time(server))).collect();
    println!("{label}");
    println!(
        "  {:+.1} ms (goal at most +5), {:.1} ms against {:.1} ms: medians of {}",
        median(times.iter().map(|(file, server)| server - file)),
        median(times.iter().map(|(_, server)| *server)),
        median(times.iter().map(|(file, _)| *file)),
        times.len()
    );
}

fn token(number: usize) -> String {
    format!("{number:040x}")
}

/// A token from anywhere in the table, so that its pages have to be looked up.
fn scattered(piece: usize) -> String {
    token(piece * 7919 % TOKENS)
}

fn add_tokens(url: &str) {
    psql(
        url,
        &format!(
            "SET search_path = thanos_login;
             INSERT INTO tokens (digest, user_id, issued_at, expires_at)
             SELECT sha256(convert_to(lpad(to_hex(number), 40, '0'), 'UTF8')),
                    (SELECT min(id) FROM users) + number % 32, 0, 4102444800000000
             FROM generate_series(0, {TOKENS} - 1) AS number;
             ANALYZE;
             CHECKPOINT"
        ),
    );
}

/// A connection of the `postgres` crate.
struct Session {
    client: postgres::Client,
    statement: Statement,
}

impl Session {
    fn open(url: &str) -> Self {
        let mut client = postgres::Client::connect(url, NoTls).unwrap();
        client
            .batch_execute("SET search_path = thanos_login")
            .unwrap();
        let statement = client.prepare(HOLDER).unwrap();
        Self { client, statement }
    }

    fn holds(&mut self, token: &str) -> bool {
        let digest = Sha256::digest(token).to_vec();
        let row = self.client.query_opt(&self.statement, &[&digest]).unwrap();
        row.is_some_and(|row| {
            let texts: [Option<String>; 6] = array::from_fn(|column| row.get(column + 2));
            let [user, organization]: [i64; 2] = array::from_fn(|column| row.get(column));
            let expires_at: Option<i64> = row.get(8);
            texts.iter().flatten().count() == 6 && user + organization > 0 && expires_at.is_some()
        })
    }
}

fn check_alone(sessions: &mut [Session]) -> Rate {
    rate_of_threads(sessions, 20_000, |session, piece| {
        assert!(session.holds(&scattered(piece)));
    })
}

fn check(store: &Store) -> Rate {
    rate_of_threads(&mut [(); CLIENTS], 20_000, |(), piece| {
        let digest = Sha256::digest(scattered(piece)).into();
        assert!(store.holder(&digest).unwrap().is_some());
    })
}

fn check_over_http(clients: &mut [Client]) -> Rate {
    let path = format!("{CALLS}/token-verify/");
    rate_of_threads(clients, 20_000, |client, piece| {
        let request = get_with_token(&path, &scattered(piece));
        assert_eq!(client.exchange(&request), 200);
    })
}
