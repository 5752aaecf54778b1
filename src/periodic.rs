//! A thread that does something at intervals.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The handle of the thread. Dropping it ends the thread after the current run.
pub(crate) struct Periodic {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Shows a running action whether the thread is to end.
pub(crate) struct Stop(Receiver<()>);

impl Periodic {
    /// Calls `act` after each interval.
    pub(crate) fn start(
        name: &str,
        interval: Duration,
        mut act: impl FnMut(&Stop) + Send + 'static,
    ) -> io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let stopped = Stop(stopped);
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while stopped.0.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
                    act(&stopped);
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Stop {
    pub(crate) fn is_wanted(&self) -> bool {
        self.0.try_recv() == Err(TryRecvError::Disconnected)
    }
}

impl Drop for Periodic {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
