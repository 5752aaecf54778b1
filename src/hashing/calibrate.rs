//! Measures how fast this machine hashes, so that an operator can choose a cost.
//!
//! Measures lanes, not logins: the results are without queue, network and database, and so the best that the hashing
//! threads can do. Prints nothing.

use std::io;
use std::sync::Barrier;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use super::lanes::{HashInput, Lanes};
use super::{Cost, Error, MAX_LANES};

/// The measured times. The time of any hash follows from them, since a hash of cost c takes 2^c rounds and a fixed
/// overhead.
#[derive(Clone, Debug, PartialEq)]
pub struct Calibration {
    /// The number of threads that hashed at once.
    pub threads: usize,
    /// The time that one hash takes in addition to its rounds; the other lanes of the thread wait meanwhile.
    pub overhead: Duration,
    /// The time of one round with 1, 2, ... lanes in use on each thread.
    pub rounds: Vec<Duration>,
}

/// Measures 1 to `lanes` lanes on all threads at the same time, for about `time` each.
///
/// # Errors
/// [`Error::BadLanes`] when there are not that many, [`Error::Spawn`] when the operating system does not give all
/// threads.
pub fn calibrate(threads: usize, lanes: usize, time: Duration) -> Result<Calibration, Error> {
    if !(1..=MAX_LANES).contains(&lanes) {
        return Err(Error::BadLanes);
    }
    let threads = threads.max(1);
    // All threads measure the same number of lanes at the same time, since they may share a clock, a cache or a core.
    let together = Barrier::new(threads);
    let measure = || {
        let rounds: Vec<Duration> = (1..=lanes)
            .map(|lanes| {
                together.wait();
                round(lanes, time)
            })
            .collect();
        together.wait();
        (rounds, cheapest_hash(time))
    };
    let measured: Vec<(Vec<Duration>, Duration)> = thread::scope(|scope| {
        // No thread starts to measure before all threads exist: it would wait at the barrier for the missing ones.
        let prepare = |_| {
            let (start, started) = channel();
            let measure = move || started.recv().map(|()| measure());
            let thread = thread::Builder::new().spawn_scoped(scope, measure)?;
            Ok((start, thread))
        };
        let others: io::Result<Vec<_>> = (1..threads).map(prepare).collect();
        let others = others.map_err(Error::Spawn)?;
        for (start, _) in &others {
            let _ = start.send(());
        }
        let own = measure();
        let others = others
            .into_iter()
            .filter_map(|(_, other)| other.join().ok()?.ok());
        Ok(std::iter::once(own).chain(others).collect())
    })?;
    let rounds: Vec<Duration> = (0..lanes)
        .map(|place| mean(measured.iter().map(|(rounds, _)| rounds[place])))
        .collect();
    let cheapest = mean(measured.iter().map(|(_, hash)| *hash));
    Ok(Calibration {
        threads,
        overhead: cheapest.saturating_sub(rounds[0] * Cost::MIN.rounds() as u32),
        rounds,
    })
}

impl Calibration {
    /// The time that a login waits for its hash with `lanes` lanes in use on each core. `lanes` is clamped to the
    /// measured range.
    pub fn time(&self, cost: Cost, lanes: usize) -> Duration {
        let lanes = lanes.clamp(1, self.rounds.len());
        self.rounds[lanes - 1] * cost.rounds() as u32 + self.overhead * lanes as u32
    }

    /// The throughput of the whole machine with `lanes` lanes in use on each core.
    pub fn hashes_per_second(&self, cost: Cost, lanes: usize) -> f64 {
        let lanes = lanes.clamp(1, self.rounds.len());
        (self.threads * lanes) as f64 / self.time(cost, lanes).as_secs_f64()
    }

    /// The highest cost at which a single login takes no more than `target`; `None` if even the lowest cost takes
    /// longer.
    pub fn highest_cost(&self, target: Duration) -> Option<Cost> {
        (Cost::MIN.get()..=Cost::MAX.get())
            .rev()
            .filter_map(|cost| Cost::new(cost).ok())
            .find(|cost| self.time(*cost, 1) <= target)
    }
}

fn round(count: usize, time: Duration) -> Duration {
    let mut lanes = Box::new(Lanes::new());
    let longest = input(Cost::MAX);
    while lanes.in_use() < count && lanes.join(&longest, ()).is_ok() {}
    let start = Instant::now();
    let mut rounds = 0;
    while rounds == 0 || start.elapsed() < time {
        lanes.round();
        rounds += 1;
    }
    start.elapsed() / rounds
}

fn cheapest_hash(time: Duration) -> Duration {
    let mut lanes = Box::new(Lanes::new());
    let cheapest = input(Cost::MIN);
    let start = Instant::now();
    let mut hashes = 0;
    while hashes == 0 || start.elapsed() < time {
        let _ = lanes.join(&cheapest, ());
        while lanes.take_finished().is_none() {
            lanes.round();
        }
        hashes += 1;
    }
    start.elapsed() / hashes
}

fn input(cost: Cost) -> HashInput {
    HashInput::new(b"calibrate", &[0; 16], cost, cost)
}

fn mean(times: impl ExactSizeIterator<Item = Duration>) -> Duration {
    let count = times.len() as u32;
    times.sum::<Duration>() / count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(cost: u8) -> Cost {
        Cost::new(cost).unwrap()
    }

    #[test]
    fn costs_follow_from_the_measured_times() {
        let machine = Calibration {
            threads: 2,
            overhead: Duration::from_micros(100),
            rounds: vec![Duration::from_micros(50), Duration::from_micros(60)],
        };
        assert_eq!(machine.time(cost(10), 1), Duration::from_micros(51_300));
        assert_eq!(machine.time(cost(10), 2), Duration::from_micros(61_640));
        assert_eq!(machine.time(cost(10), 9), machine.time(cost(10), 2));
        let rate = machine.hashes_per_second(cost(10), 2);
        assert!((rate - 4.0 / 0.061_64).abs() < 1e-9, "{rate}");
        for (target, highest) in [
            (899, None),
            (900, Some(4)),
            (51_299, Some(9)),
            (51_300, Some(10)),
            (60_000_000, Some(15)),
        ] {
            let found = machine.highest_cost(Duration::from_micros(target));
            assert_eq!(found.map(Cost::get), highest, "{target} microseconds");
        }
    }

    #[test]
    fn this_machine_can_be_measured() {
        let measured = calibrate(2, 3, Duration::from_millis(1)).unwrap();
        assert_eq!((measured.threads, measured.rounds.len()), (2, 3));
        assert!(measured.hashes_per_second(cost(4), 3) > 0.0);
        let refused = calibrate(1, 0, Duration::ZERO);
        assert!(matches!(refused, Err(Error::BadLanes)));
    }
}
