//! Hashes a password again with the configured cost, after its login has been answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::{fmt, io};

use super::Error;
use crate::hashing::{Cost, Engine, Password, Precedence};
use crate::store::Store;

/// How many rehashes may wait. A further one is dropped, and repeated by the user's next login.
const MAX_WAITING: usize = 64;

/// A password to be rehashed, to be started once its login is answered. Losing it does no harm.
pub struct Rehash {
    user_id: i64,
    revision: i64,
    password: Password,
    rehashes: SyncSender<Rehash>,
}

/// The handle of the rehashing thread, which hashes one password at a time and only while no login waits. Dropping it
/// discards the waiting rehashes.
pub(super) struct Rehasher {
    rehashes: Option<SyncSender<Rehash>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Rehasher {
    pub(super) fn start(store: Arc<Store>, engine: Arc<Engine>, cost: Cost) -> io::Result<Self> {
        let (rehashes, waiting) = sync_channel(MAX_WAITING);
        let stopping = Arc::new(AtomicBool::new(false));
        let is_stopping = Arc::clone(&stopping);
        let thread = thread::Builder::new()
            .name("rehash".to_owned())
            .spawn(move || run(&waiting, &store, &engine, cost, &is_stopping))?;
        Ok(Self {
            rehashes: Some(rehashes),
            stopping,
            thread: Some(thread),
        })
    }

    /// Prepares a rehash without starting it.
    pub(super) fn prepare(
        &self,
        user_id: i64,
        revision: i64,
        password: &Password,
    ) -> Option<Rehash> {
        Some(Rehash {
            user_id,
            revision,
            password: password.clone(),
            rehashes: self.rehashes.clone()?,
        })
    }
}

impl Drop for Rehasher {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Release);
        self.rehashes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Rehash {
    /// Passes it to the rehashing thread.
    pub fn start(self) {
        let rehashes = self.rehashes.clone();
        // If the queue is full, the next login repeats the rehash. If it is closed, the server is stopping.
        let _ = rehashes.try_send(self);
    }
}

impl fmt::Debug for Rehash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rehash")
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

fn run(
    waiting: &Receiver<Rehash>,
    store: &Store,
    engine: &Engine,
    cost: Cost,
    stopping: &AtomicBool,
) {
    for rehash in waiting {
        if stopping.load(Ordering::Acquire) {
            return;
        }
        if let Err(error) = rehash_one(&rehash, store, engine, cost) {
            tracing::warn!(%error, "a password was not rehashed; the user's next login tries again");
        }
    }
}

fn rehash_one(rehash: &Rehash, store: &Store, engine: &Engine, cost: Cost) -> Result<(), Error> {
    let hash = engine.hash(&rehash.password, cost, Precedence::Low)?;
    store.rehash(rehash.user_id, rehash.revision, hash.as_str().to_owned())?;
    Ok(())
}
