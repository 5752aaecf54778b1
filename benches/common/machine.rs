//! The machine on which the benches run.

use std::fs;
use std::thread;

/// Prints the processor, the number of cores that this process may use, and the size of the L1 data cache.
pub fn print() {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cache = fs::read_to_string("/sys/devices/system/cpu/cpu0/cache/index0/size");
    println!(
        "{}, {} cores, L1d {}",
        model.map_or("unknown processor", |(_, model)| model),
        thread::available_parallelism().map_or(1, usize::from),
        cache.as_deref().map_or("unknown", str::trim),
    );
}
