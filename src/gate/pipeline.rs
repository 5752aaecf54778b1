//! One connection to tiny_http for the requests of many clients, answered in the order in which they were sent.
//!
//! Only for requests that are answered at once, since each waits for those before it, and that may be asked twice, since
//! all that wait lose their answer when it breaks. A thread of its own reads the answers. It writes to no client, so none
//! of them can hold up the others; and since nobody else would hold it back, it keeps no long answer, which is for its
//! client to ask for over another connection.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::answer::{self, Answer};
use super::backend::Link;
use super::deadline::Deadline;
use super::input::Input;
use super::upstream::ANSWER_TIMEOUT;
use super::wiped::Wiped;

/// Room for the answers that one waking finds.
const READ_BYTES: usize = 16 * 1024;

/// The connection, opened when it is first needed and again after it broke. Dropped, it is closed.
#[derive(Default)]
pub(super) struct Pipeline {
    line: Mutex<Option<Arc<Line>>>,
}

/// One opened connection.
struct Line {
    link: Link,
    /// Held while a request is written. Not the same as `waiting`: answers must be taken in meanwhile, or the server might
    /// wait for us as we for it.
    writing: Mutex<()>,
    /// Who waits, in the order of the requests. `None` once the connection is broken.
    waiting: Mutex<Option<VecDeque<Waiting>>>,
}

