//! What the operating system refuses: a system call that fails, a disk that is full, threads, descriptors and memory that
//! are not there, a signal in the middle. Whatever it is, an operation is carried out or fails in one line, what was
//! answered is kept, and the next run finds nothing in its way.

mod disk;
mod limits;
mod operations;
mod strace;
mod system_calls;
mod trial;

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs every case, also after one that fails, and then names those that did.
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
