//! One client's connection from its first byte to its close: requests are received, answered in their order, and the
//! rest is thrown away.
//!
//! Runs in a thread of its own. Reading ahead is bounded by the input buffer: the next request is looked at when this one
//! is answered.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::date;
use super::slots::Slot;
use super::stop::StopSignal;
use super::stream::ClientStream;
use crate::gate::deadline::Deadline;
use crate::gate::http::connection_option::ConnectionOption;
use crate::gate::http::input::Input;
use crate::gate::http::normal::Forward;
use crate::gate::http::receive::{Failure, Receiver, Request, Source};
use crate::gate::http::refusal::{self, Refusal};
use crate::gate::http::refused::{OnRefusal, PartialHead};
use crate::gate::http::request_line::Version;
use crate::gate::limits::Limits;
use crate::gate::upstream::answer::ServerAnswer;
use crate::gate::upstream::instructions::{Fault, GARBAGE, Instructions, NUMBER, OnDelivery};
use crate::gate::upstream::pool::{self, Exchange, Pool};

/// For a client to receive what was written and close its end.
const LINGER: Duration = Duration::from_secs(5);
/// For the reset with which a client answers that closed its connection during a delay.
const RESET_WAIT: Duration = Duration::from_millis(50);

/// What all connections share.
pub(crate) struct ConnectionContext {
    pub(crate) limits: Limits,
    pub(crate) forward: Forward,
    pub(crate) answer_fields: &'static [(&'static str, &'static str)],
    pub(crate) on_refusal: OnRefusal,
    pub(crate) on_delivery: OnDelivery,
    pub(crate) pool: Pool,
    pub(crate) stop: Arc<StopSignal>,
}

pub(crate) struct Connection {
    client: ClientStream,
    input: Input,
    peer: String,
    context: Arc<ConnectionContext>,
    /// Last: the gate has stopped when all slots are free, and nothing else is held by then.
    slot: Slot,
}

/// What follows on an answer.
enum Next {
    Request,
    Close,
    /// A fault was injected after which nothing may follow, not even a proper end.
    Reset,
}

impl Connection {
    pub(crate) fn new(
        slot: Slot,
        peer: String,
        client: ClientStream,
        context: Arc<ConnectionContext>,
    ) -> Self {
        Self {
            client,
            input: Input::new(),
            peer,
            context,
            slot,
        }
    }

    /// Keeps the client from having to leave for another before it is served.
    pub(crate) fn hold(&self) {
        self.slot.set_waiting();
    }

    /// Serves the client until one of the two closes.
    pub(crate) fn serve(mut self) {
        self.slot.set_idle();
        let deadline = Deadline::after(self.context.limits.request_timeout);
        let served = match self.client.handshake(deadline) {
            Ok(()) => self.serve_requests(),
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            tracing::debug!(peer = self.peer, %error, "a connection broke");
        }
    }

    fn serve_requests(&mut self) -> io::Result<()> {
        while self.await_request()? {
            self.slot.set_receiving();
            let started = Instant::now();
            let next = match self.receive() {
                Ok(Some(request)) if self.slot.set_waiting() => self.answer(request, started)?,
                Ok(Some(request)) => self.refuse(
                    refusal::TOO_SLOW,
                    &PartialHead::normal(request.bytes),
                    started,
                )?,
                Ok(None) => return Ok(()),
                Err(Failure::Refused { refusal, seen }) => self.refuse(refusal, &seen, started)?,
                Err(Failure::Broken(error)) => return Err(error),
            };
            match next {
                Next::Request => {}
                Next::Close => {
                    self.slot.set_closing();
                    self.client.close(Deadline::after(LINGER));
                    return Ok(());
                }
                Next::Reset => return self.slot.socket.reset_when_closed(),
            }
        }
        Ok(())
    }

    /// Waits for the first byte of a request; false when none comes.
    fn await_request(&mut self) -> io::Result<bool> {
        self.slot.set_idle();
        if !self.input.is_empty() {
            return Ok(true);
        }
        let deadline = Deadline::after(self.context.limits.idle_timeout);
        let client = &mut self.client;
        let read = self
            .input
            .fill(|buffer| client.read_first(buffer, deadline));
        match read {
            Ok(read) => Ok(read > 0),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn receive(&mut self) -> Result<Option<Request>, Failure> {
        let source = RequestSource {
            client: &mut self.client,
            slot: &self.slot,
            deadline: Deadline::after(self.context.limits.request_timeout),
        };
        let mut receiver = Receiver {
            source,
            input: &mut self.input,
            limits: &self.context.limits,
            forward: self.context.forward,
            peer: &self.peer,
        };
        receiver.receive()
    }

    fn answer(&mut self, request: Request, started: Instant) -> io::Result<Next> {
        let context = Arc::clone(&self.context);
        match context.pool.exchange(&request.bytes, request.is_head) {
            Ok(exchange) => self.relay(exchange, &request),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "a request got no answer");
                let refusal = match error {
                    pool::Error::Unreachable(_) | pool::Error::NoneFree => refusal::UNAVAILABLE,
                    pool::Error::NoAnswer(_) => refusal::DEFECT,
                };
                self.refuse(refusal, &PartialHead::normal(request.bytes), started)
            }
        }
    }

