//! What a hashing thread does all its life: fill lanes, do a round, hand out what is finished.
//!
//! A lane is refilled as soon as it is empty, whatever the others are at. Beyond the lanes that all work shares there is one
//! that is held back for whatever may have it. Decides nothing about order or shares: that is `queue`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use super::Error;
use super::job::{Job, Precedence};
use super::lanes::{Digest, Lanes};
use super::queue::{Lane, Seat};

/// Whom a lane works for.
struct Ticket {
    rounds: u64,
    precedence: Precedence,
    done: SyncSender<Result<Digest, Error>>,
}

/// Works until the queue is stopped and what was started is done.
pub(super) fn work(mut seat: Seat<'_>, shared_lanes: usize, rounds_done: &AtomicU64) {
    let mut lanes = Box::new(Lanes::new());
    loop {
        fill(&mut lanes, shared_lanes, &mut seat);
        if lanes.in_use() == 0 {
            return;
        }
        lanes.round();
        while let Some((ticket, digest)) = lanes.take_finished() {
            seat.done(ticket.precedence);
            rounds_done.fetch_add(ticket.rounds, Ordering::Relaxed);
            // A caller that is gone needs no answer.
            let _ = ticket.done.send(Ok(digest));
        }
    }
}

fn fill(lanes: &mut Lanes<Ticket>, shared: usize, seat: &mut Seat<'_>) {
    while lanes.in_use() <= shared {
        let lane = match lanes.in_use() {
            in_use if in_use < shared => Lane::Shared,
            _ => Lane::HeldBack,
        };
        let Some(job) = seat.next(lane) else { return };
        start(lanes, job, seat);
    }
}

fn start(lanes: &mut Lanes<Ticket>, job: Job, seat: &mut Seat<'_>) {
    let ticket = Ticket {
        rounds: job.order.rounds(),
        precedence: job.precedence,
        done: job.done,
    };
    if let Err(ticket) = lanes.join(&job.order, ticket) {
        seat.done(ticket.precedence);
    }
}
