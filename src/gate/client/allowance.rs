//! How long a client may keep its answers waiting, over all of them.
//!
//! A limit on each pause alone is what a slow reader lives on: it takes a byte, and has bought another pause. Here every
//! byte that is taken buys the time that it would take at the least rate, and no more.

use std::io;
use std::time::Duration;

use crate::gate::limits::Limits;

/// The time for which writes may still wait. Full at first, and never more than full.
#[derive(Debug)]
pub(crate) struct WriteAllowance {
    left: Duration,
    full: Duration,
    per_byte: Duration,
}

impl WriteAllowance {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            left: limits.write_timeout,
            full: limits.write_timeout,
            per_byte: Duration::from_secs(1) / limits.min_write_rate.max(1),
        }
    }

    /// What is left, or `TimedOut`.
    pub(crate) fn left(&self) -> io::Result<Duration> {
        match self.left {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }

    /// A write waited.
    pub(crate) fn spend(&mut self, waited: Duration) {
        self.left = self.left.saturating_sub(waited);
    }

    /// The client's end took so many bytes.
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

    /// Whether a client that takes so many bytes every so many seconds gets an answer of this length.
    fn gets(answer: usize, bytes: usize, seconds: u64) -> bool {
        let mut allowance = WriteAllowance::new(&Limits::default());
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
    fn a_slow_client_gets_its_answer_and_a_slower_one_does_not() {
        for (expected, answer, bytes, seconds) in [
            (true, 60_000, 2_000, 1),
            (true, 60_000, 16_000, 8),
            (true, 10_000_000, 1_100, 1),
            (true, 10_000_000, 9_000, 8),
            (true, 100, 1, 0),
            // Short answers may come slowly, however small the pieces; many in a row may not.
            (true, 9, 1, 1),
            (false, 20, 1, 1),
            (false, 60_000, 750, 1),
            (false, 60_000, 7_500, 10),
            // No progress.
            (false, 60_000, 30_000, 11),
        ] {
            assert_eq!(
                gets(answer, bytes, seconds),
                expected,
                "{answer} bytes, {bytes} every {seconds} s"
            );
        }
    }
}