/// The line as its thread holds it: when that ends, even in a panic, nobody is left waiting.
struct Reader(Arc<Line>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// A request without its answer. Dropped, there will be none.
struct Waiting {
    to_head: bool,
    outcome: Arc<Outcome>,
}

/// Where a client's thread waits. Cheaper than a channel, in time and on the stack.
#[derive(Default)]
struct Outcome {
    state: Mutex<State>,
    known: Condvar,
}

#[derive(Default)]
enum State {
    #[default]
    Open,
    Answered(Answer),
    TooLong,
    Lost,
}

impl Pipeline {
    /// Sends a request and waits for the answer; `None` when the connection cannot be opened or breaks meanwhile, or the
    /// answer is a long one.
    pub(super) fn exchange(
        &self,
        request: &[u8],
        to_head: bool,
        open: impl FnOnce() -> io::Result<Link>,
    ) -> Option<Answer> {
        let line = self
            .line(open)
            .inspect_err(|error| tracing::debug!(%error, "no shared connection to the server"))
            .ok()?;
        let outcome = Arc::new(Outcome::default());
        let waiting = Waiting {
            to_head,
            outcome: Arc::clone(&outcome),
        };
        line.send(request, waiting)?;
        match outcome.wait(Deadline::after(ANSWER_TIMEOUT)) {
            State::Answered(answer) => Some(answer),
            State::TooLong => None,
            State::Open | State::Lost => {
                line.give_up();
                None
            }
        }
    }

    fn line(&self, open: impl FnOnce() -> io::Result<Link>) -> io::Result<Arc<Line>> {
        let mut line = lock(&self.line);
        if let Some(line) = &*line
            && !line.link.is_retired()
            && lock(&line.waiting).is_some()
        {
            return Ok(Arc::clone(line));
        }
        let opened = Line::begin(open()?)?;
        if let Some(retired) = line.replace(Arc::clone(&opened)) {
            retired.finish();
        }
        Ok(opened)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        if let Some(line) = lock(&self.line).take() {
            line.give_up();
        }
    }
}

impl Line {
    /// Starts the thread that reads the answers.
    #[cold]
    fn begin(link: Link) -> io::Result<Arc<Line>> {
        // The thread waits for answers as long as there is nothing to answer, and ends with the connection.
        link.stream.set_read_timeout(None)?;
        let line = Arc::new(Line {
            link,
            writing: Mutex::new(()),
            waiting: Mutex::new(Some(VecDeque::new())),
        });
        let reader = Reader(Arc::clone(&line));
        thread::Builder::new()
            .name("gate-answers".to_owned())
            .spawn(move || reader.0.deliver())?;
        Ok(line)
    }

    /// `None` when the connection is broken. What was written only in part breaks it.
    fn send(&self, request: &[u8], who: Waiting) -> Option<()> {
        let _writing = lock(&self.writing);
        lock(&self.waiting).as_mut()?.push_back(who);
        if let Err(error) = (&self.link.stream).write_all(request) {
            tracing::debug!(%error, "the shared connection to the server is broken");
            self.give_up();
        }
        Some(())
    }

    /// Gives every answer to whom it belongs, until the connection ends.
    fn deliver(&self) {
        let mut input = Input::with_room(READ_BYTES);
        let broken = loop {
            match self.deliver_next(&mut input) {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        tracing::debug!(error = %broken, "the shared connection to the server has ended");
    }

    fn deliver_next(&self, input: &mut Input) -> Result<(), answer::Error> {
        if input.is_empty() && input.fill(|buffer| (&self.link.stream).read(buffer))? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let next = lock(&self.waiting).as_mut().and_then(VecDeque::pop_front);
        let Some(waiting) = next else {
            return Err(answer::Error::Malformed("an answer without a request"));
        };
        let answer = Answer::read_next(input, &self.link.stream, waiting.to_head)?;
        match answer.rest() {
            0 => waiting.outcome.tell(State::Answered(answer)),
            rest => {
                skip(&self.link.stream, rest)?;
                waiting.outcome.tell(State::TooLong);
            }
        }
        Ok(())
    }

    /// Has the server close the connection, after its answers to those who wait.
    fn finish(&self) {
        let _ = self.link.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection, and with it the wait of all who wait.
    fn give_up(&self) {
        *lock(&self.waiting) = None;
        let _ = self.link.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.outcome.tell(State::Lost);
    }
}

impl Outcome {
    /// Only what is told first counts.
    fn tell(&self, told: State) {
        let mut state = lock(&self.state);
        if matches!(*state, State::Open) {
            *state = told;
            drop(state);
            self.known.notify_one();
        }
    }

    /// Still open when it is not there in time.
    fn wait(&self, deadline: Deadline) -> State {
        let mut state = lock(&self.state);
        while matches!(*state, State::Open)
            && let Ok(left) = deadline.remaining()
        {
            let waited = self.known.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        std::mem::take(&mut *state)
    }
}

/// Reads bytes that nobody wants.
fn skip(mut from: impl Read, mut bytes: usize) -> io::Result<()> {
    let mut piece = Wiped::default();
    piece.resize(bytes.min(READ_BYTES));
    while bytes > 0 {
        let wanted = bytes.min(READ_BYTES);
        from.read_exact(&mut piece[..wanted])?;
        bytes -= wanted;
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::gate::answer::{Ending, MAX_WHOLE_BYTES};

    /// Opens lines to a server that tells each request back, but of one line closes upon the first after `answers`.
    fn lines(answers: usize) -> impl Fn() -> io::Result<Link> {
        move || {
            let (ours, mut theirs) = UnixStream::pair()?;
            thread::spawn(move || {
                let mut received = Vec::new();
                for answered in 0..=answers {
                    let request = loop {
                        let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n");
                        if let Some(end) = end {
                            break received.drain(..end + 4).collect::<Vec<u8>>();
                        }
                        let mut piece = [0; 100];
                        let read = theirs.read(&mut piece).unwrap();
                        if read == 0 {
                            return;
                        }
                        received.extend_from_slice(&piece[..read]);
                    };
                    if answered < answers {
                        theirs.write_all(&told_back(&request)).unwrap();
                    }
                }
            });
            Ok(Link::of(ours))
        }
    }

    fn told_back(request: &[u8]) -> Vec<u8> {
        let request = std::str::from_utf8(request).unwrap().trim_end();
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
            request.len()
        );
        if !request.starts_with("HEAD ") {
            answer.push_str(request);
        }
        answer.into_bytes()
    }

    fn exchange(
        pipeline: &Pipeline,
        target: &str,
        open: &impl Fn() -> io::Result<Link>,
    ) -> Option<Vec<u8>> {
        let method = if target.ends_with('0') { "HEAD" } else { "GET" };
        let request = format!("{method} {target}\r\n\r\n");
        let answer = pipeline.exchange(request.as_bytes(), method == "HEAD", open)?;
        assert_eq!(
            *answer.ending(Ending::Open),
            told_back(request.as_bytes()),
            "{target}"
        );
        Some(request.into_bytes())
    }

    #[test]
    fn each_of_many_gets_its_own_answer() {
        let (pipeline, opened) = (Pipeline::default(), AtomicUsize::new(0));
        let open = || {
            opened.fetch_add(1, Ordering::SeqCst);
            lines(10_000)()
        };
        let long = "/long".repeat(MAX_WHOLE_BYTES / 5 + 1);
        thread::scope(|scope| {
            for client in 0..16 {
                let (pipeline, open, long) = (&pipeline, &open, &long);
                scope.spawn(move || {
                    for number in 0..50 {
                        let target = format!("/{client}/{number}");
                        exchange(pipeline, &target, open).unwrap();
                    }
                    let long = exchange(pipeline, &format!("{long}/{client}/"), open);
                    assert_eq!(long, None, "a long answer is kept");
                });
            }
        });
        assert_eq!(opened.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_broken_line_fails_those_who_wait_and_is_opened_anew() {
        let (pipeline, open) = (Pipeline::default(), lines(3));
        for _ in 0..2 {
            for number in 1..=3 {
                exchange(&pipeline, &format!("/{number}"), &open).unwrap();
            }
            assert_eq!(exchange(&pipeline, "/4", &open), None);
        }
    }

    #[test]
    fn an_answer_that_nobody_asked_for_breaks_the_line() {
        let pipeline = Pipeline::default();
        let open = || {
            let (ours, mut theirs) = UnixStream::pair()?;
            theirs.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
            Ok(Link::of(ours))
        };
        let line = pipeline.line(open).unwrap();
        while lock(&line.waiting).is_some() {
            thread::yield_now();
        }
        assert!(
            pipeline
                .line(lines(1))
                .is_ok_and(|new| !Arc::ptr_eq(&new, &line))
        );
    }

    #[test]
    fn the_line_of_a_retired_server_ends_and_another_is_opened() {
        let (pipeline, open) = (Pipeline::default(), lines(10));
        exchange(&pipeline, "/1", &open).unwrap();
        let retired = pipeline.line(&open).unwrap();
        retired.link.retire();
        exchange(&pipeline, "/2", &open).unwrap();
        assert!(!Arc::ptr_eq(&pipeline.line(&open).unwrap(), &retired));
        // Until its other end has closed.
        while lock(&retired.waiting).is_some() {
            thread::yield_now();
        }
    }

    #[test]
    fn a_line_that_cannot_be_opened_answers_nothing() {
        let open = || Err(io::ErrorKind::NotFound.into());
        assert_eq!(exchange(&Pipeline::default(), "/1", &open), None);
    }
}
