//! The stop of the gate, as every wait learns of it: one descriptor that is readable once the gate stops.
//!
//! - A wait for the first byte of a request, for a handshake or for a client to close polls this descriptor beside the
//!   socket (`stream`). What has already arrived is read first; with nothing there, the connection ends.
//! - A request of which a byte has arrived is received and answered. The answer says `Connection: close` unless more has
//!   arrived (`connection`).
//! - What is not done shortly before the grace is over is cut off (`slots`).

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};

use super::poll;
use crate::gate::deadline::Deadline;

/// Set once, and never cleared.
#[derive(Debug)]
pub(crate) struct StopSignal {
    is_set: AtomicBool,
    /// At its end, and so readable, once the other one is shut down.
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
        // Both ends are open for as long as this lives.
        let _ = self.other.shutdown(Shutdown::Both);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::SeqCst)
    }

    /// To wait for it.
    pub(crate) fn polled(&self) -> PollFd<'_> {
        PollFd::from_borrowed_fd(self.polled.as_fd(), PollFlags::IN)
    }

    /// Lets time pass, unless the gate stops.
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
