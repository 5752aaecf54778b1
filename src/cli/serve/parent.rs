//! `--exit-with-parent`: notices the end of the process that started this one.
//!
//! The kernel says so, by a descriptor of that process and by the end of a pipe to standard input: nothing is looked at
//! again and again. Ends nothing itself.

use std::io;
use std::thread;

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, fstat};
use rustix::io::{Errno, read};
use rustix::stdio::stdin;

/// The process that started this one.
pub(super) enum Parent {
    /// It ended before it could be watched.
    Ended,
    /// What there is to watch; one of them at least.
    Running {
        process: Option<OwnedFd>,
        has_piped_input: bool,
    },
}

impl Parent {
    /// To be called early: a parent that has ended before leaves only its pipe to go by.
    pub(super) fn find() -> anyhow::Result<Self> {
        let file = fstat(stdin()).context("cannot look at standard input")?;
        let file_type = FileType::from_raw_mode(file.st_mode);
        // Whatever else it is has no other end. A terminal hangs up with a signal.
        let has_piped_input = matches!(file_type, FileType::Fifo | FileType::Socket);
        let process = match parent_process() {
            Err(Errno::SRCH) => return Ok(Self::Ended),
            Err(error) if !has_piped_input => bail!(
                "--exit-with-parent has nothing to wait for: the process that started this one cannot be watched ({error}), and standard input is not a pipe"
            ),
            process => process.ok(),
        };
        Ok(Self::Running {
            process,
            has_piped_input,
        })
    }

    /// Calls `act` once it has ended, or its end of the pipe was closed.
    pub(super) fn on_end(self, act: impl Fn() + Clone + Send + 'static) -> io::Result<()> {
        let start = |name: &str, wait: Box<dyn FnOnce() + Send>| {
            let act = act.clone();
            let thread = thread::Builder::new().name(name.to_owned());
            thread.spawn(move || {
                wait();
                act();
            })
        };
        match self {
            Self::Ended => act(),
            Self::Running {
                process,
                has_piped_input,
            } => {
                if let Some(process) = process {
                    start("parent", Box::new(move || wait_until_readable(&process)))?;
                }
                if has_piped_input {
                    start("parent-input", Box::new(drain_input))?;
                }
            }
        }
        Ok(())
    }
}

/// Fails with SRCH when it has ended.
#[cfg(target_os = "linux")]
fn parent_process() -> Result<OwnedFd, Errno> {
    use rustix::process::{PidfdFlags, getppid, pidfd_open};

    // Of a process outside of this container there is no number.
    let parent = getppid().ok_or(Errno::NOSYS)?;
    let process = pidfd_open(parent, PidfdFlags::empty())?;
    // The number may have become another's in between.
    if getppid() == Some(parent) {
        Ok(process)
    } else {
        Err(Errno::SRCH)
    }
}

#[cfg(not(target_os = "linux"))]
fn parent_process() -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// A descriptor of a process is readable once that has ended.
fn wait_until_readable(descriptor: impl AsFd) {
    let mut polled = [PollFd::new(&descriptor, PollFlags::IN)];
    while poll(&mut polled, None) == Err(Errno::INTR) {}
}

/// What is written to it is for nobody.
fn drain_input() {
    let mut bytes = [0; 4096];
    loop {
        wait_until_readable(stdin());
        match read(stdin(), &mut bytes) {
            Ok(1..) | Err(Errno::INTR | Errno::AGAIN) => {}
            Ok(0) | Err(_) => return,
        }
    }
}
