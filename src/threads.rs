//! Work that several threads share.

use std::panic::resume_unwind;
use std::thread;

/// Runs `work` on up to `count` threads at once, the caller's among them, and gives what each of them returned. Where the
/// operating system gives fewer threads, fewer do the work: each has to take its pieces from what all of them share.
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
    fn so_many_threads_work_at_once() {
        for count in 1..=8 {
            let (together, number) = (Barrier::new(count), AtomicUsize::new(0));
            let mut results = share(count, || {
                // Would wait for ever if one thread came after another.
                together.wait();
                number.fetch_add(1, Ordering::Relaxed)
            });
            results.sort_unstable();
            assert_eq!(results, (0..count).collect::<Vec<_>>());
        }
        assert_eq!(share(0, || ()), [()]);
    }
}