    fn relay(&mut self, exchange: Exchange<'_>, request: &Request) -> io::Result<Next> {
        let instructions = exchange.answer.instructions();
        let next = self.carry_out(instructions, exchange, request);
        if let Some(number) = instructions.number {
            let is_whole = matches!(next, Ok((_, true)));
            (self.context.on_delivery)(number, is_whole);
        }
        next.map(|(next, _)| next)
    }

    /// What follows, and whether the client was sent the whole answer.
    fn carry_out(
        &mut self,
        instructions: Instructions,
        exchange: Exchange<'_>,
        request: &Request,
    ) -> io::Result<(Next, bool)> {
        if !instructions.delay.is_zero() {
            self.context.stop.sleep(instructions.delay)?;
        }
        if let Some(fault) = instructions.fault {
            return Ok((self.inject(fault, exchange.answer)?, false));
        }
        // Its end of input, or another request.
        let may_have_closed = !instructions.delay.is_zero() && self.client.has_input();
        let next = self.send(exchange, request)?;
        let is_gone = may_have_closed && self.slot.socket.is_reset_within(RESET_WAIT);
        Ok((next, !is_gone))
    }

    /// An error once a part of the answer was sent leaves nothing but to close: its length was sent too.
    fn send(&mut self, exchange: Exchange<'_>, request: &Request) -> io::Result<Next> {
        let option = if !request.keep_alive || self.is_last() {
            ConnectionOption::Close
        } else if request.version == Version::Http10 {
            ConnectionOption::KeepAlive
        } else {
            ConnectionOption::Open
        };
        let Exchange { answer, rest } = exchange;
        if rest.is_none() {
            // Already: the client may have read the answer long before this thread has seen its last byte leave.
            self.slot.set_idle();
        }
        self.client.write_all(&answer.into_bytes(option))?;
        if let Some(rest) = rest {
            rest.relay(|piece| self.client.write_all(piece))?;
        }
        match option {
            ConnectionOption::Close => Ok(Next::Close),
            ConnectionOption::Open | ConnectionOption::KeepAlive => Ok(Next::Request),
        }
    }

    fn inject(&mut self, fault: Fault, answer: ServerAnswer) -> io::Result<Next> {
        let held = answer.held();
        match fault {
            Fault::Reset => return Ok(Next::Reset),
            Fault::Cut if held > 0 => {
                let bytes = answer.into_bytes(ConnectionOption::Open);
                self.client
                    .write_all(&bytes[..bytes.len() - held.div_ceil(2)])?;
            }
            Fault::Cut | Fault::Empty => {}
            Fault::Garbage => self.client.write_all(GARBAGE)?,
        }
        Ok(Next::Close)
    }

    /// Whether the gate stops, and nothing has arrived after this request.
    fn is_last(&self) -> bool {
        self.context.stop.is_set() && self.input.is_empty() && !self.client.has_input()
    }

    /// Kept apart by the compiler too: what it needs of the stack would stay with every idle connection.
    #[cold]
    #[inline(never)]
    fn refuse(
        &mut self,
        refusal: Refusal,
        seen: &PartialHead,
        started: Instant,
    ) -> io::Result<Next> {
        let refused = seen.refused(&self.peer, refusal, started.elapsed());
        let mut own = self.context.on_refusal.call(&refused);
        let number = own.extract_if(.., |(name, _)| *name == NUMBER).next();
        let without_body = refused.method == Some("HEAD");
        let mut bytes = Vec::new();
        let common = self.context.answer_fields;
        refusal.write(&date::now(), common, &own, without_body, &mut bytes);
        let written = self.client.write_all(&bytes);
        if let Some(number) = number.and_then(|(_, number)| number.parse().ok()) {
            (self.context.on_delivery)(number, written.is_ok());
        }
        written.map(|()| Next::Close)
    }
}

/// A client that sends a request.
struct RequestSource<'a> {
    client: &'a mut ClientStream,
    slot: &'a Slot,
    deadline: Deadline,
}

impl Source for RequestSource<'_> {
    /// The end of input is also how a client that is evicted learns of it.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.client.read(buffer, self.deadline) {
            Ok(0) if self.slot.is_evicted() => Err(io::ErrorKind::TimedOut.into()),
            result => result,
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.client.write_all(bytes)?;
        self.slot.set_receiving();
        Ok(())
    }
}
