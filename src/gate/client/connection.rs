//! Serves one client's connection from its first byte to its close: receives requests and answers them in order.
//!
//! Each connection has its own thread. Reading ahead is bounded by the input buffer: the next request is parsed only after
//! the current one has been answered.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::date;
use super::refused::RefusedConnections;
use super::slots::Slot;
use super::stop::StopSignal;
use super::stream::ClientStream;
use super::tls::handshake_problem;
use crate::gate::deadline::Deadline;
use crate::gate::http::connection_option::ConnectionOption;
use crate::gate::http::input::Input;
use crate::gate::http::normal::Forward;
use crate::gate::http::receive::{Failure, Receiver, Request, Source};
use crate::gate::http::refusal::{self, Refusal};
use crate::gate::http::refused::{OnRefusal, PartialHead};
use crate::gate::http::request_line::Version;
use crate::gate::limits::GateLimits;
use crate::gate::upstream::answer::ServerAnswer;
use crate::gate::upstream::instructions::{Fault, GARBAGE, Instructions, NUMBER, OnDelivery};
use crate::gate::upstream::pool::{self, Exchange, Pool};

/// How long the gate waits for a client to receive the last answer and close its end.
const LINGER: Duration = Duration::from_secs(5);
/// How long the gate waits for the reset that a client sends if it closed its connection during a delay.
const RESET_WAIT: Duration = Duration::from_millis(50);

/// What all connections of a gate share.
pub(crate) struct ConnectionContext {
    pub(crate) limits: GateLimits,
    pub(crate) forward: Forward,
    pub(crate) answer_fields: &'static [(&'static str, &'static str)],
    pub(crate) on_refusal: OnRefusal,
    pub(crate) on_delivery: OnDelivery,
    pub(crate) pool: Pool,
    pub(crate) refused: Arc<RefusedConnections>,
    pub(crate) stop: Arc<StopSignal>,
}

pub(crate) struct Connection {
    client: ClientStream,
    input: Input,
    peer: String,
    context: Arc<ConnectionContext>,
    /// The last field, so that it is dropped last: once all slots are free, no connection holds anything else.
    slot: Slot,
}

/// What follows an answer on the connection.
enum Next {
    Request,
    Close,
    /// A fault was injected: the connection must end with a reset instead of an orderly close.
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

    /// Protects the client from eviction until it is served.
    pub(crate) fn hold(&self) {
        self.slot.set_waiting();
    }

    /// Serves the client until either side closes the connection.
    pub(crate) fn serve(mut self) {
        self.slot.set_idle();
        let deadline = Deadline::after(self.context.limits.request_timeout);
        let served = match self.client.handshake(deadline) {
            Ok(()) => self.serve_requests(),
            // Port scanners and health checks connect without sending anything.
            Err(error) if self.client.has_received() && !self.context.stop.is_set() => {
                return self.refuse_handshake(&error);
            }
            Err(error) => Err(error),
        };
        if let Err(error) = served {
            tracing::debug!(peer = self.peer, %error, "connection failed");
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

    /// Waits for the first byte of a request. False when the client closed its end, the idle timeout passed, or the gate
    /// stops.
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
                tracing::warn!(%error, cause, "no answer from the server to a request");
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

    /// Sends the answer as the server's instructions say. Returns what follows, and whether the client was sent the whole
    /// answer.
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
        // Input is either the end of the client's input or its next request.
        let may_have_closed = !instructions.delay.is_zero() && self.client.has_input();
        let next = self.send(exchange, request)?;
        let is_gone = may_have_closed && self.slot.socket.is_reset_within(RESET_WAIT);
        Ok((next, !is_gone))
    }

    /// Sends an answer. After an error the connection must be closed: the length was already sent, so nothing else can
    /// follow a part of the answer.
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
            // Set before the write: the client may read the answer and send its next request before the write returns.
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

    /// Whether this is the last request: the gate stops, and nothing has arrived after the request.
    fn is_last(&self) -> bool {
        self.context.stop.is_set() && self.input.is_empty() && !self.client.has_input()
    }

    /// Counts and logs a TLS handshake that failed. No request of the client will show what was wrong.
    #[cold]
    fn refuse_handshake(&self, error: &io::Error) {
        let refused = &self.context.refused;
        refused.tls_handshake.fetch_add(1, Ordering::Relaxed);
        let problem = match self.slot.is_evicted() {
            true => "its connection was needed for another client".to_owned(),
            false => handshake_problem(error),
        };
        tracing::info!(peer = self.peer, problem, "TLS handshake failed");
    }

    /// Answers with a refusal. Never inlined: otherwise every idle connection would keep the stack space that this needs.
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
    /// An eviction shuts down the read side of the socket, so an end of input may mean that the client was evicted.
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
