//! The queue of attempts that wait for attempts in progress, in the order of arrival.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::{Attempt, Subject};
use crate::auth::Error;
use crate::hashing;

#[derive(Default)]
pub(super) struct Queue {
    /// By number, so in the order of arrival.
    pub(super) waiting: BTreeMap<u64, Waiting>,
    next_number: u64,
    is_stopped: bool,
}

pub(super) struct Waiting {
    pub(super) subject: Subject,
    /// Sends the attempt that may go on. Dropping it makes the caller call `admit` again.
    pub(super) attempt: SyncSender<Attempt>,
}

impl Queue {
    /// Adds an attempt. Returns its number, and the channel on which it is granted.
    ///
    /// # Errors
    /// [`hashing::Error::Stopped`].
    pub(super) fn add(&mut self, subject: Subject) -> Result<(u64, Receiver<Attempt>), Error> {
        if self.is_stopped {
            return Err(hashing::Error::Stopped.into());
        }
        let (attempt, receiver) = sync_channel(1);
        let number = self.next_number;
        self.next_number += 1;
        self.waiting.insert(number, Waiting { subject, attempt });
        Ok((number, receiver))
    }

    /// Makes the first attempt that may wait for this subject be admitted again.
    pub(super) fn wake_first(&mut self, subject: &Subject) {
        let mut waiting = self.waiting.iter();
        let first = waiting.find(|(_, waiting)| waiting.subject.may_wait_for(subject));
        if let Some((&number, _)) = first {
            self.waiting.remove(&number);
        }
    }

    /// Makes all queued attempts be admitted again, and queues no further ones.
    pub(super) fn stop(&mut self) {
        self.is_stopped = true;
        self.waiting.clear();
    }
}
