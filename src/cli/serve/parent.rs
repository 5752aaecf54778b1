//! `--exit-with-parent`: detects the end of the parent process.
//!
//! The kernel reports it, by a descriptor of that process and by the end of a pipe to standard input, so that nothing
//! has to be polled. Does not end this process itself.

use std::io;
use std::thread;

use anyhow::{Context, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::stdio::stdin;

use crate::cli::input::Input;

/// The parent process.
pub(super) enum Parent {
    /// It ended before it could be watched.
    Ended,
    /// It runs. At least one of the two can be watched.
    Running {
        process: Option<OwnedFd>,
        has_piped_input: bool,
    },
}

impl Parent {
    /// Finds the parent process. To be called early: once the parent has ended, only its pipe can be watched.
    pub(super) fn find() -> anyhow::Result<Self> {
        let file = fstat(stdin()).context("cannot examine standard input")?;
        let file_type = FileType::from_raw_mode(file.st_mode);
        // Other kinds of files have no other end. A terminal sends a signal when it is closed.
        let has_piped_input = matches!(file_type, FileType::Fifo | FileType::Socket);
        let process = match parent_process() {
            Err(Errno::SRCH) => return Ok(Self::Ended),
            Err(error) if !has_piped_input => bail!(
                "--exit-with-parent has nothing to wait for: the parent process cannot be watched ({error}), and standard input is not a pipe"
            ),
            process => process.ok(),
        };
        Ok(Self::Running {
            process,
            has_piped_input,
        })
    }

    /// Calls `act` once the parent has ended or has closed its end of the pipe.
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
                    start("parent", Box::new(move || wait_for_end(&process)))?;
                }
                if has_piped_input {
                    start("parent-input", Box::new(drain_input))?;
                }
            }
        }
        Ok(())
    }
}

/// A descriptor of the parent process. Fails with SRCH if it has ended.
#[cfg(target_os = "linux")]
fn parent_process() -> Result<OwnedFd, Errno> {
    use rustix::process::{PidfdFlags, getppid, pidfd_open};

    // A process outside of this container has no process id here.
    let parent = getppid().ok_or(Errno::NOSYS)?;
    let process = pidfd_open(parent, PidfdFlags::empty())?;
    // The process id may have been reused in between.
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

/// Waits until a process has ended.
fn wait_for_end(process: &OwnedFd) {
    let mut polled = [PollFd::new(process, PollFlags::IN)];
    while poll(&mut polled, None) == Err(Errno::INTR) {}
}

/// Reads standard input until its end, and discards the content.
fn drain_input() {
    // An error ends it too.
    let _ = io::copy(&mut Input, &mut io::sink());
}
