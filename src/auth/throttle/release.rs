//! Releases the reservations of ended attempts in the database, in the background.
//!
//! No answer waits for it. While the database is unavailable the reservations wait here, as many as there were running
//! logins.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Subject;
use crate::store::{AttemptId, Store};

/// The time between two calls of a database that is unavailable.
const RETRY_INTERVAL: Duration = Duration::from_millis(500);

/// The handle of the releasing thread. Dropping it waits until all reservations are released, or until one call has
/// failed.
pub(super) struct ReservationReleaser {
    ended: Option<Sender<(Subject, AttemptId)>>,
    thread: Option<JoinHandle<()>>,
}

impl ReservationReleaser {
    /// `on_release` is called after each release.
    pub(super) fn start(
        store: Arc<Store>,
        on_release: impl Fn(&Subject) + Send + 'static,
    ) -> io::Result<Self> {
        let (ended, waiting) = channel();
        let thread = thread::Builder::new()
            .name("login-attempts".to_owned())
            .spawn(move || run(&store, &waiting, on_release))?;
        Ok(Self {
            ended: Some(ended),
            thread: Some(thread),
        })
    }

    pub(super) fn add(&self, subject: Subject, attempt: AttemptId) {
        if let Some(ended) = &self.ended {
            // If the thread has ended, the attempt counts as in progress until its reservation expires.
            let _ = ended.send((subject, attempt));
        }
    }
}

impl Drop for ReservationReleaser {
    fn drop(&mut self) {
        self.ended = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(store: &Store, waiting: &Receiver<(Subject, AttemptId)>, on_release: impl Fn(&Subject)) {
    let mut ended = Vec::new();
    loop {
        let first = match ended.is_empty() {
            true => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => waiting.recv_timeout(RETRY_INTERVAL),
        };
        let is_over = matches!(first, Err(RecvTimeoutError::Disconnected));
        ended.extend(first.into_iter().chain(waiting.try_iter()));
        let attempts: Vec<AttemptId> = ended.iter().map(|(_, attempt)| *attempt).collect();
        if !attempts.is_empty() && store.end_login_attempts(&attempts).is_ok() {
            ended
                .drain(..)
                .for_each(|(subject, _)| on_release(&subject));
        }
        if is_over {
            return;
        }
    }
}
