//! What the benches share: accounts, servers, a client, and ratios measured in interleaved rounds.
//!
//! Speeds are given as ratios to something measured in the same run, since an absolute one says more about the machine and
//! its other work than about the program.

// Each bench uses a part of it.
#![allow(dead_code)]

pub mod client;
pub mod database;
pub mod machine;
pub mod process;
pub mod rate;
pub mod server;

/// Whether a word on the command line asks for the measurement with this label: `cargo bench --bench login -- 404`. A test
/// run, which also starts benches, asks for none.
pub fn is_wanted(label: &str) -> bool {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    std::env::args().any(|word| word == "--bench")
        && words.next().is_none_or(|word| label.contains(&word))
}
