//! How fast the lanes are, as multiples of the `bcrypt` crate in the same run: `cargo bench --bench hashing`.
//!
//! Every sample stands between two samples of the crate. "A core" compares hashes a second of processor time, which says
//! what the lanes are worth even while others use the machine. "The clock" compares hashes a second as a caller sees them, and
//! leaves out samples beside which the crate came more than 15 % below its undisturbed rate: somebody else had the core.
//! Printed are medians of ratios; absolute rates are `thanos-login calibrate`'s business.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::unwrap_used)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use thanos_login::hashing::{
    Cost, Engine, EngineConfig, Group, Lanes, MAX_LANES, Member, Order, Password, PasswordHash,
    Permits, default_lanes, default_threads,
};

/// Dear enough that the rounds are nearly all of it, as at the costs that servers use.
const COST: u8 = 8;
const SAMPLES: usize = 25;
const SLOWEST_CRATE: f64 = 0.85;

/// Hashes of `COST` a second.
#[derive(Clone, Copy)]
struct Rate {
    of_processor_time: f64,
    on_the_clock: f64,
}

struct Subject<'a> {
    name: String,
    run: Box<dyn FnMut() -> Rate + 'a>,
    samples: Vec<Sample>,
}

struct Sample {
    own: Rate,
    /// The crate's, just before and just after.
    beside: [Rate; 2],
}

impl Sample {
    fn ratio(&self, which: fn(&Rate) -> f64) -> f64 {
        which(&self.own) * 2.0 / (which(&self.beside[0]) + which(&self.beside[1]))
    }

    fn is_undisturbed(&self, usual: f64) -> bool {
        let slowest = usual * SLOWEST_CRATE;
        self.beside.iter().all(|rate| rate.on_the_clock >= slowest)
    }
}

fn main() {
    let one_thread = engine(1);
    let all_threads = engine(default_threads());
    let hash: PasswordHash = bcrypt::hash("thanosrocks", u32::from(COST))
        .unwrap()
        .parse()
        .unwrap();
    let mut subjects: Vec<Subject<'_>> = (1..=MAX_LANES)
        .map(|lanes| subject(&format!("{lanes} lanes"), move || full_lanes(lanes)))
        .collect();
    subjects.push(subject("lone login", || lone_login(&all_threads, &hash)));
    subjects.push(subject("mixed queue, 1 thread", || {
        mixed_queue(&one_thread)
    }));
    let together = format!("mixed queue, {} threads", default_threads());
    subjects.push(subject(&together, || mixed_queue(&all_threads)));

    for _ in 0..SAMPLES {
        for subject in &mut subjects {
            let before = crate_rate();
            let own = (subject.run)();
            let beside = [before, crate_rate()];
            subject.samples.push(Sample { own, beside });
        }
    }
    report(&subjects);
}

fn subject<'a>(name: &str, run: impl FnMut() -> Rate + 'a) -> Subject<'a> {
    Subject {
        name: name.to_owned(),
        run: Box::new(run),
        samples: Vec::new(),
    }
}

fn report(subjects: &[Subject<'_>]) {
    let samples = subjects.iter().flat_map(|subject| &subject.samples);
    let beside = samples.flat_map(|sample| sample.beside);
    let usual = at_fraction(beside.map(|rate| rate.on_the_clock), 0.9);
    println!("bcrypt crate: {usual:.1} hashes a second at cost {COST}; multiples of it:");
    println!(
        "{:26} {:>8} {:>10} {:>8}",
        "", "a core", "the clock", "samples"
    );
    for subject in subjects {
        let samples = subject.samples.iter();
        let core = at_fraction(
            samples
                .clone()
                .map(|sample| sample.ratio(|rate| rate.of_processor_time)),
            0.5,
        );
        let undisturbed = samples.filter(|sample| sample.is_undisturbed(usual));
        let count = undisturbed.clone().count();
        let clock = at_fraction(
            undisturbed.map(|sample| sample.ratio(|rate| rate.on_the_clock)),
            0.5,
        );
        println!("{:26} {core:8.2} {clock:10.2} {count:8}", subject.name);
    }
}

/// The value below which that fraction of all values lies; 0.5 is the median.
fn at_fraction(values: impl Iterator<Item = f64>, fraction: f64) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let place = values.len() as f64 * fraction;
    values.get(place as usize).copied().unwrap_or(f64::NAN)
}

fn cost(cost: u8) -> Cost {
    Cost::new(cost).unwrap()
}

fn engine(threads: usize) -> Engine {
    let max_wait = Duration::from_secs(600);
    let lanes = default_lanes();
    Engine::start(EngineConfig {
        threads,
        lanes,
        max_wait,
    })
    .unwrap()
}

fn rate(hashes: f64, work: impl FnOnce()) -> Rate {
    let (begin, processor_before) = (Instant::now(), processor_time());
    work();
    Rate {
        of_processor_time: hashes / (processor_time() - processor_before).as_secs_f64(),
        on_the_clock: hashes / begin.elapsed().as_secs_f64(),
    }
}

/// Of all threads of this process.
fn processor_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}

fn crate_rate() -> Rate {
    rate(1.0, || {
        black_box(bcrypt::bcrypt(
            u32::from(COST),
            black_box([7; 16]),
            b"thanosrocks\0",
        ));
    })
}

/// The lanes by themselves, all begun at once.
fn full_lanes(count: usize) -> Rate {
    let mut lanes = Box::new(Lanes::new());
    let order = Order::new(b"thanosrocks", &[7; 16], cost(COST), cost(COST));
    rate(count as f64, || {
        for _ in 0..count {
            assert!(lanes.join(&order, ()).is_ok());
        }
        while lanes.in_use() > 0 {
            lanes.round();
            while let Some((_, digest)) = lanes.take_finished() {
                black_box(digest);
            }
        }
    })
}

/// What somebody waits who logs in while nobody else does, threads and queue included.
fn lone_login(engine: &Engine, hash: &PasswordHash) -> Rate {
    let permits = Permits::new(1);
    let password = Password::new("thanosrocks".to_owned());
    rate(1.0, || {
        let permit = permits.admit(Group::default()).unwrap();
        assert!(
            engine
                .verify(
                    &permit,
                    Member::default(),
                    &password,
                    Some(hash),
                    cost(COST)
                )
                .unwrap()
        );
    })
}

/// A queue in which costs differ by a factor of eight, from the first hash to the last; in hashes of `COST`.
fn mixed_queue(engine: &Engine) -> Rate {
    let password = Password::new("thanosrocks".to_owned());
    let costs = (0..64).map(|number| cost(COST - 2 + number % 4));
    let rounds: u64 = costs.clone().map(Cost::rounds).sum();
    let hashes = rounds as f64 / cost(COST).rounds() as f64;
    rate(hashes, || {
        let pending: Vec<_> = costs
            .map(|cost| engine.begin_verify(&password, None, cost))
            .collect();
        for pending in pending {
            assert!(!pending.wait().unwrap());
        }
    })
}
