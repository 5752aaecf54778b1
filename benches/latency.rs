//! How long clients wait: `cargo bench --bench latency`.
//!
//! First logins at cost 12 over HTTP by the number of clients, each sending its next login when it has the answer to the
//! last. Their rate is a multiple of what the `bcrypt` crate does on all cores, measured before and after each row. Then
//! requests that hash nothing, while 64 clients log in.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{CLIENTS, Client, PASSWORD, get, hash, is_wanted, login, rate_of_threads, username};
use jiff::Timestamp;
use thanos_login::hashing::{Cost, Engine, EngineConfig};
use thanos_login::store::{Durability, Store, WhenMissing};
use thanos_login::{Database, Server, accounts};

/// Logins a client sends in a row of the table.
const EACH: usize = 20;
/// What a bcrypt rate a core is multiplied with at 16 clients at least.
const GOAL: (usize, f64) = (16, 4.5);
const IN_FLIGHT: usize = 64;
/// How many requests are timed while others log in, and by how many clients.
const CHEAP: (usize, usize) = (2000, 4);

fn main() {
    if is_wanted("logins") {
        logins();
    }
    if is_wanted("cheap requests") {
        cheap_requests();
    }
}

fn logins() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let address = common::address(&server.url());
    let hash = hash(Cost::DEFAULT);
    let threads = thread::available_parallelism().unwrap().get();
    let crate_alone = || {
        rate_of_threads(&mut vec![(); threads], 6 * threads, |(), _| {
            assert!(bcrypt::verify(PASSWORD, &hash).unwrap());
        })
        .on_the_clock
    };
    println!(
        "logins at cost 12 over HTTP, to the bcrypt crate on {threads} threads (at least {} with {} clients)",
        GOAL.1, GOAL.0
    );
    println!("clients  logins/s  ratio   p50 ms   p99 ms");
    let mut before = crate_alone();
    for clients in [1, 2, 8, 16, 32] {
        let begun = Instant::now();
        let times = log_in(address, clients);
        let rate = times.len() as f64 / begun.elapsed().as_secs_f64();
        let after = crate_alone();
        println!(
            "{clients:>7} {rate:>9.1} {:>6.2} {:>8.0} {:>8.0}",
            2.0 * rate / (before + after),
            percentile(&times, 50),
            percentile(&times, 99)
        );
        before = after;
    }
}

/// Milliseconds of each login, in ascending order.
fn log_in(address: SocketAddr, clients: usize) -> Vec<f64> {
    let times = thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|number| {
                let request = login(&username(number % CLIENTS), PASSWORD);
                let mut client = Client::connect(address);
                scope.spawn(move || -> Vec<f64> {
                    (0..EACH)
                        .map(|_| time(&mut client, &request, 200))
                        .collect()
                })
            })
            .collect();
        let all = clients.into_iter().map(|client| client.join().unwrap());
        all.collect::<Vec<_>>().concat()
    });
    sorted(times)
}

fn cheap_requests() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve(directory.path());
    let address = common::address(&server.url());
    let token = token(address);
    let check = format!(
        "GET /api/organizations/token-verify/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {token}\r\n\r\n"
    );
    let kinds = [
        ("404", get("/nowhere/"), 404),
        ("token check", check.into_bytes(), 200),
    ];
    println!(
        "requests of {} clients, p99 with {IN_FLIGHT} logins at cost 12 in flight (at most 10 ms)",
        CHEAP.1
    );
    println!("                 p50 ms   p99 ms   alone: p50 ms   p99 ms");
    let alone = kinds
        .each_ref()
        .map(|(_, request, status)| times(address, request, *status));
    let over = AtomicBool::new(false);
    let busy = thread::scope(|scope| {
        for number in 0..IN_FLIGHT {
            let over = &over;
            scope.spawn(move || {
                let request = login(&username(number % CLIENTS), PASSWORD);
                let mut client = Client::connect(address);
                while !over.load(Ordering::Relaxed) {
                    assert_eq!(client.exchange(&request), 200);
                }
            });
        }
        // Until each has sent its first.
        thread::sleep(Duration::from_secs(1));
        let busy = kinds
            .each_ref()
            .map(|(_, request, status)| times(address, request, *status));
        over.store(true, Ordering::Relaxed);
        busy
    });
    for (((label, ..), busy), alone) in kinds.iter().zip(busy).zip(alone) {
        println!(
            "{label:>12} {:>10.2} {:>8.2} {:>15.2} {:>8.2}",
            percentile(&busy, 50),
            percentile(&busy, 99),
            percentile(&alone, 50),
            percentile(&alone, 99)
        );
    }
}

fn times(address: SocketAddr, request: &[u8], status: u16) -> Vec<f64> {
    let (count, clients) = CHEAP;
    let times = thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(move || -> Vec<f64> {
                    let mut client = Client::connect(address);
                    let one = |_| {
                        // A client that asks without a pause would have a core for itself.
                        thread::sleep(Duration::from_millis(5));
                        time(&mut client, request, status)
                    };
                    (0..count / clients).map(one).collect()
                })
            })
            .collect();
        let all = clients.into_iter().map(|client| client.join().unwrap());
        all.collect::<Vec<_>>().concat()
    });
    sorted(times)
}

fn time(client: &mut Client, request: &[u8], status: u16) -> f64 {
    let begun = Instant::now();
    assert_eq!(client.exchange(request), status);
    begun.elapsed().as_secs_f64() * 1000.0
}

fn sorted(mut times: Vec<f64>) -> Vec<f64> {
    times.sort_by(f64::total_cmp);
    times
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn token(address: SocketAddr) -> String {
    let mut client = Client::connect(address);
    assert_eq!(client.exchange(&login(&username(0), PASSWORD)), 200);
    let (_, rest) = client.received().split_once("\"auth_token\":\"").unwrap();
    rest[..40].to_owned()
}

fn serve(directory: &Path) -> Server {
    let path = directory.join("server.db");
    let (store, _) = Store::open(&path, WhenMissing::Create, Durability::Full).unwrap();
    let engine = Engine::start(EngineConfig::new(Duration::from_secs(30))).unwrap();
    let accounts = common::accounts(Cost::DEFAULT);
    accounts::load(&store, &engine, accounts, Cost::DEFAULT, Timestamp::now()).unwrap();
    drop((store, engine));
    common::serve(Database::File(path), Cost::DEFAULT)
}
