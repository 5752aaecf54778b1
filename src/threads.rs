//! Runs work on several threads.

use std::panic::resume_unwind;
use std::thread;

/// Runs `work` on up to `count` threads at once, including the caller's, and returns their results. If the operating
/// system starts fewer threads, fewer do the work, so `work` has to take its pieces from a shared source.
pub(crate) fn share<T: Send>(count: usize, work: impl Fn() -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let start = |number| {
            let thread = thread::Builder::new().name(format!("share-{number}"));
            thread.spawn_scoped(scope, &work).ok()
        };
        let others: Vec<_> = (1..count).map_while(start).collect();
        let mut results = vec![work()];
        for other in others {
            results.push(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        results
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_given_number_of_threads_works_at_once() {
        for count in 1..=8 {
            let (together, number) = (Barrier::new(count), AtomicUsize::new(0));
            let mut results = share(count, || {
                // This would wait for ever if the threads ran one after another.
                together.wait();
                number.fetch_add(1, Ordering::Relaxed)
            });
            results.sort_unstable();
            assert_eq!(results, (0..count).collect::<Vec<_>>());
        }
        assert_eq!(share(0, || ()), [()]);
    }
}
