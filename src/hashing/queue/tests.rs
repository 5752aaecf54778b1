use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use super::super::Cost;
use super::super::job::{Group, Owner};
use super::super::lanes::{Digest, Order};
use super::*;

type Answer = Receiver<Result<Digest, Error>>;

/// A job that is known by its work.
fn job(work: u8, precedence: Precedence, begin_before: Option<Instant>) -> (Job, Answer) {
    let (done, answer) = sync_channel(1);
    let order = Order::new(b"any", &[0; 16], Cost::MIN, Cost::new(work).unwrap());
    let job = Job {
        order: Box::new(order),
        owner: Owner::default(),
        precedence,
        begin_before,
        done,
    };
    (job, answer)
}

fn add(queue: &Queue, work: u8, precedence: Precedence) -> (Number, Answer) {
    let (job, answer) = job(work, precedence, None);
    (queue.add(job), answer)
}

fn add_of(queue: &Queue, work: u8, group: u128, held: usize) {
    let (mut job, _) = job(work, Precedence::Normal, None);
    job.owner.group = Group(group);
    job.owner.held = Some(Arc::new(AtomicUsize::new(held)));
    queue.add(job);
}

/// The works of all jobs that this seat gets now for such lanes.
fn works_in(seat: &mut Seat<'_>, lane: Lane) -> Vec<u8> {
    let jobs = std::iter::from_fn(|| {
        let blocks = seat.in_work == 0 && seat.queue.waiting() == 0;
        if blocks { None } else { seat.next(lane) }
    });
    jobs.map(|job| job.order.rounds().trailing_zeros() as u8)
        .collect()
}

fn works(seat: &mut Seat<'_>) -> Vec<u8> {
    works_in(seat, Lane::Shared)
}

#[test]
fn in_turn_and_low_precedence_last() {
    let queue = Queue::new(1);
    let mut seat = queue.seat();
    for (work, precedence) in [
        (4, Precedence::Low),
        (5, Precedence::Normal),
        (6, Precedence::Low),
        (7, Precedence::Normal),
    ] {
        let _ = add(&queue, work, precedence);
    }
    assert_eq!(
        works(&mut seat),
        [5, 7, 4],
        "and a second low one has to wait"
    );
    seat.done(Precedence::Normal);
    assert!(works(&mut seat).is_empty());
    seat.done(Precedence::Low);
    assert_eq!(works(&mut seat), [6]);
    assert_eq!((queue.in_work(), queue.waiting()), (2, 0));
}

#[test]
fn who_waits_may_be_given_up_and_what_has_low_precedence_goes_on() {
    let queue = Queue::new(1);
    let (_, waiting) = add(&queue, 4, Precedence::Normal);
    let (_, _low) = add(&queue, 5, Precedence::Low);
    queue.give_up_waiting();
    assert!(matches!(
        waiting.try_recv(),
        Err(TryRecvError::Disconnected)
    ));
    assert_eq!(works(&mut queue.seat()), [5]);
}

#[test]
fn a_lane_that_is_held_back_is_for_who_has_nothing_else() {
    let queue = Queue::new(1);
    let mut seat = queue.seat();
    for work in [4, 5, 6] {
        add_of(&queue, work, 1, 3);
    }
    let _ = add(&queue, 7, Precedence::Low);
    assert_eq!(seat.next(Lane::Shared).unwrap().order.rounds(), 1 << 4);
    assert!(works_in(&mut seat, Lane::HeldBack).is_empty());
    add_of(&queue, 8, 2, 1);
    add_of(&queue, 9, 3, 1);
    assert_eq!(works_in(&mut seat, Lane::HeldBack), [8, 9]);
    assert_eq!(works(&mut seat), [5, 6, 7]);
}

#[test]
fn work_goes_to_idle_threads_before_two_share_one() {
    let queue = Queue::new(2);
    let (mut one, mut other) = (queue.seat(), queue.seat());
    let _ = add(&queue, 4, Precedence::Normal);
    assert_eq!(works(&mut one), [4]);
    let _ = add(&queue, 5, Precedence::Normal);
    assert!(works(&mut one).is_empty());
    assert_eq!(works(&mut other), [5]);
    for work in [6, 7, 8, 9] {
        let _ = add(&queue, work, Precedence::Normal);
    }
    assert_eq!(works(&mut other), [6, 7]);
    assert_eq!(works(&mut one), [8, 9]);
}

#[test]
fn what_waited_too_long_is_answered_and_skipped() {
    let queue = Queue::new(1);
    let mut seat = queue.seat();
    let past = Instant::now().checked_sub(Duration::from_millis(1));
    let (late, answer) = job(4, Precedence::Normal, past);
    queue.add(late);
    let _ = add(&queue, 5, Precedence::Normal);
    assert_eq!(works(&mut seat), [5]);
    assert!(matches!(answer.try_recv(), Ok(Err(Error::WaitTooLong))));
}

#[test]
fn only_what_still_waits_is_withdrawn() {
    let queue = Queue::new(1);
    let mut seat = queue.seat();
    let (started, _) = add(&queue, 4, Precedence::Normal);
    assert_eq!(works(&mut seat), [4]);
    let (waiting, _) = add(&queue, 5, Precedence::Low);
    assert!(!queue.withdraw(started));
    assert!(queue.withdraw(waiting));
    assert!(works(&mut seat).is_empty());
}

#[test]
fn nobody_waits_for_threads_that_are_gone() {
    let queue = Queue::new(2);
    let (one, other) = (queue.seat(), queue.seat());
    let (_, answer) = add(&queue, 4, Precedence::Normal);
    drop(one);
    assert!(matches!(answer.try_recv(), Err(TryRecvError::Empty)));
    drop(other);
    assert!(matches!(answer.try_recv(), Err(TryRecvError::Disconnected)));
    let (_, later) = add(&queue, 5, Precedence::Normal);
    assert!(matches!(later.try_recv(), Err(TryRecvError::Disconnected)));
}
