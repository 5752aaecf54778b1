//! The loop of a hashing thread: fill the lanes, run one round, send the finished digests.
//!
//! A lane is refilled as soon as it is empty, however far the other lanes are. Besides the lanes that all jobs share
//! there is one reserved lane. The order of the jobs and the share of each thread are decided in `queue`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use super::Error;
use super::job::{Job, Precedence};
use super::lanes::{Digest, Lanes};
use super::queue::{Lane, WorkerSlot};

/// A job that is in a lane: what remains of it once its input has been copied there.
struct RunningJob {
    rounds: u64,
    precedence: Precedence,
    done: SyncSender<Result<Digest, Error>>,
}

/// Runs until the queue is stopped and all started jobs are finished.
pub(super) fn work(mut slot: WorkerSlot<'_>, shared_lanes: usize, rounds_done: &AtomicU64) {
    let mut lanes = Box::new(Lanes::new());
    loop {
        fill(&mut lanes, shared_lanes, &mut slot);
        if lanes.in_use() == 0 {
            return;
        }
        lanes.round();
        while let Some((job, digest)) = lanes.take_finished() {
            slot.done(job.precedence);
            rounds_done.fetch_add(job.rounds, Ordering::Relaxed);
            // The receiver is gone if the caller has given up.
            let _ = job.done.send(Ok(digest));
        }
    }
}

fn fill(lanes: &mut Lanes<RunningJob>, shared: usize, slot: &mut WorkerSlot<'_>) {
    while lanes.in_use() <= shared {
        let lane = match lanes.in_use() {
            in_use if in_use < shared => Lane::Shared,
            _ => Lane::Reserved,
        };
        let Some(job) = slot.next(lane) else { return };
        start(lanes, job, slot);
    }
}

fn start(lanes: &mut Lanes<RunningJob>, job: Job, slot: &mut WorkerSlot<'_>) {
    let running = RunningJob {
        rounds: job.input.rounds(),
        precedence: job.precedence,
        done: job.done,
    };
    if let Err(refused) = lanes.join(&job.input, running) {
        slot.done(refused.precedence);
    }
}
