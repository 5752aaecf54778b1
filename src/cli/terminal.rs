//! Asks questions at the terminal without showing the answers.
//!
//! Only the echo is turned off; line editing remains that of the terminal. A signal that ends or stops the program
//! first turns the echo on; once the program is in the foreground again, the question is asked again. A signal never waits
//! for the terminal, which may be stopped. A program in the background waits until it is in the foreground before it asks.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::thread;

use nix::sys::signal::{Signal, raise};
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::{
    Action, LocalModes, OptionalActions, Termios, tcflow, tcgetattr, tcgetpgrp, tcsetattr,
};
use rustix::time::Timespec;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use zeroize::Zeroizing;

use super::stream::STDERR;

/// The longest line that a terminal on Linux passes to a program.
const MAX_LINE_BYTES: usize = 4096;

/// How often to find out whether a question must be asked again.
const CHECK_INTERVAL: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 200_000_000,
};

/// The controlling terminal of the process, even if the standard streams are redirected.
pub(super) struct Terminal(Arc<TerminalState>);

struct TerminalState {
    file: File,
    open: Mutex<Option<Question>>,
}

/// A question that has not been answered yet.
struct Question {
    text: String,
    /// The modes of the terminal before the question.
    modes: Termios,
}

impl Terminal {
    /// Opens the terminal. From then on a thread handles the signals that end or stop the process.
    pub(super) fn open() -> io::Result<Self> {
        // Pending output to the terminal, such as the end of a progress bar, would erase the question.
        STDERR.drain();
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        // Before the signals are caught, so that they end a process that waits in the background.
        wait_for_foreground(&file)?;
        let state = Arc::new(TerminalState {
            file,
            open: Mutex::new(None),
        });
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT])?;
        let watching = Arc::clone(&state);
        thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    watching.act_on(signal);
                }
            })?;
        Ok(Self(state))
    }

    /// Asks a question and reads one line.
    pub(super) fn ask(&self, text: String) -> io::Result<Zeroizing<String>> {
        let Self(state) = self;
        wait_for_foreground(&state.file)?;
        let shown = text.clone();
        {
            let mut open = state.open.lock();
            let modes = tcgetattr(&state.file)?;
            state.set(&hidden(&modes))?;
            *open = Some(Question { text, modes });
        }
        let line = self.write(&shown).and_then(|()| state.read_line());
        let mut open = state.open.lock();
        let question = open.take();
        // A signal waits until the echo is on, except in the background, where turning it on stops the process.
        if !state.is_in_foreground() {
            drop(open);
        }
        if let Some(Question { modes, .. }) = question {
            state.set(&modes)?;
        }
        line
    }

    /// Writes a line.
    pub(super) fn write_line(&self, line: &str) -> io::Result<()> {
        self.write(&format!("{line}\n"))
    }

    fn write(&self, text: &str) -> io::Result<()> {
        (&self.0.file).write_all(text.as_bytes())
    }
}

/// Stops a process in the background until it is in the foreground. Fails if no shell could continue it.
fn wait_for_foreground(terminal: &File) -> io::Result<()> {
    // Only a process in the foreground may resume the output of its terminal.
    Ok(tcflow(terminal, Action::OOn)?)
}

impl TerminalState {
    /// Handles a signal: ends the process, stops it until it is continued, or asks again after that.
    fn act_on(&self, signal: i32) {
        let mut open = self.open.lock();
        if signal != SIGCONT {
            if let Some(question) = open.as_ref().filter(|_| self.is_in_foreground()) {
                // The process ends or stops in any case.
                let _ = self.set(&question.modes);
                self.write_if_ready("\n");
            }
            // Both fail only for unknown signals.
            let _ = match signal {
                // Like the default action of SIGTSTP, this does not stop a process that no shell could continue.
                SIGTSTP => raise(Signal::SIGTTIN).map_err(io::Error::from),
                _ => emulate_default_handler(signal),
            };
        }
        self.ask_again(&mut open);
    }

    /// Asks an open question again if the process is in the foreground and the terminal does not have the modes for it.
    /// If this fails, reading the answer fails too.
    fn ask_again(&self, open: &mut Option<Question>) {
        // In the background the modes may be those with which a shell edits its line.
        let Some(question) = open.as_mut().filter(|_| self.is_in_foreground()) else {
            return;
        };
        let Ok(modes) = tcgetattr(&self.file) else {
            return;
        };
        let hidden = hidden(&modes);
        if modes.local_modes != hidden.local_modes && self.set(&hidden).is_ok() {
            self.write_if_ready(&question.text);
            question.modes = modes;
        }
    }

    fn is_in_foreground(&self) -> bool {
        tcgetpgrp(&self.file).is_ok_and(|group| group == getpgrp())
    }

    fn is_in_background(&self) -> bool {
        tcgetpgrp(&self.file).is_ok_and(|group| group != getpgrp())
    }

    fn set(&self, modes: &Termios) -> io::Result<()> {
        Ok(tcsetattr(&self.file, OptionalActions::Now, modes)?)
    }

    /// Writes a short text, unless the output of the terminal is stopped.
    fn write_if_ready(&self, text: &str) {
        let mut polled = [PollFd::new(&self.file, PollFlags::OUT)];
        if poll(&mut polled, Some(&Timespec::default())) == Ok(1) {
            // The text only helps the reader.
            let _ = (&self.file).write_all(text.as_bytes());
        }
    }

    /// Waits for input in the foreground. Each read in the background would stop the process, and a process that is
    /// continued would read again before it could handle a signal that ends it.
    fn wait_for_input(&self) {
        loop {
            let mut polled = [PollFd::new(&self.file, PollFlags::IN)];
            match poll(&mut polled, Some(&CHECK_INTERVAL)) {
                // Without a signal if a shell takes a job that it moves to the foreground for a running one.
                Ok(0) => self.ask_again(&mut self.open.lock()),
                Err(Errno::INTR) => {}
                // This input is for another program.
                Ok(_) if polled[0].revents() == PollFlags::IN && self.is_in_background() => {
                    let _ = poll(&mut [], Some(&CHECK_INTERVAL));
                    self.ask_again(&mut self.open.lock());
                }
                _ => return,
            }
        }
    }

    /// Reads a line without its line break. Leaves no copy that is not wiped.
    fn read_line(&self) -> io::Result<Zeroizing<String>> {
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE_BYTES));
        let mut byte = Zeroizing::new([0]);
        while line.len() < MAX_LINE_BYTES {
            self.wait_for_input();
            match (&self.file).read(&mut *byte) {
                Ok(0) if line.is_empty() => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(0) => break,
                Ok(_) if byte[0] == b'\n' => break,
                Ok(_) => line.push(byte[0]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let text = std::str::from_utf8(&line)
            .map_err(|_| io::Error::new(ErrorKind::InvalidData, "not UTF-8"))?;
        Ok(Zeroizing::new(text.to_owned()))
    }
}

/// The modes for a question, without echo.
fn hidden(modes: &Termios) -> Termios {
    let mut modes = modes.clone();
    modes.local_modes.remove(LocalModes::ECHO);
    // The line break after the answer is still shown.
    modes
        .local_modes
        .insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
    modes
}
