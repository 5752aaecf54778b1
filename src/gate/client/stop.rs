//! The stop signal of the gate: a file descriptor that becomes readable once the gate stops.
//!
//! - A wait for the first byte of a request, for a handshake or for a client to close polls this descriptor together with
//!   the socket (`stream`). Bytes that have already arrived are read first; if there are none, the connection ends.
//! - A request of which a byte has arrived is received and answered. The answer has `Connection: close` unless more bytes
//!   have arrived (`connection`).
//! - Connections that are open shortly before the grace period is over are shut down (`slots`).

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::poll;
use crate::gate::deadline::Deadline;

/// A signal that is set once and never cleared.
#[derive(Debug)]
pub(crate) struct StopSignal {
    is_set: AtomicBool,
    /// The end that is polled: readable once the pair is shut down.
    polled: UnixStream,
    other: UnixStream,
}

impl StopSignal {
    pub(crate) fn new() -> io::Result<Self> {
        let (polled, other) = UnixStream::pair()?;
        Ok(Self {
            is_set: AtomicBool::new(false),
            polled,
            other,
        })
    }

    pub(crate) fn set(&self) {
        self.is_set.store(true, Ordering::SeqCst);
        // Cannot fail: both ends are open until `self` is dropped.
        let _ = self.other.shutdown(Shutdown::Both);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    /// The descriptor to poll for the signal.
    pub(crate) fn polled(&self) -> PollFd<'_> {
        PollFd::from_borrowed_fd(self.polled.as_fd(), PollFlags::IN)
    }

    /// Sleeps for `time`, or until the gate stops.
    pub(crate) fn sleep(&self, time: Duration) -> io::Result<()> {
        let deadline = Deadline::after(time);
        while !self.is_set()
            && let Ok(left) = deadline.remaining()
        {
            poll::wait(&mut [self.polled()], left)?;
        }
        Ok(())
    }
}
