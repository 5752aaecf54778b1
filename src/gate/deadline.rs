//! The instant by which something must have happened.
//!
//! A deadline is made once and asked before every single read, however few bytes each of them brings: a timeout that
//! starts again with each read is what a slow sender lives on.

use std::io;
use std::time::{Duration, Instant};

/// An instant that does not move.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(duration: Duration) -> Self {
        // A century from now stands for limits that no clock can hold.
        let century = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        Self(Instant::now() + duration.min(century))
    }

    /// What is left, which is never zero, or `TimedOut`.
    pub(super) fn remaining(self) -> io::Result<Duration> {
        match self.0.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_passes_once_and_never_leaves_zero() {
        let passed = Deadline::after(Duration::ZERO);
        assert_eq!(
            passed.remaining().unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
        assert!(Deadline::after(Duration::MAX).remaining().unwrap() > Duration::ZERO);
    }
}
