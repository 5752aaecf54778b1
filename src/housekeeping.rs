//! What the server does by itself every few seconds: it looks whether the database's path still leads to the open file, and
//! removes expired tokens.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;

use crate::endpoint::Clock;
use crate::store::{self, Store};

/// So few that a login which waits for the same commit does not notice.
const BATCH: u32 = 500;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// The thread that does it. Dropping it ends the thread.
pub(crate) struct Housekeeping {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Housekeeping {
    pub(crate) fn start(store: Arc<Store>, clock: Clock) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let thread = thread::Builder::new()
            .name("housekeeping".to_owned())
            .spawn(move || run(&store, &clock, &stopped))?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Housekeeping {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(store: &Store, clock: &Clock, stopped: &Receiver<()>) {
    while stopped.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
        // The look logs what it finds.
        if store.check_path().is_err() {
            continue;
        }
        if let Err(error) = purge(store, clock(), stopped) {
            tracing::warn!(%error, "cannot remove expired tokens; they are refused all the same");
        }
    }
}

/// Each batch is a change of its own, so that logins get their turn in between.
fn purge(store: &Store, now: Timestamp, stopped: &Receiver<()>) -> Result<(), store::Error> {
    let mut removed = 0;
    while store.has_expired(now)? && stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty)
    {
        removed += store.purge_expired(now, BATCH)?;
    }
    if removed > 0 {
        tracing::debug!(removed, "removed expired tokens");
    }
    Ok(())
}
