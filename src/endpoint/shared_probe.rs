//! Shares the result of an expensive check: one caller at a time runs it, for all callers that wait.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A probe whose result is shared by its callers.
pub struct SharedProbe<T, E> {
    /// How long a success is cached. A failure is only shared with the callers that waited for it, so that a recovery is
    /// visible at once.
    kept_for: Duration,
    last: Mutex<Option<Last<T, E>>>,
}

struct Last<T, E> {
    result: Result<T, E>,
    ended: Instant,
}

impl<T: Clone, E: Clone> SharedProbe<T, E> {
    /// A probe that caches a success for this time.
    pub fn new(kept_for: Duration) -> Self {
        Self {
            kept_for,
            last: Mutex::new(None),
        }
    }

    /// Returns the cached result, or the result of the probe that is already running, or runs `probe`.
    ///
    /// # Errors
    /// The errors of the probe.
    pub fn get(&self, probe: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        self.get_since(Instant::now(), probe)
    }

    /// Like [`get`](Self::get), for a caller that has waited since `called`.
    fn get_since(&self, called: Instant, probe: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let mut last = self.last.lock();
        if let Some(last) = &*last
            && (last.ended >= called || last.result.is_ok() && last.ended.elapsed() < self.kept_for)
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
    fn a_success_is_cached_for_its_time_and_a_failure_is_not() {
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
    fn callers_that_waited_for_a_probe_share_its_result() {
        for result in [Ok(1), Err("bad")] {
            let (probe, called) = (SharedProbe::new(Duration::ZERO), Instant::now());
            assert_eq!(probe.get(|| result), result);
            let another = || -> Result<i32, &str> { panic!("the probe runs only once") };
            assert_eq!(probe.get_since(called, another), result);
        }
    }
}
