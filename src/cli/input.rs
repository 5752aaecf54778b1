//! Standard input.

use std::io::{self, Read};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::stdio::stdin;

/// Reads standard input, and waits for its writer even if another process has made it non-blocking.
pub(super) struct Input;

impl Read for Input {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::io::read(stdin(), &mut *bytes) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    // An error of `poll` shows in the next read.
                    let _ = poll(&mut [PollFd::new(&stdin(), PollFlags::IN)], None);
                }
                result => return Ok(result?),
            }
        }
    }
}
