//! One hash to compute, and its owner.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use super::Error;
use super::lanes::{Digest, HashInput};

/// The precedence of a new hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// Takes turns with the logins.
    Normal,
    /// Comes after all other jobs, and uses at most one lane of a thread, so that a login finds a free lane.
    Low,
}

/// Callers that share one turn, for fairness. What forms a group is decided by the callers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Group(pub u128);

/// A member of a group. The members of a group share its turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Member(pub u128);

/// The number of permits that a group holds now.
pub(super) type Held = Arc<AtomicUsize>;

/// The owner of a job. All jobs that are not of a login share the default owner.
#[derive(Clone, Default)]
pub(super) struct Owner {
    pub(super) group: Group,
    pub(super) member: Member,
    pub(super) held: Option<Held>,
}

impl Owner {
    /// Whether the group has no other login now, neither running nor waiting.
    pub(super) fn is_alone(&self) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| held.load(Ordering::Relaxed) == 1)
    }
}

/// One hash to compute.
pub(super) struct Job {
    /// Boxed, so that it is not moved before it is wiped.
    pub(super) input: Box<HashInput>,
    pub(super) owner: Owner,
    pub(super) precedence: Precedence,
    /// The job is dropped if it has not started by then.
    pub(super) start_before: Option<Instant>,
    pub(super) done: SyncSender<Result<Digest, Error>>,
}
