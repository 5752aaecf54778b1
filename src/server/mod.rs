//! The blocking tiny_http loop: receives requests, finds their route, lets the handler answer, and logs the outcome.
//!
//! Two receivers answer by themselves whatever is cheap. A login may wait for its hash and for the disk, so it moves on to a
//! worker, with a permit; when there is none, the receiver lets the handler run without, which ends in 503 at the latest.
//! A long answer is sent by a worker, since its client may read slowly. So neither full lanes, nor a locked database, nor a
//! client holds up a cheap request.

mod arrival;
mod cors;
mod http_loop;
mod refused;
mod routes;
mod supervisor;
mod workers;

use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::auth::ClientNetwork;
use crate::endpoint::{self, Services};
use crate::gate::{Backend, DELAY, Refused};
use crate::hashing::Permit;
use crate::http::{Reply, Request, path_of};
use crate::low_priority::with_low_priority;
use crate::periodic::Periodic;
use crate::scratch::Scratch;

pub use cors::{Cors, NotAnOrigin, Origin, Origins};
pub use routes::{Call, Endpoints, Exposure, Pace};
use supervisor::Supervisor;
use workers::Workers;

pub(crate) use cors::is_loopback_authority;
pub(crate) use refused::on_refusal;

/// The running loop. Dropped, it answers what has been received, and ends.
pub struct Server {
    supervisor: Arc<Supervisor>,
    watch: Option<Periodic>,
    shared: Arc<Shared>,
}

/// Where a server's private sockets are.
pub(crate) struct PrivateSocket {
    pub(crate) scratch: Arc<Scratch>,
    /// What their names begin with.
    pub(crate) name: &'static str,
    /// Kept true while new connections reach the server.
    pub(crate) is_reachable: Arc<AtomicBool>,
}

/// Who answers: the endpoints, or something around them.
pub trait Answerer: Send + Sync {
    /// What a request asks for.
    fn call(&self, method: &str, target: &str) -> Call;

    /// The answer to it.
    ///
    /// # Errors
    /// Every answer that is not a success; see [`endpoint::Error`].
    fn answer(
        &self,
        call: &Call,
        request: &mut Request<'_>,
        permit: Option<&Permit>,
    ) -> Result<Reply, endpoint::Error>;

    /// Takes note of a request that the gate answered itself; gives header lines for that answer.
    fn refused(&self, _request: &Refused<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

struct Shared {
    answerer: Arc<dyn Answerer>,
    services: Arc<Services>,
    workers: Workers,
}

impl Server {
    /// Begins to answer what arrives at its backend.
    ///
    /// # Errors
    /// When the socket cannot be made or a thread cannot be started.
    pub(crate) fn start(
        socket: PrivateSocket,
        answerer: Arc<dyn Answerer>,
        services: Arc<Services>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            answerer,
            services,
            workers: Workers::start()?,
        });
        let handling = Arc::clone(&shared);
        let handle = Arc::new(move |request| dispatch(&handling, request));
        let PrivateSocket {
            scratch,
            name,
            is_reachable,
        } = socket;
        let supervisor = Supervisor::start(scratch, name, is_reachable, handle)?;
        let mut server = Self {
            supervisor,
            watch: None,
            shared,
        };
        server.watch = Some(server.supervisor.watch()?);
        Ok(server)
    }

    /// What a gate connects to.
    pub fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.supervisor) as Arc<dyn Backend>
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.watch = None;
        self.supervisor.stop();
        self.shared.services.auth.stop_waiting();
        self.shared.workers.finish();
    }
}

