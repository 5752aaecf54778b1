//! Questions at the terminal whose answers are not shown.
//!
//! Only the echo is off meanwhile, and line editing is the terminal's own. A signal that ends or stops the program first
//! turns the echo on again; when the program is continued, the question is asked again.

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

/// The longest line that a terminal on Linux hands over.
const MAX_LINE_BYTES: usize = 4096;

/// The terminal that controls the process, wherever the standard streams go.
pub(super) struct Terminal(Arc<Shared>);

struct Shared {
    file: File,
    /// As it was found.
    modes: Termios,
    /// The question that waits for its answer.
    open: Mutex<Option<String>>,
}

impl Terminal {
    /// From here on the signals that end or stop the process act on it by way of a thread.
    pub(super) fn open() -> io::Result<Self> {
        // What is still to be written there, such as the end of a progress bar, would erase the question.
        STDERR.drain();
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let modes = tcgetattr(&file)?;
        let shared = Arc::new(Shared {
            file,
            modes,
            open: Mutex::new(None),
        });
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP])?;
        let watching = Arc::clone(&shared);
        thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || {
                for signal in signals.forever() {
                    watching.act_on(signal);
                }
            })?;
        Ok(Self(shared))
    }

    /// Asks a question and reads one line.
    pub(super) fn ask(&self, question: String) -> io::Result<Zeroizing<String>> {
        let Self(shared) = self;
        {
            let mut open = shared.open.lock();
            shared.hide(&question)?;
            *open = Some(question);
        }
        let line = shared.read_line();
        let mut open = shared.open.lock();
        *open = None;
        shared.show()?;
        line
    }

    /// Writes a line.
    pub(super) fn say(&self, line: &str) -> io::Result<()> {
        let Self(shared) = self;
        (&shared.file).write_all(format!("{line}\n").as_bytes())
    }
}

impl Shared {
    /// Ends the process, or stops it and returns when it was continued.
    fn act_on(&self, signal: i32) {
        let open = self.open.lock();
        if open.is_some() {
            // The process ends or stops in any case.
            let _ = self.show();
            let _ = (&self.file).write_all(b"\n");
        }
        // Fails only for signals that it does not know.
        let _ = emulate_default_handler(signal);
        if let Some(question) = &*open {
            // When it fails, so does reading the answer.
            let _ = self.hide(question);
        }
    }

    fn hide(&self, question: &str) -> io::Result<()> {
        let mut modes = self.modes.clone();
        modes.local_modes.remove(LocalModes::ECHO);
        // The line break is shown.
        modes
            .local_modes
            .insert(LocalModes::ECHONL | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(&self.file, OptionalActions::Now, &modes)?;
        (&self.file).write_all(question.as_bytes())
    }

    fn show(&self) -> io::Result<()> {
        Ok(tcsetattr(&self.file, OptionalActions::Now, &self.modes)?)
    }

    /// Without its line break, and without a copy that is not wiped.
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
