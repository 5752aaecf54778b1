//! Runs work with low priority, so that long lists do not delay logins.

use std::panic::resume_unwind;
use std::thread;

use parking_lot::Mutex;

/// With this niceness two threads take about a tenth of a busy processor, and all of an idle one.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Runs the work in its own thread, since a thread cannot raise its priority again, and waits for it. If no thread can
/// be started, or if threads have no priority of their own, the caller runs the work with its own priority.
pub(crate) fn with_low_priority<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    let work = Mutex::new(Some(work));
    let run = || {
        let taken = work.lock().take();
        taken.expect("one of two threads takes it, once")()
    };
    if cfg!(not(target_os = "linux")) {
        return run();
    }
    thread::scope(|scope| {
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, || {
                lower_priority();
                run()
            });
        match thread {
            Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
            Err(error) => {
                tracing::debug!(%error, "cannot start a thread for low-priority work");
                run()
            }
        }
    })
}

/// Lowers the priority of the calling thread. On Linux each thread has its own niceness.
#[cfg(target_os = "linux")]
fn lower_priority() {
    // If this fails, the work runs with normal priority.
    let _ = rustix::process::nice(NICENESS);
}

#[cfg(not(target_os = "linux"))]
fn lower_priority() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_work_has_a_lower_priority_and_the_caller_keeps_its_own() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        let before = niceness();
        let meanwhile = with_low_priority("low", niceness);
        assert_eq!(meanwhile, (before + NICENESS).min(19));
        assert_eq!(niceness(), before);
    }

    #[test]
    #[should_panic(expected = "of the work")]
    fn a_panic_of_the_work_reaches_the_caller() {
        with_low_priority("low", || panic!("of the work"));
    }
}
