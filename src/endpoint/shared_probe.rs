//! What is expensive to find out and the same for everybody: found out by one caller at a time, for all who wait.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A probe whose result callers share.
pub struct SharedProbe<T, E> {
    /// For how long a success counts. A failure counts only for those who waited for it, so that an end of the trouble shows
    /// at once.
    kept_for: Duration,
    last: Mutex<Option<Last<T, E>>>,
}

struct Last<T, E> {
    result: Result<T, E>,
    ended: Instant,
}

impl<T: Clone, E: Clone> SharedProbe<T, E> {
    /// Keeps a success for this long.
    pub fn new(kept_for: Duration) -> Self {
        Self {
            kept_for,
            last: Mutex::new(None),
        }
    }

    /// The kept result, that of the probe under way, or that of `probe`.
    ///
    /// # Errors
    /// Those of the probe.
    pub fn get(&self, probe: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.get_for_one_who_asked(Instant::now(), probe)
    }

    fn get_for_one_who_asked(
        &self,
        asked: Instant,
        probe: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut last = self.last.lock();
        if let Some(last) = &*last
            && (last.ended >= asked || last.result.is_ok() && last.ended.elapsed() < self.kept_for)
        {
            return last.result.clone();
        }
        let result = probe();
        *last = Some(Last {
            result: result.clone(),
            ended: Instant::now(),
        });
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    #[test]
    fn a_success_is_kept_for_its_time_and_a_failure_is_not() {
        let results = [Ok(1), Ok(2), Err("bad"), Err("worse"), Ok(3)];
        for (kept_for, expected) in [(LONG, [Ok(1); 5]), (Duration::ZERO, results)] {
            let probe = SharedProbe::new(kept_for);
            let mut next = results.into_iter();
            let got = [(); 5].map(|()| probe.get(|| next.next().unwrap()));
            assert_eq!(got, expected);
        }
        let probe = SharedProbe::new(LONG);
        assert_eq!(probe.get(|| Err("bad")), Err("bad"));
        assert_eq!(probe.get(|| Ok(1)), Ok(1));
    }

    #[test]
    fn those_who_waited_for_a_probe_share_its_result() {
        for result in [Ok(1), Err("bad")] {
            let (probe, asked) = (SharedProbe::new(Duration::ZERO), Instant::now());
            assert_eq!(probe.get(|| result), result);
            let another = || -> Result<i32, &str> { panic!("they do not probe") };
            assert_eq!(probe.get_for_one_who_asked(asked, another), result);
        }
    }
}
