//! Hashing a password again at the cost that the operator wants, after a login was answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::{fmt, io};

use super::Error;
use crate::hashing::{Cost, Engine, Password, Precedence};
use crate::store::Store;

/// Rehashes that may wait; one more is dropped, and its user's next login brings it again.
const MAX_WAITING: usize = 64;

/// One password that wants another hash. Run it once the login is answered; lost, it does no harm.
pub struct Rehash {
    user_id: i64,
    revision: i64,
    password: Password,
    rehashes: SyncSender<Rehash>,
}

/// The thread that rehashes, one password at a time and only when no login waits. Dropping it loses what waits.
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

    /// Prepares a rehash that nothing is done for yet.
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
    /// Hands it to the thread that rehashes.
    pub fn begin(self) {
        let rehashes = self.rehashes.clone();
        // Full: later. Closed: the server is stopping.
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
            tracing::warn!(%error, "a password was not rehashed; its next login tries again");
        }
    }
}

fn rehash_one(rehash: &Rehash, store: &Store, engine: &Engine, cost: Cost) -> Result<(), Error> {
    let hash = engine.hash(&rehash.password, cost, Precedence::Low)?;
    store.rehash(rehash.user_id, rehash.revision, hash.as_str().to_owned())?;
    Ok(())
}
