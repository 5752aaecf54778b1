//! One hash that somebody waits for, and for whom it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use super::Error;
use super::lanes::{Digest, Order};

/// Whether somebody waits for a new hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// In turn with the logins.
    Normal,
    /// After everything else, and in one lane of a thread at most, so that a login finds a free one.
    Low,
}

/// Callers that are one when it comes to fairness; the callers decide what it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Group(pub u128);

/// One of a group, with which it shares the group's turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Member(pub u128);

/// How many permits a group has now.
pub(super) type Held = Arc<AtomicUsize>;

/// For whom a hash is. The default is for all work that is not a login's.
#[derive(Clone, Default)]
pub(super) struct Owner {
    pub(super) group: Group,
    pub(super) member: Member,
    pub(super) held: Option<Held>,
}

impl Owner {
    /// Whether the group has nothing else in work or waiting now.
    pub(super) fn is_alone(&self) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| held.load(Ordering::Relaxed) == 1)
    }
}

/// One hash to make.
pub(super) struct Job {
    /// Boxed, so that it stays where it is until it is wiped.
    pub(super) order: Box<Order>,
    pub(super) owner: Owner,
    pub(super) precedence: Precedence,
    /// Not started later than this.
    pub(super) begin_before: Option<Instant>,
    pub(super) done: SyncSender<Result<Digest, Error>>,
}
