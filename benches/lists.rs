//! What lists cost others: token checks beside lists of 20,000 users, as a multiple of token checks alone:
//! `cargo bench --bench lists`.
//!
//! The clients of the lists ask again as soon as they are answered, be it with 503. Load and server share one process.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use common::{Client, Rate, print_ratio, rate_of_threads};
use rusqlite::{Connection, named_params};
use sha2::{Digest, Sha256};
use thanos_login::Database;
use thanos_login::hashing::Cost;

const LISTED_USERS: u32 = 20_000;
const CHECKERS: usize = 16;
const CHECKS: usize = 20_000;
const ROUNDS: usize = 7;
const GOAL: f64 = 0.8;

/// Any hash will do: nobody logs in.
const HASH: &str = "$2b$10$KG/joNZtprVqnb03qEXKYe2vwMk5Oqq7gD6vLU8yhLRR9aeZH0UCK";

/// The organization whose users are listed, and the one whose tokens are checked.
const LISTED: u32 = 1;
const CHECKED: u32 = 2;

fn main() {
    if !common::is_wanted("lists") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("bench.db");
    // Makes the file and its schema.
    drop(common::serve(Database::File(database.clone()), Cost::MIN));
    fill(&database);
    let server = common::serve(Database::File(database), Cost::MIN);
    let address = common::address(&server.url());
    for clients in [8, 40] {
        measure(address, clients);
    }
}

fn measure(address: SocketAddr, clients: usize) {
    let checkers = (0..CHECKERS).map(|number| {
        let check = get("token-verify", &token(CHECKED, number));
        (Client::connect(address), check)
    });
    let checkers = RefCell::new(checkers.collect::<Vec<_>>());
    let check = || {
        rate_of_threads(&mut checkers.borrow_mut(), CHECKS, |(client, check), _| {
            assert_eq!(client.exchange(check), 200);
        })
    };
    let (lists, refusals) = (AtomicUsize::new(0), AtomicUsize::new(0));
    print_ratio(
        &format!("token checks beside {clients} clients that list {LISTED_USERS} users"),
        Some(GOAL),
        ROUNDS,
        check,
        || beside_lists(address, clients, [&lists, &refusals], check),
    );
    println!("  {lists:?} lists meanwhile, {refusals:?} refusals");
}

fn beside_lists(
    address: SocketAddr,
    clients: usize,
    [lists, refusals]: [&AtomicUsize; 2],
    check: impl Fn() -> Rate,
) -> Rate {
    let is_over = &AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..clients {
            scope.spawn(move || {
                let request = get("users/all", &token(LISTED, number));
                let mut stream = TcpStream::connect(address).unwrap();
                while !is_over.load(Ordering::Relaxed) {
                    stream.write_all(&request).unwrap();
                    let counter = match read_answer(&mut stream) {
                        200 => lists,
                        503 => refusals,
                        status => panic!("{status}"),
                    };
                    counter.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let rate = check();
        is_over.store(true, Ordering::Relaxed);
        rate
    })
}

fn read_answer(stream: &mut TcpStream) -> u16 {
    let mut buffer = vec![0; 64 * 1024];
    let mut length = stream.read(&mut buffer).unwrap();
    let head_end = loop {
        let end = buffer[..length]
            .windows(4)
            .position(|end| end == b"\r\n\r\n");
        match end {
            Some(end) => break end + 4,
            None => length += stream.read(&mut buffer[length..]).unwrap(),
        }
    };
    let head = std::str::from_utf8(&buffer[..head_end]).unwrap();
    let status = head[9..12].parse().unwrap();
    let body = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let total = head_end + body.unwrap().parse::<usize>().unwrap();
    while length < total {
        let read = stream.read(&mut buffer).unwrap();
        assert!(read > 0, "the server closed the connection");
        length += read;
    }
    status
}

fn get(path: &str, token: &str) -> Vec<u8> {
    format!(
        "GET /api/organizations/{path}/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {token}\r\n\r\n"
    )
    .into_bytes()
}

/// Of one of the first users of an organization.
fn token(organization: u32, number: usize) -> String {
    format!("{organization:020x}{number:020x}")
}

fn fill(database: &Path) {
    let mut connection = Connection::open(database).unwrap();
    let transaction = connection.transaction().unwrap();
    for (organization, users) in [(LISTED, LISTED_USERS), (CHECKED, 100)] {
        let uuid =
            |kind: u32, id: u32| format!("{kind:08x}-{organization:04x}-4000-8000-{id:012x}");
        transaction
            .execute(
                "INSERT INTO organizations (id, uuid, name, org_type, retailer_uuid, status, created_date)
                 VALUES (:id, :uuid, 'bench', 'RETAILER', :party, 'ACTIVE', 0)",
                named_params! { ":id": organization, ":uuid": uuid(1, 0), ":party": uuid(2, 0) },
            )
            .unwrap();
        for number in 0..users {
            let id = organization * 1_000_000 + number;
            let username = format!("user{number}@{organization}.projectthanos.com");
            transaction
                .prepare_cached(
                    "INSERT INTO people (id, uuid, first_name, last_name, email)
                     VALUES (:id, :uuid, 'Jason', 'Weir', :email)",
                )
                .unwrap()
                .execute(named_params! { ":id": id, ":uuid": uuid(3, number), ":email": username })
                .unwrap();
            transaction
                .prepare_cached(
                    "INSERT INTO users (id, uuid, org_id, person_id, username, password_hash, status)
                     VALUES (:id, :uuid, :org_id, :id, :username, :hash, 'ACTIVE')",
                )
                .unwrap()
                .execute(named_params! {
                    ":id": id, ":uuid": uuid(4, number), ":org_id": organization, ":username": username, ":hash": HASH,
                })
                .unwrap();
        }
        for number in 0..100 {
            let digest: [u8; 32] = Sha256::digest(token(organization, number as usize)).into();
            transaction
                .execute(
                    "INSERT INTO tokens (digest, user_id, issued_at) VALUES (:digest, :user_id, 0)",
                    named_params! { ":digest": digest, ":user_id": organization * 1_000_000 + number },
                )
                .unwrap();
        }
    }
    transaction.commit().unwrap();
}
