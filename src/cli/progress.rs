//! How far a long command is: a bar with rate and time left on a terminal, a plain line now and then otherwise.

use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Between two plain lines. What is done sooner writes none.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Written to standard error; dropping it clears the bar.
pub(super) struct Progress {
    what: &'static str,
    /// `None` without a terminal.
    bar: Option<ProgressBar>,
    last_line: Cell<Instant>,
}

impl Progress {
    pub(super) fn new(what: &'static str) -> Self {
        let template = "{bar:40} {pos}/{len} {msg}, {per_sec}, {eta} left";
        let bar = io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template(template);
            ProgressBar::new(0)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_message(what)
        });
        Self {
            what,
            bar,
            last_line: Cell::new(Instant::now()),
        }
    }

    /// For a caller that takes it whole.
    pub(super) fn reporter(self) -> Box<dyn FnMut(u64, u64) + Send> {
        Box::new(move |done, total| self.tell(done, total))
    }

    pub(super) fn tell(&self, done: u64, total: u64) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(total);
                bar.set_position(done);
            }
            None if self.last_line.get().elapsed() >= LINE_INTERVAL => {
                self.last_line.set(Instant::now());
                eprintln!("{done} of {total} {}", self.what);
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
