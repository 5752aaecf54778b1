//! One client's connection from its first byte to its close: requests are received, answered in their order, and the
//! rest is thrown away.
//!
//! Runs in a thread of its own. Reading ahead is bounded by the input buffer: the next request is looked at when this one
//! is answered.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::answer::{Answer, Ending};
use super::deadline::Deadline;
use super::input::Input;
use super::limits::Limits;
use super::normal::Forward;
use super::order::{Fault, GARBAGE};
use super::places::Place;
use super::pool::{self, Exchange, Pool};
use super::receive::{Failure, Receiver, Request};
use super::refusal::{self, Refusal};
use super::refused::{OnRefusal, Seen};
use super::request_line::Version;
use super::wire::Client;

/// For a client to receive what was written and close its end.
const LINGER: Duration = Duration::from_secs(5);

/// What all connections share.
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) forward: Forward,
    pub(super) answer_fields: &'static [(&'static str, &'static str)],
    pub(super) on_refusal: OnRefusal,
    pub(super) pool: Pool,
}

pub(super) struct Connection {
    client: Client,
    input: Input,
    peer: String,
    shared: Arc<Shared>,
    /// Last: the gate has stopped when all places are left, and nothing else is held by then.
    place: Place,
}

/// What follows on an answer.
enum Next {
    Request,
    Close,
    /// An answer was spoiled so that nothing may follow, not even a proper end.
    Reset,
}

impl Connection {
    pub(super) fn new(
        place: Place,
        peer: String,
        client: Client,
        shared: Arc<Shared>,
    ) -> Connection {
        Connection {
            client,
            input: Input::new(),
            peer,
            shared,
            place,
        }
    }

    /// Keeps the client from having to leave for another before it is served.
    pub(super) fn hold(&self) {
        self.place.answer();
    }

    /// Serves the client until one of the two closes.
    pub(super) fn serve(mut self) {
        self.place.wait();
        let deadline = Deadline::after(self.shared.limits.request_timeout);
        let served = match self.client.handshake(deadline) {
            Ok(()) => self.serve_requests(),
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            tracing::debug!(peer = self.peer, %error, "a connection broke");
        }
    }

    fn serve_requests(&mut self) -> io::Result<()> {
        loop {
            let received = self.receiver().receive();
            let next = match received {
                Ok(Some(request)) => self.answer(request)?,
                Ok(None) => return Ok(()),
                Err(Failure::Refused {
                    refusal,
                    seen,
                    started,
                }) => self.refuse(refusal, &seen, started)?,
                Err(Failure::Broken(error)) => return Err(error),
            };
            match next {
                Next::Request => {}
                Next::Close => {
                    self.place.leave();
                    self.client.close(Deadline::after(LINGER));
                    return Ok(());
                }
                Next::Reset => return self.place.occupant.socket.reset_when_closed(),
            }
        }
    }

    fn receiver(&mut self) -> Receiver<'_> {
        Receiver {
            client: &mut self.client,
            input: &mut self.input,
            place: &self.place,
            limits: &self.shared.limits,
            forward: self.shared.forward,
            peer: &self.peer,
        }
    }

    fn answer(&mut self, request: Request) -> io::Result<Next> {
        let shared = Arc::clone(&self.shared);
        match shared.pool.exchange(&request.bytes, request.is_head) {
            Ok(exchange) => self.relay(exchange, &request),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "a request got no answer");
                let refusal = match error {
                    pool::Error::Unreachable(_) | pool::Error::NoneFree => refusal::UNAVAILABLE,
                    pool::Error::NoAnswer(_) => refusal::DEFECT,
                };
                self.refuse(refusal, &Seen::normal(request.bytes), request.started)
            }
        }
    }

    /// An error once the answer has begun leaves nothing but to close: its length was told.
    fn relay(&mut self, exchange: Exchange<'_>, request: &Request) -> io::Result<Next> {
        let order = exchange.answer.order();
        if !order.delay.is_zero() {
            self.place.pause(order.delay);
        }
        if let Some(fault) = order.fault {
            return self.spoil(fault, exchange.answer);
        }
        let ending = if !request.keep_alive || self.is_last() {
            Ending::Close
        } else if request.version == Version::Http10 {
            Ending::KeepAlive
        } else {
            Ending::Open
        };
        let Exchange { answer, rest } = exchange;
        if rest.is_none() {
            self.place.answered();
        }
        self.client.write_all(&answer.ending(ending))?;
        if let Some(rest) = rest {
            rest.relay(|piece| self.client.write_all(piece))?;
        }
        match ending {
            Ending::Close => Ok(Next::Close),
            Ending::Open | Ending::KeepAlive => Ok(Next::Request),
        }
    }

    fn spoil(&mut self, fault: Fault, answer: Answer) -> io::Result<Next> {
        let held = answer.held();
        match fault {
            Fault::Reset => return Ok(Next::Reset),
            Fault::Cut if held > 0 => {
                let bytes = answer.ending(Ending::Open);
                self.client
                    .write_all(&bytes[..bytes.len() - held.div_ceil(2)])?;
            }
            Fault::Cut | Fault::Empty => {}
            Fault::Garbage => self.client.write_all(GARBAGE)?,
        }
        Ok(Next::Close)
    }

    /// Whether the gate stops and the client has sent nothing after this request.
    fn is_last(&mut self) -> bool {
        if !self.place.is_stopping() || !self.input.is_empty() {
            return false;
        }
        self.place.end_silence();
        let deadline = Deadline::after(LINGER);
        let read = self.input.fill(|buffer| self.client.read(buffer, deadline));
        !read.is_ok_and(|read| read > 0)
    }

    /// Kept apart by the compiler too: what it needs of the stack would stay with every idle connection.
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, refusal: Refusal, seen: &Seen, started: Instant) -> io::Result<Next> {
        let refused = seen.refused(&self.peer, refusal, started.elapsed());
        let own = self.shared.on_refusal.call(&refused);
        let without_body = refused.method == Some("HEAD");
        let mut bytes = Vec::new();
        refusal.write(self.shared.answer_fields, &own, without_body, &mut bytes);
        self.client.write_all(&bytes)?;
        Ok(Next::Close)
    }
}
