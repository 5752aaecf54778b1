//! Chooses the number of hashing threads for this machine, and the number of lanes for each.

use std::iter;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::thread;
use std::time::{Duration, Instant};

use super::Cost;
use super::lanes::{HashInput, Lanes};

/// The fastest number of lanes is one of these; which one depends on the size of the first-level cache. More lanes gain
/// less than they delay each login, even if they fit into the cache.
const USEFUL_LANES: RangeInclusive<usize> = 6..=8;

/// Rounds to measure for each number of lanes. A round takes less than a tenth of a millisecond. The shortest one
/// counts, since nothing has interrupted it.
const ROUNDS: usize = 4;

/// One thread for each core that this process may use, since a hashing thread never waits for I/O.
pub fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// The number of lanes with the highest throughput. Measuring it takes about a millisecond.
pub fn fastest_lanes() -> usize {
    let mut lanes = Box::new(Lanes::new());
    let endless = HashInput::new(b"", &[0; 16], Cost::MAX, Cost::MAX);
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

/// The number of lanes for which a round takes the least time per lane.
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
    fn the_number_of_lanes_with_the_highest_throughput_is_chosen() {
        // The throughput of 6, 7 and 8 lanes: with 32 KiB of cache, with 48 KiB, between the two, and all equal.
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
    fn an_engine_measures_its_number_of_lanes() {
        let config = EngineConfig {
            threads: 1,
            ..EngineConfig::new(Duration::ZERO)
        };
        let engine = Engine::start(config).unwrap();
        assert!(USEFUL_LANES.contains(&engine.load().lanes));
    }
}
