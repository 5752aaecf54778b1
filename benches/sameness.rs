//! Whether the time to the answer reveals why a login was refused.
//!
//! The measure is the probability that a random sample of one kind is slower than a random one of a wrong password: 0.5
//! reveals nothing, 0 or 1 everything. By chance alone it is outside of 0.46 to 0.54 once in a thousand runs.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::time::{Duration, Instant};

use common::client::{Client, login};
use common::server::{PASSWORD, address, fixture, hash, serve};
use common::{is_wanted, machine};
use thanos_login::Database;
use thanos_login::hashing::Cost;

const SAMPLES: usize = 1000;

/// The highest cost of a hash: low, so that the time outside of hashing matters more.
const HIGHEST: u8 = 6;

struct Kind {
    label: &'static str,
    request: Vec<u8>,
    times: Vec<Duration>,
}

impl Kind {
    fn new(label: &'static str, username: &str, password: &str) -> Self {
        Self {
            label,
            request: login(username, password),
            times: Vec::with_capacity(SAMPLES),
        }
    }
}

fn main() {
    machine::print();
    if !is_wanted("sameness") {
        return;
    }
    let highest = Cost::new(HIGHEST).unwrap();
    let users = [
        ("known", "ACTIVE", highest),
        ("quiet", "DEACTIVATED", highest),
        ("cheap", "ACTIVE", Cost::MIN),
        ("heavy", "DEACTIVATED", Cost::new(HIGHEST + 4).unwrap()),
    ]
    .map(|(username, status, cost)| (username.to_owned(), status, hash(cost)));
    let server = serve(Database::Demo(fixture(&users)), highest);
    let mut client = Client::connect(address(&server.url()));

    let wrong = "thanosrolls";
    let mut kinds = [
        Kind::new("wrong password", "known", wrong),
        Kind::new("wrong password again (chance alone)", "known", wrong),
        Kind::new("unknown user", "nobod", wrong),
        Kind::new("password of 73 bytes", "known", &PASSWORD.repeat(7)[..73]),
        Kind::new("inactive user, wrong password", "quiet", wrong),
        Kind::new("cheaper hash, wrong password", "cheap", wrong),
        Kind::new("inactive user, more expensive hash", "heavy", wrong),
        Kind::new(
            "inactive user, more expensive hash, right password",
            "heavy",
            PASSWORD,
        ),
    ];
    sample(&mut client, &mut kinds);
    let [reference, others @ ..] = kinds;
    println!(
        "probability to be slower than a wrong password, {SAMPLES} samples each, goal 0.45 to 0.55:"
    );
    for kind in others {
        let probability = slower(&kind.times, &reference.times);
        println!("  {}: {probability:.3}", kind.label);
    }
}

/// Takes one sample of each kind, in random order, so that neither other work of the machine nor the previous sample affects
/// one kind more than the others.
fn sample(client: &mut Client, kinds: &mut [Kind]) {
    let mut chance: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut order: Vec<usize> = (0..kinds.len()).collect();
    for _ in 0..SAMPLES {
        for index in (1..order.len()).rev() {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            order.swap(index, (chance % (index as u64 + 1)) as usize);
        }
        for &index in &order {
            let kind = &mut kinds[index];
            let started = Instant::now();
            let status = client.exchange(&kind.request);
            kind.times.push(started.elapsed());
            assert_eq!(status, 401, "{}", kind.label);
        }
    }
}

/// The probability that one of `these` is slower than one of `those`, over all pairs; a tie counts as half.
fn slower(these: &[Duration], those: &[Duration]) -> f64 {
    let wins: f64 = these
        .iter()
        .flat_map(|this| those.iter().map(move |that| this.cmp(that)))
        .map(|order| f64::from(order as i8 + 1) / 2.0)
        .sum();
    wins / (these.len() * those.len()) as f64
}
