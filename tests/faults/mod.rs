//! Failures of the operating system: a failed system call, a full disk, a lack of threads, descriptors or memory, a signal
//! in the middle. In every case an operation is carried out or fails with one line, what was answered is kept, and nothing
//! prevents the next run.

mod disk;
mod limits;
mod operations;
mod strace;
mod system_calls;
mod trial;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs all cases, even after a failure, and then names those that failed.
#[track_caller]
fn all<C>(cases: impl IntoIterator<Item = (String, C)>)
where
    C: FnOnce(),
{
    let mut failed = Vec::new();
    for (label, case) in cases {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(case)) {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            failed.push(format!("{label}: {}", text.unwrap_or_default()));
        }
    }
    assert!(
        failed.is_empty(),
        "{} failed:\n{}",
        failed.len(),
        failed.join("\n")
    );
}
