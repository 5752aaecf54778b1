//! Latency: `cargo bench --bench latency`.
//!
//! Part one: logins at cost 12 over HTTP by the number of clients, each of which sends its next login when the last one has
//! been answered. Their rate is a multiple of that of the `bcrypt` crate on all cores, measured before and after each row.
//! Part two: requests that hash nothing, while 64 clients log in.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::client::{CALLS, Client, get, get_with_token, login};
use common::rate::{Rate, percentile, rate_of_threads};
use common::server::{CLIENTS, PASSWORD, address, hash, serve_file, username};
use common::{is_wanted, machine};
use thanos_login::hashing::Cost;

/// The number of logins of each client in a row of the table.
const EACH: usize = 20;
/// The number of clients, and the goal for the rate of their logins as a multiple of the `bcrypt` crate's.
const GOAL: (usize, f64) = (16, 4.5);
const IN_FLIGHT: usize = 64;
/// The number of requests that are timed while others log in, and the number of their clients.
const CHEAP: (usize, usize) = (2000, 4);

fn main() {
    machine::print();
    if is_wanted("logins") {
        logins();
    }
    if is_wanted("cheap requests") {
        cheap_requests();
    }
}

fn logins() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve_file(directory.path(), Cost::DEFAULT);
    let address = address(&server.url());
    let hash = hash(Cost::DEFAULT);
    let threads = thread::available_parallelism().unwrap().get();
    let crate_alone = || {
        rate_of_threads(&mut vec![(); threads], 6 * threads, |(), _| {
            assert!(bcrypt::verify(PASSWORD, &hash).unwrap());
        })
        .on_the_clock
    };
    println!(
        "logins at cost 12 over HTTP, relative to the bcrypt crate on {threads} threads (at least {} with {} clients)",
        GOAL.1, GOAL.0
    );
    println!("clients  logins/s  ratio   p50 ms   p99 ms");
    let mut before = crate_alone();
    for clients in [1, 2, 8, 16, 32] {
        let mut clients: Vec<_> = (0..clients).map(|number| log_in(address, number)).collect();
        let rate = exchange(&mut clients, EACH).on_the_clock;
        let after = crate_alone();
        let [p50, p99] = percentiles(&clients);
        println!(
            "{:>7} {rate:>9.1} {:>6.2} {p50:>8.0} {p99:>8.0}",
            clients.len(),
            2.0 * rate / (before + after),
        );
        before = after;
    }
}

/// A client that sends the same request repeatedly and times the answers.
struct TimedClient {
    client: Client,
    request: Vec<u8>,
    expected: u16,
    pause: Duration,
    /// The time to each answer, in milliseconds.
    times: Vec<f64>,
}

impl TimedClient {
    fn new(address: SocketAddr, request: Vec<u8>, expected: u16) -> Self {
        Self {
            client: Client::connect(address),
            request,
            expected,
            pause: Duration::ZERO,
            times: Vec::new(),
        }
    }

    fn exchange(&mut self) {
        thread::sleep(self.pause);
        let started = Instant::now();
        assert_eq!(self.client.exchange(&self.request), self.expected);
        self.times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
}

/// A client whose request is a login.
fn log_in(address: SocketAddr, number: usize) -> TimedClient {
    TimedClient::new(address, login(&username(number % CLIENTS), PASSWORD), 200)
}

/// Lets all clients send their requests concurrently, `each` of them per client on average.
fn exchange(clients: &mut [TimedClient], each: usize) -> Rate {
    let count = clients.len() * each;
    rate_of_threads(clients, count, |client, _| client.exchange())
}

/// The p50 and p99 of the times of all clients.
fn percentiles(clients: &[TimedClient]) -> [f64; 2] {
    [50, 99].map(|percent| {
        let times = clients.iter().flat_map(|client| &client.times);
        percentile(percent, times.copied())
    })
}

fn cheap_requests() {
    let directory = tempfile::tempdir().unwrap();
    let server = serve_file(directory.path(), Cost::DEFAULT);
    let address = address(&server.url());
    let mut first = log_in(address, 0);
    first.exchange();
    let (_, rest) = first
        .client
        .received()
        .split_once("\"auth_token\":\"")
        .unwrap();
    let check = get_with_token(&format!("{CALLS}/token-verify/"), &rest[..40]);
    let kinds = [("404", get("/nowhere/"), 404), ("token check", check, 200)];
    println!(
        "requests of {} clients, p99 with {IN_FLIGHT} logins at cost 12 in flight (at most 10 ms)",
        CHEAP.1
    );
    println!("                 p50 ms   p99 ms   alone: p50 ms   p99 ms");
    let measure = || {
        kinds.each_ref().map(|(_, request, expected)| {
            let mut clients: Vec<_> = (0..CHEAP.1)
                .map(|_| TimedClient {
                    // Without pauses, the client would occupy a core.
                    pause: Duration::from_millis(5),
                    ..TimedClient::new(address, request.clone(), *expected)
                })
                .collect();
            exchange(&mut clients, CHEAP.0 / CHEAP.1);
            percentiles(&clients)
        })
    };
    let alone = measure();
    let over = AtomicBool::new(false);
    let busy = thread::scope(|scope| {
        for number in 0..IN_FLIGHT {
            let over = &over;
            scope.spawn(move || {
                let mut client = log_in(address, number);
                while !over.load(Ordering::Relaxed) {
                    client.exchange();
                }
            });
        }
        // Each client has sent its first login by then.
        thread::sleep(Duration::from_secs(1));
        let busy = measure();
        over.store(true, Ordering::Relaxed);
        busy
    });
    for (((label, ..), busy), alone) in kinds.iter().zip(busy).zip(alone) {
        println!(
            "{label:>12} {:>10.2} {:>8.2} {:>15.2} {:>8.2}",
            busy[0], busy[1], alone[0], alone[1]
        );
    }
}
