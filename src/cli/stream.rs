//! Standard output and standard error, each written by its own thread, so that nothing waits for a reader.
//!
//! A full pipe, a stopped terminal or a hanging file blocks only that thread. Text that does not fit into the queue, or
//! that cannot be written, is dropped, and its lines are counted; the number is written once writing works again. Lines
//! are written as a whole, so that the lines of processes that share a pipe do not mix.
//!
//! The results of commands do not pass through the queue: they wait for their reader, by [`Direct`].

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::iter;
use std::mem;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::stdio;

/// The capacity of the queue: the log of about a thousand requests.
const MAX_QUEUED_BYTES: usize = 128 * 1024;

/// POSIX's `PIPE_BUF` on Linux: a write of up to this size to a pipe is atomic.
const CHUNK_BYTES: usize = 4096;

/// After this time without progress a stream has stalled, and is no longer waited for.
const STALL_TIMEOUT: Duration = Duration::from_secs(2);

/// The longest wait for a stream that makes slow progress.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// The stream for messages that need no reader, such as the ready lines of `serve`.
pub(super) static STDOUT: Stream = Stream::new(stdio::stdout, |_| String::new());

/// The stream for the log, and for all messages of a command except its result.
pub(super) static STDERR: Stream = Stream::new(stdio::stderr, |lines| {
    format!("thanos-login: {}\n", were_dropped(lines))
});

/// The message about dropped lines.
pub(super) fn were_dropped(lines: u64) -> String {
    match lines {
        1 => "1 line was dropped: it could not be written".to_owned(),
        _ => format!("{lines} lines were dropped: they could not be written"),
    }
}

/// A standard stream of the process, with its queue.
pub(super) struct Stream {
    descriptor: fn() -> BorrowedFd<'static>,
    queue: Mutex<OutputQueue>,
    /// Wakes the writing thread.
    queued: Condvar,
    /// Wakes the threads that wait for space, or until everything is written.
    written: Condvar,
    has_notes: AtomicBool,
}

struct OutputQueue {
    text: Vec<u8>,
    /// The number of bytes that are taken from `text` and not yet written.
    taken_bytes: usize,
    /// The number of dropped lines. Once a line is dropped, everything is dropped until the queue is empty, so that
    /// there is only one gap.
    dropped: u64,
    has_thread: bool,
    /// Whether text is queued or being written.
    is_busy: bool,
    /// When text was last written, or queued after a pause.
    last_progress: Option<Instant>,
    note: fn(u64) -> String,
}

impl Stream {
    const fn new(descriptor: fn() -> BorrowedFd<'static>, note: fn(u64) -> String) -> Self {
        Self {
            descriptor,
            queue: Mutex::new(OutputQueue {
                text: Vec::new(),
                taken_bytes: 0,
                dropped: 0,
                has_thread: false,
                is_busy: false,
                last_progress: None,
                note,
            }),
            queued: Condvar::new(),
            written: Condvar::new(),
            has_notes: AtomicBool::new(true),
        }
    }

    /// Turns off messages about what was done, and progress, as `--quiet` asks.
    pub(super) fn leave_out_notes(&self) {
        self.has_notes.store(false, Ordering::Relaxed);
    }

    /// Whether messages about what was done, and progress, are shown.
    pub(super) fn has_notes(&self) -> bool {
        self.has_notes.load(Ordering::Relaxed)
    }

    /// Starts the writing thread at once, for a process that runs for long. Without a thread, text is only written by
    /// [`Stream::drain`].
    pub(super) fn start(&'static self) -> io::Result<()> {
        let mut queue = self.queue.lock();
        if !queue.has_thread {
            self.start_thread()?;
            queue.has_thread = true;
        }
        Ok(())
    }

    /// Queues text without waiting. It is dropped if there is no space.
    pub(super) fn push(&'static self, text: &[u8]) {
        let mut queue = self.queue.lock();
        if queue.dropped > 0 || !queue.has_space(text.len()) {
            queue.dropped += lines(text);
            return;
        }
        queue.text.extend_from_slice(text);
        if !queue.is_busy {
            queue.is_busy = true;
            queue.last_progress = Some(Instant::now());
            self.queued.notify_one();
        }
        if !queue.has_thread {
            // If this fails, the next push tries again, and `drain` writes in any case.
            queue.has_thread = self.start_thread().is_ok();
        }
    }

    /// Queues a line. Waits for space as long as the stream makes progress.
    pub(super) fn message(&'static self, line: impl Display) {
        let line = format!("{line}\n");
        drop(self.wait_while(|queue| queue.dropped == 0 && !queue.has_space(line.len())));
        self.push(line.as_bytes());
    }

    /// Queues text that soon becomes outdated, but only if it can be written at once.
    pub(super) fn push_if_idle(&'static self, text: &[u8]) {
        if !self.queue.lock().is_busy {
            self.push(text);
        }
    }

    /// Waits until everything is written, or until the stream has stalled.
    pub(super) fn drain(&self) {
        let mut queue = self.wait_while(|queue| queue.has_thread && queue.is_busy);
        if !queue.has_thread {
            let text = mem::take(&mut queue.text);
            // No thread could be started, so the text is written here. A failure cannot be reported anywhere.
            let _ = Direct((self.descriptor)()).write_all(&text);
        }
    }

    /// Sets the function that describes a gap. The default is a line of text.
    pub(super) fn describe_gaps_by(&self, note: fn(u64) -> String) {
        self.queue.lock().note = note;
    }

    /// A writer for results, which waits for the reader.
    pub(super) fn direct(&self) -> Direct {
        Direct((self.descriptor)())
    }

    pub(super) fn is_terminal(&self) -> bool {
        (self.descriptor)().is_terminal()
    }

