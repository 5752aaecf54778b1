//! How long writes to one client may wait in total, over all its answers.
//!
//! A limit on each single pause would not stop a slow reader: reading one byte would buy it another full pause. Here every
//! byte that the client reads earns only the time that it takes at the minimum rate.

use std::io;
use std::time::Duration;

use crate::gate::limits::GateLimits;

/// The time for which writes may still wait. It starts full and never exceeds its start value.
#[derive(Debug)]
pub(crate) struct WriteAllowance {
    left: Duration,
    full: Duration,
    per_byte: Duration,
}

impl WriteAllowance {
    pub(crate) fn new(limits: &GateLimits) -> Self {
        Self {
            left: limits.write_timeout,
            full: limits.write_timeout,
            per_byte: Duration::from_secs(1) / limits.min_write_rate.max(1),
        }
    }

    /// The remaining time, or a `TimedOut` error.
    pub(crate) fn left(&self) -> io::Result<Duration> {
        match self.left {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }

    /// Takes off the time that a write waited.
    pub(crate) fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
    }

    /// Adds the time for this number of bytes, which the client's end accepted.
    pub(crate) fn earn(&mut self, bytes: usize) {
        if self.left < self.full {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let earned = self.per_byte.saturating_mul(bytes);
            self.left = self.left.saturating_add(earned).min(self.full);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a client that reads `bytes` every `seconds` receives the whole answer.
    fn receives_whole_answer(answer: usize, bytes: usize, seconds: u64) -> bool {
        let mut allowance = WriteAllowance::new(&GateLimits::default());
        let mut taken = 0;
        while taken < answer {
            let Ok(left) = allowance.left() else {
                return false;
            };
            let pause = Duration::from_secs(seconds);
            allowance.spend(pause.min(left));
            if pause <= left {
                allowance.earn(bytes);
                taken += bytes;
            }
        }
        true
    }

    #[test]
    fn a_client_at_the_minimum_rate_gets_its_answer_and_a_slower_one_does_not() {
        for (expected, answer, bytes, seconds) in [
            (true, 60_000, 2_000, 1),
            (true, 60_000, 16_000, 8),
            (true, 10_000_000, 1_100, 1),
            (true, 10_000_000, 9_000, 8),
            (true, 100, 1, 0),
            // A short answer may be read slowly, however small the pieces; a longer one may not.
            (true, 9, 1, 1),
            (false, 20, 1, 1),
            (false, 60_000, 750, 1),
            (false, 60_000, 7_500, 10),
            // No progress.
            (false, 60_000, 30_000, 11),
        ] {
            assert_eq!(
                receives_whole_answer(answer, bytes, seconds),
                expected,
                "{answer} bytes, {bytes} every {seconds} s"
            );
        }
    }
}
