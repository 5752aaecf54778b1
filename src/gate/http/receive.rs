//! Receives one complete request within the limits, from any source of bytes.

use std::io;

use super::chunked::{Decoded, Decoder};
use super::framing::Framing;
use super::head::{Head, Scan, Scanner};
use super::input::Input;
use super::normal::{self, Forward};
use super::refusal::{self, Refusal};
use super::refused::PartialHead;
use super::request_line::Version;
use super::wiped::Wiped;
use crate::gate::limits::GateLimits;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A request that may be sent to the server.
pub(crate) struct Request {
    /// The head and body, in normal form.
    pub(crate) bytes: Wiped,
    /// Whether the method is HEAD.
    pub(crate) is_head: bool,
    pub(crate) version: Version,
    /// Whether another request may follow on this connection.
    pub(crate) keep_alive: bool,
}

/// Why no request was received.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The request is refused, and the client is to be answered.
    Refused { refusal: Refusal, seen: PartialHead },
    /// The connection failed: there is no client to answer.
    Broken(io::Error),
}

/// The source of the bytes of one request.
pub(crate) trait Source {
    /// Waits for bytes; 0 is the end of the input, and `TimedOut` means that the request took too long.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Sends bytes to the client, such as a `100 Continue`.
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// Receives one request from a source.
pub(crate) struct Receiver<'a, S> {
    pub(crate) source: S,
    pub(crate) input: &'a mut Input,
    pub(crate) limits: &'a GateLimits,
    pub(crate) forward: Forward,
    pub(crate) peer: &'a str,
}

enum Body {
    Whole(Wiped),
    TooLarge,
}

/// The reason for a [`Failure`], before the received part of the head is added to it.
enum ReceiveError {
    Refusal(Refusal),
    Broken(io::Error),
}

/// A head that was received and checked.
struct CheckedHead {
    /// The head in normal form, without the length of the body.
    bytes: Wiped,
    is_head: bool,
    version: Version,
    keep_alive: bool,
    framing: Framing,
    expects_continue: bool,
}

impl ReceiveError {
    fn into_failure(self, seen: PartialHead) -> Failure {
        match self {
            Self::Refusal(refusal) => Failure::Refused { refusal, seen },
            Self::Broken(error) => Failure::Broken(error),
        }
    }
}

impl From<Refusal> for ReceiveError {
    fn from(refusal: Refusal) -> Self {
        Self::Refusal(refusal)
    }
}

impl<S: Source> Receiver<'_, S> {
    /// Reads a complete request. Its first bytes may already be in `input`, and bytes of the next request may be left
    /// there. `None` if the client sent nothing but an empty line.
    pub(crate) fn receive(&mut self) -> Result<Option<Request>, Failure> {
        let mut scanner = Scanner::default();
        let mut head = match self.read_head(&mut scanner) {
            Ok(head) => head,
            // Some clients send an empty line after a body (RFC 9112, 2.2).
            Err(ReceiveError::Refusal(refusal::TOO_SLOW | refusal::CUT_SHORT))
                if b"\r\n".starts_with(self.input.unread()) =>
            {
                return Ok(None);
            }
            Err(error) => {
                let seen = PartialHead::sent(scanner.seen(self.input.unread()));
                return Err(error.into_failure(seen));
            }
        };
        match self.read_rest(&mut head) {
            Ok(keep_alive) => Ok(Some(Request {
                bytes: head.bytes,
                is_head: head.is_head,
                version: head.version,
                keep_alive,
            })),
            Err(error) => Err(error.into_failure(PartialHead::normal(head.bytes))),
        }
    }

    fn read_head(&mut self, scanner: &mut Scanner) -> Result<CheckedHead, ReceiveError> {
        let extent = loop {
            match scanner.advance(self.input.unread(), self.limits)? {
                Scan::Whole(extent) => break extent,
                Scan::More => self.read_more()?,
            }
        };
        let mut bytes = Wiped::with_capacity(512);
        let head = Head::parse(self.input.unread(), extent)?;
        normal::start(&head, self.peer, self.forward, &mut bytes);
        let received = CheckedHead {
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

    /// Reads the body and completes the request with it. Returns whether another request may follow.
    fn read_rest(&mut self, head: &mut CheckedHead) -> Result<bool, ReceiveError> {
        let body = self.read_body(head.framing, head.expects_continue)?;
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
    ) -> Result<Body, ReceiveError> {
        let max_body = self.limits.max_body as u64;
        match framing {
            Framing::None | Framing::Length(0) => Ok(Body::Whole(Wiped::default())),
            Framing::Length(length) if length > max_body => Ok(Body::TooLarge),
            Framing::Length(length) => {
                self.send_continue(expects_continue)?;
                // No larger than `max_body`, which is a usize.
                self.read_length(length as usize).map(Body::Whole)
            }
            Framing::Chunked => {
                self.send_continue(expects_continue)?;
                self.read_chunks()
            }
        }
    }

    /// Sends `100 Continue` if the client expects it and has not started to send its body.
    fn send_continue(&mut self, expects_continue: bool) -> Result<(), ReceiveError> {
        if expects_continue && self.input.is_empty() {
            self.source
                .write_all(CONTINUE)
                .map_err(ReceiveError::Broken)?;
        }
        Ok(())
    }

    fn read_length(&mut self, length: usize) -> Result<Wiped, ReceiveError> {
        let mut body = Wiped::default();
        loop {
            let unread = self.input.unread();
            let taken = unread.len().min(length - body.len());
            body.extend_from_slice(&unread[..taken]);
            self.input.consume(taken);
            if body.len() == length {
                return Ok(body);
            }
            self.read_more()?;
        }
    }

    fn read_chunks(&mut self) -> Result<Body, ReceiveError> {
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
                    self.read_more()?;
                }
            }
        }
    }

    fn read_more(&mut self) -> Result<(), ReceiveError> {
        match self.input.fill(|buffer| self.source.read(buffer)) {
            Ok(0) => Err(refusal::CUT_SHORT.into()),
            Ok(_) => Ok(()),
            Err(error) => Err(match error.kind() {
                io::ErrorKind::TimedOut => refusal::TOO_SLOW.into(),
                io::ErrorKind::ConnectionReset => refusal::CUT_SHORT.into(),
                _ => ReceiveError::Broken(error),
            }),
        }
    }
}
