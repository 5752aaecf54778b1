//! Work that gets what others leave of the processors: reading a list and sending one takes long enough to be noticed.

use std::panic::resume_unwind;
use std::thread;

use parking_lot::Mutex;

/// At this niceness two threads take a tenth of a processor that all want, and all of one that nobody else wants.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// Does the work in a thread of its own, since a thread cannot raise its priority again, and waits for it. Without a thread
/// to be had it is done by the caller, at the caller's priority; so it is where threads have no priority of their own.
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
                tracing::debug!(%error, "no thread for work of low priority");
                run()
            }
        }
    })
}

/// Of the calling thread: on Linux each has a niceness of its own.
#[cfg(target_os = "linux")]
fn lower_priority() {
    // A refusal leaves it as it is, which only costs others a share of the processors.
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
    fn a_panic_of_the_work_is_the_callers() {
        with_low_priority("low", || panic!("of the work"));
    }
}
