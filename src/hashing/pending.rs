//! A caller's end of the work it has ordered.
//!
//! Waits in the caller's thread, no longer than the caller may, and never hashes.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use super::Error;
use super::lanes::Digest;
use super::queue::{Number, Queue};

/// Makes of a digest what its caller asked for.
pub(super) type Finish<T> = Box<dyn FnOnce(Digest) -> T + Send>;

/// Work that is started or waits to be. Dropping it does not take it back.
#[must_use = "the answer is what the work was for"]
pub struct Pending<'a, T> {
    queue: &'a Queue,
    number: Number,
    begin_before: Option<Instant>,
    answer: Receiver<Result<Digest, Error>>,
    finish: Finish<T>,
}

impl<'a, T> Pending<'a, T> {
    pub(super) fn new(
        queue: &'a Queue,
        number: Number,
        begin_before: Option<Instant>,
        answer: Receiver<Result<Digest, Error>>,
        finish: Finish<T>,
    ) -> Self {
        Self {
            queue,
            number,
            begin_before,
            answer,
            finish,
        }
    }

    /// Blocks until the answer is there.
    ///
    /// # Errors
    /// [`Error::WaitTooLong`] when the work was not started in its time, [`Error::Stopped`] when the engine ends.
    pub fn wait(self) -> Result<T, Error> {
        let digest = self.digest()?;
        Ok((self.finish)(digest))
    }

    fn digest(&self) -> Result<Digest, Error> {
        if let Some(limit) = self.begin_before {
            let left = limit.saturating_duration_since(Instant::now());
            match self.answer.recv_timeout(left) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Stopped),
                Err(RecvTimeoutError::Timeout) if self.queue.withdraw(self.number) => {
                    return Err(Error::WaitTooLong);
                }
                // In its lane already: now it takes as long as it takes.
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.answer.recv().map_err(|_| Error::Stopped)?
    }
}
