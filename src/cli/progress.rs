//! Shows the progress of a long command: as a bar with rate and remaining time on a terminal, otherwise as occasional
//! lines.

use std::cell::Cell;
use std::io;
use std::mem;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use parking_lot::Mutex;

use super::stream::STDERR;

/// The time between two lines, and before the first one.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

const FRAMES_PER_SECOND: u8 = 20;

/// The ECMA-48 sequence that moves to the start of the line and erases it.
const CLEAR_LINE: &str = "\r\x1b[2K";

/// The progress of a command on standard error. Dropping it clears the bar.
pub(super) struct Progress {
    what: &'static str,
    /// `None` without a terminal.
    bar: Option<ProgressBar>,
    last_line: Cell<Instant>,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        let template = "{bar:40} {pos}/{len} {msg}, {per_sec}, {eta} left";
        let bar = (STDERR.is_terminal() && STDERR.has_notes()).then(|| {
            let style = ProgressStyle::with_template(template);
            let frames = Box::new(Frames::default());
            let target = ProgressDrawTarget::term_like_with_hz(frames, FRAMES_PER_SECOND);
            ProgressBar::with_draw_target(Some(0), target)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_message(what)
        });
        Self {
            what,
            bar,
            last_line: Cell::new(Instant::now()),
        }
    }

    /// A closure that shows the progress, for a caller that takes ownership.
    pub(super) fn reporter(self) -> Box<dyn FnMut(u64, u64) + Send> {
        Box::new(move |done, total| self.update(done, total))
    }

    pub(super) fn update(&self, done: u64, total: u64) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(done);
            }
            None if STDERR.has_notes() && self.last_line.get().elapsed() >= LINE_INTERVAL => {
                self.last_line.set(Instant::now());
                STDERR.push(format!("{done} of {total} {}\n", self.what).as_bytes());
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        // A bar that was never updated was not drawn.
        if let Some(bar) = self.bar.as_ref().filter(|bar| bar.length() != Some(0)) {
            bar.finish_and_clear();
            // The last frame may have been skipped.
            STDERR.push(CLEAR_LINE.as_bytes());
        }
    }
}

/// The frames of a bar of one line. Frames are skipped while the terminal does not accept output.
#[derive(Debug, Default)]
struct Frames(Mutex<String>);

impl Frames {
    fn add(&self, text: &str) -> io::Result<()> {
        self.0.lock().push_str(text);
        Ok(())
    }

    fn add_movement(&self, columns_or_lines: usize, direction: char) -> io::Result<()> {
        match columns_or_lines {
            0 => Ok(()),
            count => self.add(&format!("\x1b[{count}{direction}")),
        }
    }
}

impl TermLike for Frames {
    fn width(&self) -> u16 {
        STDERR.terminal_width()
    }

    fn move_cursor_up(&self, lines: usize) -> io::Result<()> {
        self.add_movement(lines, 'A')
    }

    fn move_cursor_down(&self, lines: usize) -> io::Result<()> {
        self.add_movement(lines, 'B')
    }

    fn move_cursor_right(&self, columns: usize) -> io::Result<()> {
        self.add_movement(columns, 'C')
    }

    fn move_cursor_left(&self, columns: usize) -> io::Result<()> {
        self.add_movement(columns, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text)?;
        self.add("\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add(CLEAR_LINE)
    }

    fn flush(&self) -> io::Result<()> {
        let frame = mem::take(&mut *self.0.lock());
        STDERR.push_if_idle(frame.as_bytes());
        Ok(())
    }
}
