//! A deadline that is shared by several reads.
//!
//! A deadline is created once and checked before every single read, however few bytes a read returns. A timeout that
//! restarted with each read would let a slow sender hold its connection for ever.

use std::io;
use std::time::{Duration, Instant};

/// The instant by which an operation must be complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(duration: Duration) -> Self {
        // Durations that would overflow the clock are cut to a century.
        let century = Duration::from_secs(100 * 365 * 24 * 60 * 60);
        Self(Instant::now() + duration.min(century))
    }

    /// The remaining time, which is never zero, or a `TimedOut` error.
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
    fn a_passed_deadline_is_an_error_and_the_remaining_time_is_never_zero() {
        let passed = Deadline::after(Duration::ZERO);
        assert_eq!(
            passed.remaining().unwrap_err().kind(),
            io::ErrorKind::TimedOut
        );
        assert!(Deadline::after(Duration::MAX).remaining().unwrap() > Duration::ZERO);
    }
}
