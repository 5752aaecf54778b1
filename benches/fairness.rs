//! How long a login takes while other clients use all capacity: `cargo bench --bench fairness`.
//!
//! One account logs in from 26 networks, on 10 connections of each, as fast as it is answered. A lone client of another
//! network logs in repeatedly, at cost 12 over HTTP. Each round measures the lone client alone, then beside the others, so
//! that other work of the machine affects both.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::client::{Client, login_with};
use common::rate::percentile;
use common::server::{PASSWORD, address, config, fixture, hash};
use common::{is_wanted, machine};
use thanos_login::hashing::Cost;
use thanos_login::http::TrustedProxies;
use thanos_login::{Config, Database, Server};

const NETWORKS: usize = 26;
const CONNECTIONS: usize = 10;
const ROUNDS: usize = 5;
/// The number of logins of the lone client in a round, alone and beside the others.
const EACH: (usize, usize) = (10, 30);
/// The limit on its p50 and p99 beside the others, as a multiple of its p50 alone.
const GOAL: f64 = 4.0;

/// A measured login of the lone client.
struct Sample {
    ms: f64,
    /// The number of logins of the others that were answered meanwhile.
    overtakers: usize,
}

/// The number of successful logins of the others.
static ANSWERED: AtomicUsize = AtomicUsize::new(0);

fn main() {
    machine::print();
    if !is_wanted("fairness") {
        return;
    }
    let server = serve();
    let address = address(&server.url());
    let mut lone = Client::connect(address);
    println!(
        "a lone client at cost 12, beside {} connections from {NETWORKS} networks (at most {GOAL} times its p50 alone);",
        NETWORKS * CONNECTIONS
    );
    println!("logins of the others meanwhile, of which each lane does one in the time of a hash");
    println!("round  alone: p50 ms   beside: p50 ms    p99 ms    p50    p99   others: p50   p99");
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        let own = log_in(&mut lone, EACH.0);
        let with_others = beside_others(address, || log_in(&mut lone, EACH.1));
        print(&round.to_string(), &own, &with_others);
        alone.extend(own);
        beside.extend(with_others);
    }
    print("all", &alone, &beside);
}

fn print(label: &str, alone: &[Sample], beside: &[Sample]) {
    let ms = |sample: &Sample| sample.ms;
    let usual = percentile(50, alone.iter().map(ms));
    let [p50, p99] = [50, 99].map(|percent| percentile(percent, beside.iter().map(ms)));
    let overtakers = beside.iter().map(|sample| sample.overtakers as f64);
    let overtakers = [50, 99].map(|percent| percentile(percent, overtakers.clone()));
    println!(
        "{label:>5} {usual:>14.0} {p50:>16.0} {p99:>9.0} {:>6.2} {:>6.2} {:>13.1} {:>5.1}",
        p50 / usual,
        p99 / usual,
        overtakers[0],
        overtakers[1]
    );
}

/// Runs `measure` while all others log in.
fn beside_others<T>(address: SocketAddr, measure: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let over = &over;
        for number in 0..NETWORKS * CONNECTIONS {
            scope.spawn(move || {
                let request = login(number % NETWORKS, "greedy");
                let mut client = Client::connect(address);
                while !over.load(Ordering::Relaxed) {
                    match client.exchange(&request) {
                        200 => _ = ANSWERED.fetch_add(1, Ordering::Relaxed),
                        // The queue has no space for all of them.
                        503 => thread::sleep(Duration::from_millis(10)),
                        status => panic!("{status}"),
                    }
                }
            });
        }
        // Each client waits for its first answer by then.
        thread::sleep(Duration::from_secs(3));
        let measured = measure();
        over.store(true, Ordering::Relaxed);
        measured
    })
}

fn log_in(client: &mut Client, count: usize) -> Vec<Sample> {
    let request = login(NETWORKS, "lone");
    let one = |_| {
        let (started, before) = (Instant::now(), ANSWERED.load(Ordering::Relaxed));
        assert_eq!(client.exchange(&request), 200);
        Sample {
            ms: started.elapsed().as_secs_f64() * 1000.0,
            overtakers: ANSWERED.load(Ordering::Relaxed) - before,
        }
    };
    (0..count).map(one).collect()
}

fn login(network: usize, username: &str) -> Vec<u8> {
    let fields = format!("Host: localhost\r\nX-Forwarded-For: 192.0.2.{network}");
    login_with(&fields, username, PASSWORD)
}

/// Starts a server with the defaults of `serve`, behind a proxy on this machine.
fn serve() -> Server {
    let users = ["lone", "greedy"].map(|name| (name.to_owned(), "ACTIVE", hash(Cost::DEFAULT)));
    let config = Config {
        trusted_proxies: TrustedProxies::new(vec!["127.0.0.1/32".parse().unwrap()]),
        ..config(Database::Demo(fixture(&users)))
    };
    Server::start(config).unwrap()
}
