//! What a hashing thread does all its life: fill lanes, do a round, hand out what is finished.
//!
//! A lane is refilled as soon as it is empty, whatever the others are at. Decides nothing about order or shares: that is
//! `queue`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use super::Error;
use super::lanes::{Digest, Lanes};
use super::queue::{Precedence, Seat};

/// Whom a lane works for.
struct Ticket {
    rounds: u64,
    precedence: Precedence,
    done: SyncSender<Result<Digest, Error>>,
}

/// Works until the queue is stopped and what was begun is done.
pub(super) fn work(mut seat: Seat<'_>, width: usize, rounds_done: &AtomicU64) {
    let mut lanes = Box::new(Lanes::new());
    loop {
        fill(&mut lanes, width, &mut seat);
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

fn fill(lanes: &mut Lanes<Ticket>, width: usize, seat: &mut Seat<'_>) {
    while lanes.in_use() < width {
        let Some(job) = seat.next() else { return };
        let ticket = Ticket {
            rounds: job.order.rounds(),
            precedence: job.precedence,
            done: job.done,
        };
        if let Err(ticket) = lanes.join(&job.order, ticket) {
            seat.done(ticket.precedence);
        }
    }
}
