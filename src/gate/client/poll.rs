//! Waiting for descriptors.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;

/// Returns when one of them is ready, when the time is over, or when a signal arrives.
pub(super) fn wait(polled: &mut [PollFd<'_>], time: Duration) -> io::Result<()> {
    // A time that the system cannot hold is for ever.
    let time = Timespec::try_from(time).ok();
    match poll(polled, time.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the last wait ended since this one is ready.
pub(super) fn is_ready(polled: &PollFd<'_>) -> bool {
    !polled.revents().is_empty()
}