fn dispatch(shared: &Shared, mut request: tiny_http::Request) {
    let received = Instant::now();
    if arrival::is_warm_up(&request) {
        // Nobody waits for it but the gate, which finds out by itself that the connection is of no use.
        let _ = request.respond(tiny_http::Response::empty(204));
        return;
    }
    let call = shared
        .answerer
        .call(request.method().as_str(), request.url());
    let permit = (call.pace == Pace::Hashes)
        .then(|| permit(&shared.services, &mut request))
        .flatten();
    let is_answered_here = match call.pace {
        Pace::Quick => true,
        Pace::Slow => false,
        Pace::Hashes => permit.is_none(),
    };
    let arrived = Arrived {
        request,
        call,
        permit,
        received,
    };
    let answerer = Arc::clone(&shared.answerer);
    let services = Arc::clone(&shared.services);
    if !is_answered_here {
        shared
            .workers
            .run(move || answer(&*answerer, &services, arrived).send(&services));
        return;
    }
    let answered = answer(&*answerer, &services, arrived);
    if answered.is_long {
        shared.workers.run(move || answered.send(&services));
    } else {
        answered.send(&services);
    }
}

fn permit(services: &Services, request: &mut tiny_http::Request) -> Option<Permit> {
    let arrival = arrival::of(request);
    let client = Request::new(request, arrival).client(&services.trusted_proxies);
    services
        .permits
        .admit(ClientNetwork::from(client).into())
        .ok()
}

/// A request on its way to its answer.
struct Arrived {
    request: tiny_http::Request,
    call: Call,
    /// Held until the answer is known.
    permit: Option<Permit>,
    received: Instant,
}

/// An answer on its way to its client.
struct Answered {
    request: tiny_http::Request,
    reply: Reply,
    call: Call,
    client: String,
    user: Option<String>,
    received: Instant,
    /// Sending it may have to wait for the client.
    is_long: bool,
}

/// The request stays outside of what is caught: dropped in a panic, it would answer an empty 500 of its own.
fn answer(answerer: &dyn Answerer, services: &Services, arrived: Arrived) -> Answered {
    let Arrived {
        request: mut inner,
        call,
        permit,
        received,
    } = arrived;
    let arrival = arrival::of(&inner);
    let mut request = Request::new(&mut inner, arrival);
    let reply = caught(|| answerer.answer(&call, &mut request, permit.as_ref()));
    let client = request.client(&services.trusted_proxies).to_string();
    let user = request.user_uuid().map(str::to_owned);
    // As soon as the client has its answer it may log in again.
    drop(permit);
    Answered {
        request: inner,
        is_long: services.long_answers.include(&reply),
        reply,
        call,
        client,
        user,
        received,
    }
}

impl Answered {
    /// Sends it, then counts and logs it.
    fn send(self, services: &Services) {
        let Self {
            request,
            mut reply,
            call,
            client,
            user,
            received,
            is_long,
        } = self;
        let (status, held, afterwards) =
            (reply.status(), reply.take_held(), reply.take_afterwards());
        let (method, target) = (request.method().to_string(), request.url().to_owned());
        let pause = reply.pause();
        if !pause.is_zero() {
            reply = reply.with(DELAY, pause.as_millis().to_string());
        }
        let respond = || request.respond(reply.into_response());
        let sent = if is_long {
            with_low_priority("long-answer", respond)
        } else {
            respond()
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "the client did not take its answer");
        }
        let duration = received.elapsed();
        services.metrics.observe(call.name, status, duration);
        if call.is_login() {
            services.metrics.observe_login(status);
        }
        let (path, duration_ms) = (path_of(&target), milliseconds(duration));
        tracing::info!(method, path, status, duration_ms, client, user, "request");
        drop(held);
        if let Some(afterwards) = afterwards {
            afterwards();
        }
    }
}

/// For the log: cut to what can be read; no request takes so long that the number loses digits.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// Lets something answer; an error becomes the answer that it stands for, a panic a defect.
pub(crate) fn caught(answer: impl FnOnce() -> Result<Reply, endpoint::Error>) -> Reply {
    match catch_unwind(AssertUnwindSafe(answer)) {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => refuse(error),
        Err(_) => endpoint::defect(),
    }
}

fn refuse(error: endpoint::Error) -> Reply {
    let chain = chain(&error);
    let reply = Reply::from(error);
    match reply.status() {
        500.. => tracing::warn!(status = reply.status(), error = chain, "request failed"),
        _ => tracing::debug!(status = reply.status(), error = chain, "request refused"),
    }
    reply
}

/// An error with everything that caused it, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
