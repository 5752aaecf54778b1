//! What the benches share: accounts, a client, and ratios measured in interleaved rounds.
//!
//! Speeds are told as ratios to something measured in the same run, since an absolute one says more about the machine and
//! its other work than about the program.

// Each bench uses a part of it.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use thanos_login::accounts::Accounts;
use thanos_login::auth::Limits;
use thanos_login::gate::Address;
use thanos_login::hashing::Cost;
use thanos_login::{Config, Database, Server};

/// What every account of [`accounts`] has.
pub const PASSWORD: &str = "thanosrocks";

/// Connections at once, each a user of its own.
pub const CLIENTS: usize = 32;

/// A round counts for nothing when the reference beside it was slower than this share of its median: the machine had other
/// work then.
const STEADY: f64 = 0.85;

/// A figure takes no longer than this and the round it is in, but has so many rounds at least.
const PATIENCE: Duration = Duration::from_secs(20);
const MIN_ROUNDS: usize = 3;

/// Says whether the figure with this label was asked for: `cargo bench --bench login -- 404`. A test run, which also starts
/// benches, asks for none.
pub fn is_wanted(label: &str) -> bool {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    std::env::args().any(|word| word == "--bench")
        && words.next().is_none_or(|word| label.contains(&word))
}

/// A fixture of one organization with these users, each a name, a status and a hash.
pub fn fixture(users: &[(String, &str, String)]) -> Accounts {
    let users: Vec<_> = users
        .iter()
        .map(|(username, status, hash)| {
            serde_json::json!({ "username": username, "status": status, "password_hash": hash })
        })
        .collect();
    let organization =
        serde_json::json!({ "name": "Bench", "org_type": "RETAILER", "users": users });
    let text = serde_json::json!({ "organizations": [organization] }).to_string();
    Accounts::parse(&text).unwrap()
}

/// As many active users as clients, `user-0` and so on, with hashes of this cost.
pub fn accounts(cost: Cost) -> Accounts {
    let hash = hash(cost);
    let users: Vec<_> = (0..CLIENTS)
        .map(|number| (username(number), "ACTIVE", hash.clone()))
        .collect();
    fixture(&users)
}

pub fn username(number: usize) -> String {
    format!("user-{number}")
}

/// A hash of [`PASSWORD`].
pub fn hash(cost: Cost) -> String {
    bcrypt::hash(PASSWORD, u32::from(cost.get())).unwrap()
}

/// A server inside this process, with what `serve` has but the throttle.
pub fn serve(database: Database, cost: Cost) -> Server {
    let mut config = Config {
        listen: vec![Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))],
        database,
        ..Config::default()
    };
    config.policy.bcrypt_cost = cost;
    config.policy.failed_logins = Limits::NONE;
    Server::start(config).unwrap()
}

pub fn address(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

pub fn login(username: &str, password: &str) -> Vec<u8> {
    let body = serde_json::json!({ "username": username, "password": password }).to_string();
    format!(
        "POST /api/organizations/user-login/ HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    )
    .into_bytes()
}

/// One connection that is kept.
pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    /// The first answer is waited for: of many new connections at once, the library leaves some without a thread.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self {
            stream,
            received: Vec::new(),
        };
        client.exchange(&get("/"));
        client
    }

    pub fn connect_many(address: SocketAddr) -> Vec<Self> {
        (0..CLIENTS).map(|_| Self::connect(address)).collect()
    }

    /// Sends a request and gives the status of its answer, once that is there to its end.
    pub fn exchange(&mut self, request: &[u8]) -> u16 {
        self.send(request);
        self.receive()
    }

    pub fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
    }

    pub fn receive(&mut self) -> u16 {
        self.received.clear();
        loop {
            let mut bytes = [0; 1024];
            let length = self.stream.read(&mut bytes).unwrap();
            assert!(length > 0, "the server closed the connection");
            self.received.extend_from_slice(&bytes[..length]);
            if let Some(status) = whole_answer(&self.received) {
                return status;
            }
        }
    }

    /// The last answer, head and body.
    pub fn received(&self) -> &str {
        std::str::from_utf8(&self.received).unwrap()
    }
}

/// The status, when the head and the body that it announces are there.
fn whole_answer(received: &[u8]) -> Option<u16> {
    let end_of_head = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end_of_head]).unwrap();
    let mut lines = head.lines();
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let length: usize = lines
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    (received.len() >= end_of_head + 4 + length).then_some(status)
}

/// How much was done a second.
#[derive(Clone, Copy)]
pub struct Rate {
    /// As a client sees it.
    pub on_the_clock: f64,
    /// Of processor time of this process, the load included: much the same whatever else the machine does.
    pub of_processor_time: f64,
}

/// Measures how fast `work` does its `count` pieces.
pub fn rate(count: usize, work: impl FnOnce()) -> Rate {
    let (begun, processor_before) = (Instant::now(), processor_time());
    work();
    Rate {
        on_the_clock: count as f64 / begun.elapsed().as_secs_f64(),
        of_processor_time: count as f64 / (processor_time() - processor_before),
    }
}

/// Does `count` pieces of work with one thread per worker, each taking the next piece when it is done with one.
pub fn rate_of_threads<W: Send>(
    workers: &mut [W],
    count: usize,
    work: impl Fn(&mut W, usize) + Sync,
) -> Rate {
    let next = AtomicUsize::new(0);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|piece| *piece < count);
    rate(count, || {
        thread::scope(|scope| {
            for worker in workers {
                scope.spawn(|| {
                    while let Some(piece) = take() {
                        work(worker, piece);
                    }
                });
            }
        });
    })
}

/// Of all threads, in seconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Prints how many times as fast `ours` is as `reference`: the median of `rounds` rounds (fewer on a busy machine), in each of
/// which `ours` ran between two runs of `reference`.
pub fn print_ratio(
    label: &str,
    goal: Option<f64>,
    rounds: usize,
    mut reference: impl FnMut() -> Rate,
    mut ours: impl FnMut() -> Rate,
) {
    let begun = Instant::now();
    let mut before = reference();
    let measured: Vec<[Rate; 3]> = (0..rounds)
        .take_while(|round| *round < MIN_ROUNDS || begun.elapsed() < PATIENCE)
        .map(|_| {
            let round = [before, ours(), reference()];
            before = round[2];
            round
        })
        .collect();
    let clock = |rate: &Rate| rate.on_the_clock;
    let usual = median(
        measured
            .iter()
            .flat_map(|round| [clock(&round[0]), clock(&round[2])]),
    );
    let kept: Vec<_> = measured
        .iter()
        .filter(|round| clock(&round[0]).min(clock(&round[2])) >= STEADY * usual)
        .collect();
    println!("{label}");
    println!(
        "  {:.3} by the clock{}; {:.3} by processor time; {:.0}/s against {usual:.0}/s; {} of {} rounds, without \
         those in which the reference fell by over 15 %",
        median(kept.iter().map(|round| ratio(round, clock))),
        goal.map_or_else(String::new, |goal| format!(" (goal at least {goal})")),
        median(
            measured
                .iter()
                .map(|round| ratio(round, |rate| rate.of_processor_time))
        ),
        median(kept.iter().map(|round| clock(&round[1]))),
        kept.len(),
        measured.len(),
    );
}

fn ratio([before, ours, after]: &[Rate; 3], which: impl Fn(&Rate) -> f64) -> f64 {
    2.0 * which(ours) / (which(before) + which(after))
}

/// The middle of the values, NaN when there are none.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
