//! Giving back tries that a database counts as in flight, behind their answers.
//!
//! No answer waits for it. While the database is away, tries that have ended wait here, as many as logins were in work.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Subject;
use crate::store::{AttemptId, Store};

/// Time between two tries to reach the database.
const AGAIN_AFTER: Duration = Duration::from_millis(500);

/// The thread that does it. Dropping it waits until all are given back, or once in vain.
pub(super) struct Ending {
    ended: Option<Sender<(Subject, AttemptId)>>,
    thread: Option<JoinHandle<()>>,
}

impl Ending {
    /// `is_given_back` is called afterwards.
    pub(super) fn start(
        store: Arc<Store>,
        is_given_back: impl Fn(&Subject) + Send + 'static,
    ) -> io::Result<Self> {
        let (ended, waiting) = channel();
        let thread = thread::Builder::new()
            .name("login-attempts".to_owned())
            .spawn(move || run(&store, &waiting, is_given_back))?;
        Ok(Self {
            ended: Some(ended),
            thread: Some(thread),
        })
    }

    pub(super) fn add(&self, subject: Subject, attempt: AttemptId) {
        if let Some(ended) = &self.ended {
            // Where the thread has ended, the try counts until its time is over.
            let _ = ended.send((subject, attempt));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.ended = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(store: &Store, waiting: &Receiver<(Subject, AttemptId)>, is_given_back: impl Fn(&Subject)) {
    let mut ended = Vec::new();
    loop {
        let first = match ended.is_empty() {
            true => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => waiting.recv_timeout(AGAIN_AFTER),
        };
        let is_over = matches!(first, Err(RecvTimeoutError::Disconnected));
        ended.extend(first.into_iter().chain(waiting.try_iter()));
        let attempts: Vec<AttemptId> = ended.iter().map(|(_, attempt)| *attempt).collect();
        if !attempts.is_empty() && store.end_login_attempts(&attempts).is_ok() {
            ended
                .drain(..)
                .for_each(|(subject, _)| is_given_back(&subject));
        }
        if is_over {
            return;
        }
    }
}
