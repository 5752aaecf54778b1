//! Rates, and their ratios in interleaved rounds.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// A round is ignored when its reference was slower than this share of the reference's median: the machine had other work
/// then.
const STEADY: f64 = 0.85;

/// The time after which no further round of a ratio starts, once there are [`MIN_ROUNDS`].
const PATIENCE: Duration = Duration::from_secs(20);
const MIN_ROUNDS: usize = 3;

/// The number of pieces of work per second.
#[derive(Clone, Copy)]
pub struct Rate {
    /// Per second of elapsed time, as a client sees it.
    pub on_the_clock: f64,
    /// Per second of processor time of this process, including the load generator. Other work of the machine hardly affects
    /// it.
    pub of_processor_time: f64,
}

/// Measures the rate at which `work` does its `count` pieces.
pub fn rate(count: f64, work: impl FnOnce()) -> Rate {
    rate_by(processor_seconds, count, work)
}

/// Measures a rate with another measure of processor time, in seconds.
pub fn rate_by(processor_seconds: impl Fn() -> f64, count: f64, work: impl FnOnce()) -> Rate {
    let (started, seconds_before) = (Instant::now(), processor_seconds());
    work();
    Rate {
        on_the_clock: count / started.elapsed().as_secs_f64(),
        of_processor_time: count / (processor_seconds() - seconds_before),
    }
}

/// Measures the rate of `count` pieces of work with one thread per worker. Each thread takes the next piece when it has
/// finished one.
pub fn rate_of_threads<W: Send>(
    workers: &mut [W],
    count: usize,
    work: impl Fn(&mut W, usize) + Sync,
) -> Rate {
    let next = AtomicUsize::new(0);
    let take = || Some(next.fetch_add(1, Ordering::Relaxed)).filter(|piece| *piece < count);
    rate(count as f64, || {
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

/// The processor time of all threads of this process, in seconds.
fn processor_seconds() -> f64 {
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
    let started = Instant::now();
    let mut before = reference();
    let measured: Vec<[Rate; 3]> = (0..rounds)
        .take_while(|round| *round < MIN_ROUNDS || started.elapsed() < PATIENCE)
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

/// The median of the values.
pub fn median(values: impl Iterator<Item = f64>) -> f64 {
    percentile(50, values)
}

/// The value below which this percentage of the values lies; NaN when there are none.
pub fn percentile(percent: usize, values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let place = values.len().saturating_sub(1) as f64 * percent as f64 / 100.0;
    let at = |place: f64| values.get(place as usize).copied().unwrap_or(f64::NAN);
    at(place.floor()) + (at(place.ceil()) - at(place.floor())) * place.fract()
}
