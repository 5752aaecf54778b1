//! The speed of the hashing lanes, as a multiple of the `bcrypt` crate in the same run: `cargo bench --bench hashing`.
//!
//! `thanos-login calibrate` measures absolute rates.
#![expect(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::unwrap_used)]

mod common;

use std::hint::black_box;
use std::time::Duration;

use common::rate::{Rate, print_ratio, rate};
use common::server::PASSWORD;
use common::{is_wanted, machine, server};
use thanos_login::hashing::{
    Cost, Engine, EngineConfig, Group, HashInput, Lanes, MAX_LANES, Member, Password, PasswordHash,
    Permits, default_threads,
};

/// High enough that almost all time is spent in the rounds, as at the costs that servers use.
const COST: u8 = 8;
const ROUNDS: usize = 25;

fn main() {
    machine::print();
    for lanes in 1..=MAX_LANES {
        compare(&format!("{lanes} lanes"), || full_lanes(lanes));
    }
    let hash = server::hash(cost(COST)).parse().unwrap();
    let all_threads = engine(default_threads());
    compare("lone login", || lone_login(&all_threads, &hash));
    let one_thread = engine(1);
    compare("mixed queue, 1 thread", || mixed_queue(&one_thread));
    let together = format!("mixed queue, {} threads", default_threads());
    compare(&together, || mixed_queue(&all_threads));
}

fn compare(label: &str, ours: impl FnMut() -> Rate) {
    let label = format!("{label}, relative to the bcrypt crate on one");
    if is_wanted(&label) {
        print_ratio(&label, None, ROUNDS, crate_alone, ours);
    }
}

fn cost(cost: u8) -> Cost {
    Cost::new(cost).unwrap()
}

fn engine(threads: usize) -> Engine {
    let config = EngineConfig::new(Duration::from_secs(600));
    Engine::start(EngineConfig { threads, ..config }).unwrap()
}

fn crate_alone() -> Rate {
    rate(1.0, || {
        black_box(bcrypt::bcrypt(
            u32::from(COST),
            black_box([7; 16]),
            b"thanosrocks\0",
        ));
    })
}

/// The lanes without the engine around them, all started at once.
fn full_lanes(count: usize) -> Rate {
    let mut lanes = Box::new(Lanes::new());
    let input = HashInput::new(PASSWORD.as_bytes(), &[7; 16], cost(COST), cost(COST));
    rate(count as f64, || {
        for _ in 0..count {
            assert!(lanes.join(&input, ()).is_ok());
        }
        while lanes.in_use() > 0 {
            lanes.round();
            while let Some((_, digest)) = lanes.take_finished() {
                black_box(digest);
            }
        }
    })
}

/// The rate of single logins, one at a time, including threads and queue.
fn lone_login(engine: &Engine, hash: &PasswordHash) -> Rate {
    let permits = Permits::new(1);
    let password = Password::new(PASSWORD.to_owned());
    rate(1.0, || {
        let permit = permits.admit(Group::default()).unwrap();
        let member = Member::default();
        let verified = engine.verify(&permit, member, &password, Some(hash), cost(COST));
        assert!(verified.unwrap());
    })
}

/// The rate of a queue, from its first hash to the last, in which costs differ by a factor of eight; in hashes of `COST`.
fn mixed_queue(engine: &Engine) -> Rate {
    let password = Password::new(PASSWORD.to_owned());
    let costs = (0..64).map(|number| cost(COST - 2 + number % 4));
    let rounds: u64 = costs.clone().map(Cost::rounds).sum();
    rate(rounds as f64 / cost(COST).rounds() as f64, || {
        let pending: Vec<_> = costs
            .map(|cost| engine.start_verification(&password, None, cost))
            .collect();
        for pending in pending {
            assert!(!pending.wait().unwrap());
        }
    })
}
