//! What the benches share: accounts, servers, a client, and ratios measured in interleaved rounds.
//!
//! Speeds are ratios to something that was measured in the same run, since an absolute speed says more about the machine and
//! its other work than about the program.

// Each bench uses only a part of this module.
#![allow(dead_code)]

pub mod client;
pub mod database;
pub mod machine;
pub mod process;
pub mod rate;
pub mod server;

/// Whether the command line selects the measurement with this label, as `cargo bench --bench login -- 404` does. A test run,
/// which also starts benches, selects none.
pub fn is_wanted(label: &str) -> bool {
    let mut words = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    std::env::args().any(|word| word == "--bench")
        && words.next().is_none_or(|word| label.contains(&word))
}
