//! The caller's handle to a job that runs or waits.
//!
//! Waits in the caller's thread, no longer than the caller's limit, and never hashes.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Instant;

use super::Error;
use super::lanes::Digest;
use super::queue::{JobId, Queue};

/// Turns the digest into the result that the caller asked for.
pub(super) type Finish<T> = Box<dyn FnOnce(Digest) -> T + Send>;

/// A job that runs or waits. Dropping this does not cancel the job.
#[must_use = "the job's result is lost unless it is waited for"]
pub struct Pending<'a, T> {
    queue: &'a Queue,
    job: JobId,
    start_before: Option<Instant>,
    answer: Receiver<Result<Digest, Error>>,
    finish: Finish<T>,
}

impl<'a, T> Pending<'a, T> {
    pub(super) fn new(
        queue: &'a Queue,
        job: JobId,
        start_before: Option<Instant>,
        answer: Receiver<Result<Digest, Error>>,
        finish: Finish<T>,
    ) -> Self {
        Self {
            queue,
            job,
            start_before,
            answer,
            finish,
        }
    }

    /// Blocks until the result is known.
    ///
    /// # Errors
    /// [`Error::WaitTooLong`] when the job did not start in time, [`Error::Stopped`] when the engine ends.
    pub fn wait(self) -> Result<T, Error> {
        let digest = self.digest()?;
        Ok((self.finish)(digest))
    }

    fn digest(&self) -> Result<Digest, Error> {
        if let Some(limit) = self.start_before {
            let left = limit.saturating_duration_since(Instant::now());
            match self.answer.recv_timeout(left) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Stopped),
                Err(RecvTimeoutError::Timeout) if self.queue.withdraw(self.job) => {
                    return Err(Error::WaitTooLong);
                }
                // The job is already in a lane, and is not interrupted there.
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
        self.answer.recv().map_err(|_| Error::Stopped)?
    }
}
