//! What this machine is good for: how many hashing threads, and how many lanes each.

use std::iter;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::thread;
use std::time::{Duration, Instant};

use super::Cost;
use super::lanes::{Lanes, Order};

/// The fastest is one of these, by the size of the first-level cache. More gain less than they make each login wait, even where
/// the cache has room for them.
const USEFUL_LANES: RangeInclusive<usize> = 6..=8;

/// Each takes less than a tenth of a millisecond, and the shortest counts: one that nothing has interrupted.
const ROUNDS: usize = 4;

/// One thread for each core this process may use: hashing never waits for anything.
pub fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// The number of lanes that hashes most in the same time, measured in about a millisecond.
pub fn fastest_lanes() -> usize {
    let mut lanes = Box::new(Lanes::new());
    let endless = Order::new(b"", &[0; 16], Cost::MAX, Cost::MAX);
    fastest(|count| {
        while lanes.in_use() < count && lanes.join(&endless, ()).is_ok() {}
        let round = || {
            let started = Instant::now();
            lanes.round();
            started.elapsed()
        };
        let shortest = iter::repeat_with(round).take(ROUNDS).min();
        shortest.unwrap_or_default()
    })
}

/// That for which a round takes the least time for each lane.
fn fastest(mut time_of_round: impl FnMut(usize) -> Duration) -> usize {
    USEFUL_LANES
        .min_by_key(|count| time_of_round(*count) / *count as u32)
        .unwrap_or(*USEFUL_LANES.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashing::{Engine, EngineConfig};

    #[test]
    fn the_lanes_that_hash_most_in_the_same_time_are_chosen() {
        // Hashes of 6, 7 and 8 lanes in the same time: with 32 KiB of cache, with 48 KiB, and none better than another.
        for (rates, lanes) in [
            ([3.48, 3.47, 3.39], 6),
            ([4.68, 4.94, 5.19], 8),
            ([3.40, 3.50, 3.45], 7),
            ([1.00, 1.00, 1.00], 6),
        ] {
            let time =
                |count: usize| Duration::from_secs(1).mul_f64(count as f64 / rates[count - 6]);
            assert_eq!(fastest(time), lanes, "{rates:?}");
        }
    }

    #[test]
    fn an_engine_measures_how_many_lanes_it_gets() {
        let config = EngineConfig {
            threads: 1,
            ..EngineConfig::new(Duration::ZERO)
        };
        let engine = Engine::start(config).unwrap();
        assert!(USEFUL_LANES.contains(&engine.load().lanes));
    }
}
