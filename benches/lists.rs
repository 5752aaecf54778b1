//! The effect of lists on other calls: the rate of token checks beside lists of 20,000 users, as a multiple of the rate of
//! token checks alone: `cargo bench --bench lists`.
//!
//! The clients of the lists send the next request as soon as they have an answer, even a 503. The load generator and the
//! server share one process.
#![expect(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::unwrap_used)]

mod common;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use common::client::{CALLS, Client, get_with_token};
use common::database::{fill, token};
use common::rate::{Rate, print_ratio, rate_of_threads};
use common::{is_wanted, machine, server};
use thanos_login::Database;
use thanos_login::hashing::Cost;

const LISTED_USERS: u32 = 20_000;
const CHECKERS: u32 = 16;
const CHECKS: usize = 20_000;
const ROUNDS: usize = 7;
const GOAL: f64 = 0.8;

/// The organization whose users are listed, and the one whose tokens are checked.
const LISTED: u32 = 1;
const CHECKED: u32 = 2;

fn main() {
    machine::print();
    if !is_wanted("lists") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("bench.db");
    fill(&database, LISTED, LISTED_USERS, 100);
    fill(&database, CHECKED, 100, 100);
    let server = server::serve(Database::File(database), Cost::MIN);
    let address = server::address(&server.url());
    for clients in [8, 40] {
        measure(address, clients);
    }
}

fn measure(address: SocketAddr, clients: u32) {
    let checkers = (0..CHECKERS).map(|number| {
        let path = format!("{CALLS}/token-verify/");
        let check = get_with_token(&path, &token(CHECKED, number));
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
    clients: u32,
    [lists, refusals]: [&AtomicUsize; 2],
    check: impl Fn() -> Rate,
) -> Rate {
    let is_over = &AtomicBool::new(false);
    thread::scope(|scope| {
        for number in 0..clients {
            scope.spawn(move || {
                let path = format!("{CALLS}/users/all/");
                let request = get_with_token(&path, &token(LISTED, number));
                let mut client = Client::connect(address);
                while !is_over.load(Ordering::Relaxed) {
                    let counter = match client.exchange(&request) {
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
