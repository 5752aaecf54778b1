//! Receiving one whole request, under one deadline and within the limits.

use std::io;
use std::time::Instant;

use super::chunked::{Decoded, Decoder};
use super::deadline::Deadline;
use super::framing::Framing;
use super::head::{Head, Scan, Scanner};
use super::input::Input;
use super::limits::Limits;
use super::normal::{self, Forward};
use super::places::Place;
use super::refusal::{self, Refusal};
use super::refused::Seen;
use super::request_line::Version;
use super::wiped::Wiped;
use super::wire::Client;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A request that may go on to the server.
pub(super) struct Request {
    /// Head and body, in normal form.
    pub(super) bytes: Wiped,
    pub(super) is_head: bool,
    pub(super) version: Version,
    /// Whether another request may follow on this connection.
    pub(super) keep_alive: bool,
    /// When its first byte was there.
    pub(super) started: Instant,
}

/// Why no request came.
#[derive(Debug)]
pub(super) enum Failure {
    /// The client is answered what was wrong.
    Refused {
        refusal: Refusal,
        seen: Seen,
        started: Instant,
    },
    /// The connection broke: there is nobody to answer.
    Broken(io::Error),
}

/// What receiving needs of a connection.
pub(super) struct Receiver<'a> {
    pub(super) client: &'a mut Client,
    pub(super) input: &'a mut Input,
    pub(super) place: &'a Place,
    pub(super) limits: &'a Limits,
    pub(super) forward: Forward,
    pub(super) peer: &'a str,
}

enum Body {
    Whole(Wiped),
    TooLarge,
}

/// Inside this file: the refusal, or the broken connection.
enum Stop {
    Refusal(Refusal),
    Broken(io::Error),
}

/// A head that was read.
struct Received {
    /// What goes on to the server, up to what tells the body.
    bytes: Wiped,
    is_head: bool,
    version: Version,
    keep_alive: bool,
    framing: Framing,
    expects_continue: bool,
}

impl Stop {
    fn into_failure(self, seen: Seen, started: Instant) -> Failure {
        match self {
            Stop::Refusal(refusal) => Failure::Refused {
                refusal,
                seen,
                started,
            },
            Stop::Broken(error) => Failure::Broken(error),
        }
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refusal(refusal)
    }
}

