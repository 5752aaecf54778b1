//! `calibrate`: measures how fast this machine hashes, so that the operator can choose a cost.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::output::{print, write_json};
use super::parse;
use crate::hashing::{self, Calibration, Cost, default_threads, fastest_lanes};

/// How long each number of lanes is measured. The whole measurement takes some seconds.
const TIME_EACH: Duration = Duration::from_millis(300);

#[derive(clap::Args)]
pub(super) struct Args {
    /// Maximum time that a login waits for its hash while no other login runs
    #[arg(long, value_name = "DURATION", default_value = "250ms", value_parser = parse::positive_duration)]
    target: Duration,
    /// Number of hashing threads [default: one per core]
    #[arg(long, value_name = "NUMBER", env = "THANOS_LOGIN_HASH_THREADS", value_parser = parse::threads)]
    hash_threads: Option<usize>,
    /// Maximum number of passwords that each thread hashes at once, 1 to 10 [default: the fastest of 6 to 8]
    #[arg(long, value_name = "NUMBER", env = "THANOS_LOGIN_HASH_LANES", value_parser = parse::lanes)]
    hash_lanes: Option<usize>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The times of one cost on this machine.
#[derive(Serialize)]
struct CostRow {
    cost: u8,
    /// The time of a hash that is alone on its core.
    login_ms: f64,
    /// The throughput with 1, 2, ... lanes in use on each core.
    hashes_per_second: Vec<f64>,
}

#[derive(Serialize)]
struct CalibrationReport {
    threads: usize,
    lanes: usize,
    target_ms: f64,
    /// `None` if even the lowest cost takes longer than the target.
    recommended_cost: Option<u8>,
    costs: Vec<CostRow>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let threads = args.hash_threads.unwrap_or_else(default_threads);
    let lanes = args.hash_lanes.unwrap_or_else(fastest_lanes);
    let calibration = hashing::calibrate(threads, lanes, TIME_EACH)?;
    let report = CalibrationReport::new(&calibration, lanes, args.target);
    print(|out| {
        if args.json {
            write_json(out, &report)
        } else {
            report.write_table(out)
        }
    })
}

impl CalibrationReport {
    fn new(calibration: &Calibration, lanes: usize, target: Duration) -> Self {
        let costs = Cost::MIN.get()..=Cost::MAX.get();
        Self {
            threads: calibration.threads,
            lanes,
            target_ms: milliseconds(target),
            recommended_cost: calibration.highest_cost(target).map(Cost::get),
            costs: costs
                .filter_map(|cost| Cost::new(cost).ok())
                .map(|cost| CostRow::new(calibration, cost, lanes))
                .collect(),
        }
    }

    fn write_table(&self, out: &mut dyn Write) -> io::Result<()> {
        let Self {
            threads,
            lanes,
            target_ms,
            ..
        } = self;
        writeln!(
            out,
            "{threads} threads, up to {lanes} lanes each; hashes per second of the whole machine"
        )?;
        writeln!(
            out,
            "cost  login alone  {:>10}  {:>10}",
            "1 lane",
            format!("{lanes} lanes")
        )?;
        for row in &self.costs {
            let first = row.hashes_per_second.first().copied().unwrap_or_default();
            let last = row.hashes_per_second.last().copied().unwrap_or_default();
            writeln!(
                out,
                "{:>4}  {:>8.1} ms  {first:>10.1}  {last:>10.1}",
                row.cost, row.login_ms
            )?;
        }
        match self.recommended_cost {
            Some(cost) => writeln!(
                out,
                "the highest cost within {target_ms} ms: --bcrypt-cost {cost}"
            ),
            None => writeln!(out, "no cost stays within {target_ms} ms on this machine"),
        }
    }
}

impl CostRow {
    fn new(calibration: &Calibration, cost: Cost, lanes: usize) -> Self {
        Self {
            cost: cost.get(),
            login_ms: milliseconds(calibration.time(cost, 1)),
            hashes_per_second: (1..=lanes)
                .map(|lanes| rounded(calibration.hashes_per_second(cost, lanes)))
                .collect(),
        }
    }
}

fn milliseconds(duration: Duration) -> f64 {
    rounded(duration.as_secs_f64() * 1000.0)
}

/// Rounded to three decimal places, more than the measurement is precise to.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
