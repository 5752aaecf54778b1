//! Waits for file descriptors to become ready.

use std::io;
use std::time::Duration;

use rustix::event::{PollFd, Timespec, poll};
use rustix::io::Errno;

/// Returns when one of the descriptors is ready, when the time is over, or when a signal arrives.
pub(super) fn wait(polled: &mut [PollFd<'_>], time: Duration) -> io::Result<()> {
    // A duration that the system cannot represent means no timeout.
    let time = Timespec::try_from(time).ok();
    match poll(polled, time.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the descriptor was ready at the end of the last wait.
pub(super) fn is_ready(polled: &PollFd<'_>) -> bool {
    !polled.revents().is_empty()
}
