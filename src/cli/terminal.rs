//! Asks questions at the terminal without showing the answers.
//!
//! Only the echo is turned off; line editing remains that of the terminal. A signal that ends or stops the program
//! first turns the echo on; when the program is continued, the question is asked again.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use zeroize::Zeroizing;

use super::stream::STDERR;

/// The longest line that a terminal on Linux passes to a program.
const MAX_LINE_BYTES: usize = 4096;

/// The controlling terminal of the process, even if the standard streams are redirected.
pub(super) struct Terminal(Arc<TerminalState>);

struct TerminalState {
    file: File,
    /// The original modes of the terminal.
    modes: Termios,
    /// The question that has not been answered yet.
    open: Mutex<Option<String>>,
}

impl Terminal {
    /// Opens the terminal. From then on a thread handles the signals that end or stop the process.
    pub(super) fn open() -> io::Result<Self> {
        // Pending output to the terminal, such as the end of a progress bar, would erase the question.
        STDERR.drain();
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let modes = tcgetattr(&file)?;
        let state = Arc::new(TerminalState {
            file,
            modes,
            open: Mutex::new(None),
        });
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP])?;
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
    pub(super) fn ask(&self, question: String) -> io::Result<Zeroizing<String>> {
        let Self(state) = self;
        {
            let mut open = state.open.lock();
            state.hide(&question)?;
            *open = Some(question);
        }
        let line = state.read_line();
        let mut open = state.open.lock();
        *open = None;
        state.show()?;
        line
    }

    /// Writes a line.
    pub(super) fn write_line(&self, line: &str) -> io::Result<()> {
        let Self(state) = self;
        (&state.file).write_all(format!("{line}\n").as_bytes())
    }
}

impl TerminalState {
    /// Handles a signal: ends the process, or stops it and returns once it is continued.
    fn act_on(&self, signal: i32) {
        let open = self.open.lock();
        if open.is_some() {
            // The process ends or stops in any case.
            let _ = self.show();
            let _ = (&self.file).write_all(b"\n");
        }
        // Fails only for unknown signals.
        let _ = emulate_default_handler(signal);
        if let Some(question) = &*open {
            // If this fails, reading the answer fails too.
            let _ = self.hide(question);
        }
    }

    fn hide(&self, question: &str) -> io::Result<()> {
        let mut modes = self.modes.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        // The line break after the answer is still shown.
        modes
            .local_modes
            .insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&self.file, OptionalActions::Now, &modes)?;
        (&self.file).write_all(question.as_bytes())
    }

    fn show(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.file, OptionalActions::Now, &self.modes)?)
    }

    /// Reads a line without its line break. Leaves no copy that is not wiped.
    fn read_line(&self) -> io::Result<Zeroizing<String>> {
        let mut line = Zeroizing::new(Vec::with_capacity(MAX_LINE_BYTES));
        let mut byte = Zeroizing::new([0]);
        while line.len() < MAX_LINE_BYTES {
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
