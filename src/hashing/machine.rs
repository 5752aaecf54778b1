//! What this machine is good for: how many hashing threads, and how many lanes each.
//!
//! Looked up rather than measured: a measurement short enough for a start would differ from start to start.

use std::fs;
use std::num::NonZero;
use std::thread;

/// More lanes than this gain less than they make each login wait, even where the cache has room for them.
const MOST_USEFUL_LANES: usize = 8;

/// What a lane keeps in the cache: its tables and its subkeys, with a little for what is on the stack.
const LANE_BYTES: usize = 4 * 1024 + 200;

/// What everything else in the loop needs of the cache.
const OTHER_BYTES: usize = 2 * 1024;

/// One thread for each core this process may use: hashing never waits for anything.
pub fn default_threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// As many lanes as fit into the first-level cache beside the one that is held back: 6 into 32 KiB, 8 into 48.
pub fn default_lanes() -> usize {
    first_level_cache().map_or(MOST_USEFUL_LANES, lanes_in)
}

fn lanes_in(cache_bytes: usize) -> usize {
    let fitting = cache_bytes.saturating_sub(OTHER_BYTES) / LANE_BYTES;
    fitting.saturating_sub(1).clamp(1, MOST_USEFUL_LANES)
}

/// The bytes of data cache that one thread can count on; `None` where the kernel does not tell.
fn first_level_cache() -> Option<usize> {
    let read = |file: &str| {
        fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cache/index0/{file}")).ok()
    };
    if read("type")?.trim() != "Data" {
        return None;
    }
    let bytes = kibibytes(&read("size")?)?;
    // Two threads of one core share its cache.
    let sharing = read("shared_cpu_list").map_or(1, |list| processors(&list));
    Some(bytes / sharing)
}

/// `48K`
fn kibibytes(text: &str) -> Option<usize> {
    let number: usize = text.trim().strip_suffix('K')?.parse().ok()?;
    number.checked_mul(1024)
}

/// How many processors a list such as `0,32` or `0-1` has.
fn processors(list: &str) -> usize {
    let count = |range: &str| match range.split_once('-') {
        Some((first, last)) => {
            let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
            last.checked_sub(first)?.checked_add(1)
        }
        None => range.parse().ok().map(|_: usize| 1),
    };
    let counts: Option<Vec<usize>> = list.trim().split(',').map(count).collect();
    counts.map_or(1, |counts| counts.iter().sum::<usize>().max(1))
}

#[cfg(test)]
mod tests {
    use super::super::MAX_LANES;
    use super::*;

    #[test]
    fn lanes_fill_the_cache_and_no_more() {
        for (kib, lanes) in [(16, 2), (32, 6), (48, 8), (64, 8), (0, 1)] {
            assert_eq!(lanes_in(kib * 1024), lanes, "{kib} KiB");
        }
        assert!((1..=MAX_LANES).contains(&default_lanes()));
    }

    #[test]
    fn the_kernels_lists_are_counted() {
        for (list, count) in [
            ("0\n", 1),
            ("0-1\n", 2),
            ("0,32", 2),
            ("0-1,8-9", 4),
            ("", 1),
            ("x", 1),
        ] {
            assert_eq!(processors(list), count, "{list:?}");
        }
        assert_eq!(kibibytes("48K\n"), Some(48 * 1024));
        assert_eq!(kibibytes("1M"), None);
    }
}
