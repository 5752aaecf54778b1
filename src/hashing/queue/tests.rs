use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use super::super::Cost;
use super::super::job::{Group, Owner};
use super::super::lanes::{Digest, HashInput};
use super::*;

type DigestReceiver = Receiver<Result<Digest, Error>>;

/// A job that the tests recognise by its work.
fn job(work: u8, precedence: Precedence, start_before: Option<Instant>) -> (Job, DigestReceiver) {
    let (done, answer) = sync_channel(1);
    let input = HashInput::new(b"any", &[0; 16], Cost::MIN, Cost::new(work).unwrap());
    let job = Job {
        input: Box::new(input),
        owner: Owner::default(),
        precedence,
        start_before,
        done,
    };
    (job, answer)
}

fn add(queue: &Queue, work: u8, precedence: Precedence) -> (JobId, DigestReceiver) {
    let (job, answer) = job(work, precedence, None);
    (queue.add(job), answer)
}

fn add_of(queue: &Queue, work: u8, group: u128, held: usize) {
    let (mut job, _) = job(work, Precedence::Normal, None);
    job.owner.group = Group(group);
    job.owner.held = Some(Arc::new(AtomicUsize::new(held)));
    queue.add(job);
}

/// The work of each job that this thread gets now for such a lane.
fn works_in(slot: &mut WorkerSlot<'_>, lane: Lane) -> Vec<u8> {
    let jobs = std::iter::from_fn(|| {
        let blocks = slot.in_work == 0 && slot.queue.waiting() == 0;
        if blocks { None } else { slot.next(lane) }
    });
    jobs.map(|job| job.input.rounds().trailing_zeros() as u8)
        .collect()
}

fn works(slot: &mut WorkerSlot<'_>) -> Vec<u8> {
    works_in(slot, Lane::Shared)
}

#[test]
fn jobs_of_low_precedence_come_last() {
    let queue = Queue::new(1);
    let mut slot = queue.slot();
    for (work, precedence) in [
        (4, Precedence::Low),
        (5, Precedence::Normal),
        (6, Precedence::Low),
        (7, Precedence::Normal),
    ] {
        let _ = add(&queue, work, precedence);
    }
    assert_eq!(
        works(&mut slot),
        [5, 7, 4],
        "a second job of low precedence has to wait"
    );
    slot.done(Precedence::Normal);
    assert!(works(&mut slot).is_empty());
    slot.done(Precedence::Low);
    assert_eq!(works(&mut slot), [6]);
    assert_eq!((queue.in_work(), queue.waiting()), (2, 0));
}

#[test]
fn giving_up_waiting_jobs_keeps_those_of_low_precedence_and_refuses_later_ones() {
    let queue = Queue::new(1);
    let (_, waiting) = add(&queue, 4, Precedence::Normal);
    let (_, _low) = add(&queue, 5, Precedence::Low);
    queue.give_up_waiting();
    let (_, later) = add(&queue, 6, Precedence::Normal);
    for given_up in [waiting, later] {
        let answer = given_up.try_recv();
        assert!(matches!(answer, Err(TryRecvError::Disconnected)));
    }
    assert_eq!(works(&mut queue.slot()), [5]);
}

#[test]
fn a_reserved_lane_is_for_the_only_job_of_a_group() {
    let queue = Queue::new(1);
    let mut slot = queue.slot();
    for work in [4, 5, 6] {
        add_of(&queue, work, 1, 3);
    }
    let _ = add(&queue, 7, Precedence::Low);
    assert_eq!(slot.next(Lane::Shared).unwrap().input.rounds(), 1 << 4);
    assert!(works_in(&mut slot, Lane::Reserved).is_empty());
    add_of(&queue, 8, 2, 1);
    add_of(&queue, 9, 3, 1);
    assert_eq!(works_in(&mut slot, Lane::Reserved), [8, 9]);
    assert_eq!(works(&mut slot), [5, 6, 7]);
}

#[test]
fn jobs_go_to_idle_threads_first() {
    let queue = Queue::new(2);
    let (mut one, mut other) = (queue.slot(), queue.slot());
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
fn a_job_that_waited_too_long_is_answered_and_skipped() {
    let queue = Queue::new(1);
    let mut slot = queue.slot();
    let past = Instant::now().checked_sub(Duration::from_millis(1));
    let (late, answer) = job(4, Precedence::Normal, past);
    queue.add(late);
    let _ = add(&queue, 5, Precedence::Normal);
    assert_eq!(works(&mut slot), [5]);
    assert!(matches!(answer.try_recv(), Ok(Err(Error::WaitTooLong))));
}

#[test]
fn only_a_waiting_job_can_be_withdrawn() {
    let queue = Queue::new(1);
    let mut slot = queue.slot();
    let (started, _) = add(&queue, 4, Precedence::Normal);
    assert_eq!(works(&mut slot), [4]);
    let (waiting, _) = add(&queue, 5, Precedence::Low);
    assert!(!queue.withdraw(started));
    assert!(queue.withdraw(waiting));
    assert!(works(&mut slot).is_empty());
}

#[test]
fn no_caller_waits_once_all_threads_are_gone() {
    let queue = Queue::new(2);
    let (one, other) = (queue.slot(), queue.slot());
    let (_, answer) = add(&queue, 4, Precedence::Normal);
    drop(one);
    assert!(matches!(answer.try_recv(), Err(TryRecvError::Empty)));
    drop(other);
    assert!(matches!(answer.try_recv(), Err(TryRecvError::Disconnected)));
    let (_, later) = add(&queue, 5, Precedence::Normal);
    assert!(matches!(later.try_recv(), Err(TryRecvError::Disconnected)));
}