impl Receiver<'_> {
    /// Waits for a request and reads it whole. `None`: the client has closed or was silent for too long.
    pub(super) fn receive(&mut self) -> Result<Option<Request>, Failure> {
        self.place.wait();
        if self.input.is_empty() && !self.wait().map_err(Failure::Broken)? {
            return Ok(None);
        }
        self.place.begin();
        let started = Instant::now();
        let deadline = Deadline::after(self.limits.request_timeout);
        let mut scanner = Scanner::default();
        let mut head = match self.read_head(&mut scanner, deadline) {
            Ok(head) => head,
            // Some clients send an empty line behind a body, and nothing more (RFC 9112, 2.2).
            Err(Stop::Refusal(refusal::TOO_SLOW | refusal::CUT_SHORT))
                if b"\r\n".starts_with(self.input.unread()) =>
            {
                return Ok(None);
            }
            Err(stop) => {
                let seen = Seen::sent(scanner.seen(self.input.unread()));
                return Err(stop.into_failure(seen, started));
            }
        };
        match self.read_rest(&mut head, deadline) {
            Ok(keep_alive) => Ok(Some(Request {
                bytes: head.bytes,
                is_head: head.is_head,
                version: head.version,
                keep_alive,
                started,
            })),
            Err(stop) => Err(stop.into_failure(Seen::normal(head.bytes), started)),
        }
    }

    /// Waits for the first byte; false when none comes.
    fn wait(&mut self) -> io::Result<bool> {
        let deadline = Deadline::after(self.limits.idle_timeout);
        let place = self.place;
        let first = self
            .client
            .await_input(deadline, || place.begin_unless_ended());
        let read =
            first.and_then(|()| self.input.fill(|buffer| self.client.read(buffer, deadline)));
        match read {
            Ok(read) => Ok(read > 0),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn read_head(&mut self, scanner: &mut Scanner, deadline: Deadline) -> Result<Received, Stop> {
        let extent = loop {
            match scanner.advance(self.input.unread(), self.limits)? {
                Scan::Whole(extent) => break extent,
                Scan::More => self.read_more(deadline)?,
            }
        };
        let mut bytes = Wiped::with_capacity(512);
        let head = Head::parse(self.input.unread(), extent)?;
        normal::begin(&head, self.peer, self.forward, &mut bytes);
        let received = Received {
            bytes,
            is_head: head.line.method == "HEAD",
            version: head.line.version,
            keep_alive: head.keep_alive,
            framing: head.framing,
            expects_continue: head.expects_continue,
        };
        self.input.consume(extent.end);
        Ok(received)
    }

    /// Completes the request with its body; says whether another one may follow.
    fn read_rest(&mut self, head: &mut Received, deadline: Deadline) -> Result<bool, Stop> {
        let body = self.read_body(head.framing, head.expects_continue, deadline)?;
        if !self.place.answer() {
            return Err(refusal::TOO_SLOW.into());
        }
        match body {
            Body::Whole(body) => {
                normal::end_with_body(&body, &mut head.bytes);
                Ok(head.keep_alive)
            }
            Body::TooLarge => {
                normal::end_too_large(self.limits.max_body, &mut head.bytes);
                Ok(false)
            }
        }
    }

    fn read_body(
        &mut self,
        framing: Framing,
        expects_continue: bool,
        deadline: Deadline,
    ) -> Result<Body, Stop> {
        let max_body = self.limits.max_body as u64;
        match framing {
            Framing::None | Framing::Length(0) => Ok(Body::Whole(Wiped::default())),
            Framing::Length(length) if length > max_body => Ok(Body::TooLarge),
            Framing::Length(length) => {
                self.tell_to_continue(expects_continue)?;
                // No larger than `max_body`, which is a usize.
                self.read_length(length as usize, deadline).map(Body::Whole)
            }
            Framing::Chunked => {
                self.tell_to_continue(expects_continue)?;
                self.read_chunks(deadline)
            }
        }
    }

    /// A client whose body is on its way already need not be told.
    fn tell_to_continue(&mut self, expects_continue: bool) -> Result<(), Stop> {
        if expects_continue && self.input.is_empty() {
            self.client.write_all(CONTINUE).map_err(Stop::Broken)?;
            self.place.begin();
        }
        Ok(())
    }

    fn read_length(&mut self, length: usize, deadline: Deadline) -> Result<Wiped, Stop> {
        let mut body = Wiped::default();
        loop {
            let unread = self.input.unread();
            let taken = unread.len().min(length - body.len());
            body.extend_from_slice(&unread[..taken]);
            self.input.consume(taken);
            if body.len() == length {
                return Ok(body);
            }
            self.read_more(deadline)?;
        }
    }

    fn read_chunks(&mut self, deadline: Deadline) -> Result<Body, Stop> {
        let mut body = Wiped::default();
        let mut decoder = Decoder::new(self.limits);
        loop {
            match decoder.decode(self.input.unread(), &mut body)? {
                Decoded::TooLarge => return Ok(Body::TooLarge),
                Decoded::Whole(length) => {
                    self.input.consume(length);
                    return Ok(Body::Whole(body));
                }
                Decoded::More => {
                    self.input.consume(usize::MAX);
                    self.read_more(deadline)?;
                }
            }
        }
    }

    fn read_more(&mut self, deadline: Deadline) -> Result<(), Stop> {
        match self.input.fill(|buffer| self.client.read(buffer, deadline)) {
            // The end of input is also how a client that is evicted learns of it.
            Ok(0) if self.place.is_evicted() => Err(refusal::TOO_SLOW.into()),
            Ok(0) => Err(refusal::CUT_SHORT.into()),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(refusal::TOO_SLOW.into()),
            Err(error) => Err(Stop::Broken(error)),
        }
    }
}
