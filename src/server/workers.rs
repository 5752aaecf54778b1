//! Threads for requests that wait, started when needed and ended when idle, but for one.
//!
//! Their number is bounded by the permits of those who use them, not here. When the operating system gives no further
//! thread, those there are do the work one after the other.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a thread waits for another request before it ends.
const IDLE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce() + Send>;

/// Dropped, they end; see [`Workers::finish`].
pub(super) struct Workers {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    idle: usize,
    threads: usize,
    finishing: bool,
}

impl Workers {
    /// Starts the thread that is always there.
    pub(super) fn start() -> io::Result<Self> {
        let workers = Self {
            shared: Arc::default(),
        };
        workers.shared.lock().threads += 1;
        workers.add_thread()?;
        Ok(workers)
    }

    /// Has `work` done by another thread, at once if the operating system gives one.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) {
        let mut state = self.shared.lock();
        state.waiting.push_back(Box::new(work));
        if state.waiting.len() <= state.idle {
            drop(state);
            self.shared.changed.notify_one();
            return;
        }
        state.threads += 1;
        drop(state);
        if let Err(error) = self.add_thread() {
            tracing::warn!(%error, "cannot start a worker thread; a request waits for another");
            self.shared.changed.notify_one();
        }
    }

    /// Starts a thread that is counted already.
    fn add_thread(&self) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new()
            .name("worker".to_owned())
            .spawn(move || shared.work());
        if let Err(error) = spawned {
            self.shared.lock().threads -= 1;
            return Err(error);
        }
        Ok(())
    }

    /// Returns once everything that was given is done and all threads have ended.
    pub(super) fn finish(&self) {
        let mut state = self.shared.lock();
        state.finishing = true;
        self.shared.changed.notify_all();
        while state.threads > 0 {
            state = wait(&self.shared.changed, state);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.waiting.pop_front() {
                drop(state);
                // A thread that died would never be counted off.
                let _ = catch_unwind(AssertUnwindSafe(work));
                state = self.lock();
                continue;
            }
            if state.finishing {
                break;
            }
            state.idle += 1;
            let (woken, timeout) = self
                .changed
                .wait_timeout(state, IDLE)
                .unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if timeout.timed_out() && state.waiting.is_empty() && state.threads > 1 {
                break;
            }
        }
        state.threads -= 1;
        self.changed.notify_all();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.finish();
    }
}

fn wait<'s>(condvar: &Condvar, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
    condvar.wait(state).unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_piece_of_work_has_a_thread_at_once() {
        let workers = Workers::start().unwrap();
        // Would wait for ever if one piece stood behind another.
        let barrier = Arc::new(Barrier::new(20));
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..20 {
            let (barrier, done) = (Arc::clone(&barrier), Arc::clone(&done));
            workers.run(move || {
                barrier.wait();
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        workers.finish();
        assert_eq!(done.load(Ordering::SeqCst), 20);
    }
}