    pub(super) fn wants_colour(&self) -> bool {
        self.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
    }

    /// The width of the terminal in columns.
    pub(super) fn terminal_width(&self) -> u16 {
        rustix::termios::tcgetwinsize((self.descriptor)())
            .ok()
            .map(|size| size.ws_col)
            .filter(|width| *width > 0)
            .unwrap_or(80)
    }

    /// Waits until the condition no longer holds, or until the stream has stalled.
    fn wait_while(&self, condition: impl Fn(&OutputQueue) -> bool) -> MutexGuard<'_, OutputQueue> {
        let end = Instant::now() + MAX_WAIT;
        let mut queue = self.queue.lock();
        while condition(&queue) {
            let now = Instant::now();
            let stalls_at = queue.last_progress.unwrap_or(now) + STALL_TIMEOUT;
            let left = stalls_at.min(end).saturating_duration_since(now);
            if left.is_zero() {
                break;
            }
            self.written.wait_for(&mut queue, left);
        }
        queue
    }

    fn start_thread(&'static self) -> io::Result<()> {
        let mut writer = Writer {
            stream: self,
            lost: 0,
            is_mid_line: false,
        };
        thread::Builder::new()
            .name("output".to_owned())
            .spawn(move || writer.run())?;
        Ok(())
    }

    /// Waits for text, and takes all of it, or else returns the number of dropped lines.
    fn take(&self, text: &mut Vec<u8>) -> u64 {
        text.clear();
        let mut queue = self.queue.lock();
        loop {
            if !queue.text.is_empty() {
                mem::swap(&mut queue.text, text);
                queue.taken_bytes = text.len();
                return 0;
            }
            if queue.dropped > 0 {
                return mem::take(&mut queue.dropped);
            }
            queue.is_busy = false;
            self.written.notify_all();
            self.queued.wait(&mut queue);
        }
    }

    fn progressed(&self, bytes: usize) {
        let mut queue = self.queue.lock();
        queue.taken_bytes = queue.taken_bytes.saturating_sub(bytes);
        queue.last_progress = Some(Instant::now());
        self.written.notify_all();
    }
}

impl OutputQueue {
    /// An empty queue has space for anything.
    fn has_space(&self, bytes: usize) -> bool {
        let queued = self.text.len() + self.taken_bytes;
        queued == 0 || queued + bytes <= MAX_QUEUED_BYTES
    }
}

/// The state of the writing thread.
struct Writer {
    stream: &'static Stream,
    /// The number of missing lines that have not been mentioned in the stream yet.
    lost: u64,
    /// Whether the last write stopped inside a line.
    is_mid_line: bool,
}

impl Writer {
    fn run(&mut self) {
        let mut text = Vec::new();
        loop {
            self.lost += self.stream.take(&mut text);
            for chunk in chunks(&text) {
                self.mention_lost();
                self.lost += match self.lost {
                    0 => self.write(chunk),
                    _ => lines(chunk),
                };
                self.stream.progressed(chunk.len());
            }
            self.mention_lost();
        }
    }

    fn mention_lost(&mut self) {
        if self.lost > 0 {
            let note = self.stream.queue.lock().note;
            if self.write(note(self.lost).as_bytes()) == 0 {
                self.lost = 0;
            }
        }
    }

    /// Writes text. Returns the number of lines that could not be written.
    fn write(&mut self, text: &[u8]) -> u64 {
        let text: Cow<'_, [u8]> = if self.is_mid_line {
            [b"\n", text].concat().into()
        } else {
            text.into()
        };
        let mut direct = self.stream.direct();
        let mut rest = &text[..];
        while !rest.is_empty() {
            match direct.write(rest) {
                Ok(written) => {
                    self.is_mid_line = !rest[..written].ends_with(b"\n");
                    rest = &rest[written..];
                }
                Err(_) => return lines(rest),
            }
        }
        self.is_mid_line = false;
        0
    }
}

/// Writes at once, and waits for the reader even if another process has made the stream non-blocking.
pub(super) struct Direct(BorrowedFd<'static>);

impl Write for Direct {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::io::write(self.0, bytes) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    // An error of `poll` shows in the next write.
                    let _ = poll(&mut [PollFd::new(&self.0, PollFlags::OUT)], None);
                }
                Ok(0) if !bytes.is_empty() => return Err(io::ErrorKind::WriteZero.into()),
                result => return Ok(result?),
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// As many whole lines as a pipe takes in one piece; a longer line is a chunk of its own.
fn chunks(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    iter::from_fn(move || {
        let is_break = |byte: &u8| *byte == b'\n';
        let window = &text[..text.len().min(CHUNK_BYTES)];
        let end = window.iter().rposition(is_break);
        let end = end.or_else(|| text.iter().position(is_break));
        let (chunk, rest) = text.split_at(end.map_or(text.len(), |end| end + 1));
        text = rest;
        (!chunk.is_empty()).then_some(chunk)
    })
}

fn lines(text: &[u8]) -> u64 {
    text.iter().filter(|byte| **byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_contains_as_many_whole_lines_as_fit() {
        let line = |bytes: usize| format!("{}\n", "x".repeat(bytes - 1));
        for (text, expected) in [
            (String::new(), vec![]),
            (line(1) + &line(4095), vec![4096]),
            (line(2) + &line(4095), vec![2, 4095]),
            (line(5000) + &line(10) + &line(10), vec![5000, 20]),
            (line(10) + "no break", vec![10, 8]),
            ("no break".to_owned(), vec![8]),
        ] {
            let found: Vec<usize> = chunks(text.as_bytes()).map(<[u8]>::len).collect();
            assert_eq!(found, expected, "{} bytes", text.len());
        }
    }
}
