//! Handles one request from its arrival to its answer and its line in the log.
//!
//! A quick request is answered by the thread that received it. A login may wait for hashing and for the disk, so it gets a
//! new thread. A long answer gets one as well, because its client may read slowly. So neither full lanes, nor a locked
//! database, nor a slow client delays a quick request. A look-up in a remote database is answered by the receiving thread if
//! no other receiving thread is doing one, and in a new thread otherwise: so one receiving thread is always free. There are
//! never more such threads than connections of the gate.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::answerer::{Answerer, MatchedRoute, OTHER, Pace};
use super::arrival;
use crate::endpoint::{self, Services, user_login};
use crate::gate::{DELAY, OnRefusal, RefusedRequest};
use crate::http::{Reply, Request, path_of};
use crate::low_priority::with_low_priority;

/// Answers requests. Every request holds a reference to it until it is answered.
pub(super) struct Dispatcher {
    pub(super) answerer: Arc<dyn Answerer>,
    pub(super) services: Arc<Services>,
    /// Whether a receiving thread waits for a remote database.
    pub(super) is_looking_up: AtomicBool,
    /// Dropped with the dispatcher, which closes the channel once all requests are answered.
    pub(super) _in_work: Sender<Infallible>,
}

/// A request that was not answered yet.
struct PendingRequest {
    request: tiny_http::Request,
    route: MatchedRoute,
    received: Instant,
}

/// A reply, and what the log says about its request.
struct PreparedReply {
    reply: Reply,
    client: String,
    user: Option<String>,
    /// Whether sending the reply may have to wait for the client.
    is_long: bool,
}

impl Dispatcher {
    pub(super) fn dispatch(self: &Arc<Self>, request: tiny_http::Request) {
        let received = Instant::now();
        if arrival::is_warm_up(&request) {
            // An error can be ignored: the gate notices that it gets no answer.
            let _ = request.respond(tiny_http::Response::empty(204));
            return;
        }
        let route = self
            .answerer
            .match_route(request.method().as_str(), request.url());
        let mut pending = PendingRequest {
            request,
            route,
            received,
        };
        let this = Arc::clone(self);
        let looks_up = route.pace == Pace::LookUp && self.services.store.is_remote();
        let is_first = looks_up && !self.is_looking_up.swap(true, Ordering::Relaxed);
        if route.pace == Pace::Slow || looks_up && !is_first {
            in_own_thread(move || {
                let prepared = this.answer(&mut pending);
                this.send(pending, prepared);
            });
            return;
        }
        let prepared = self.answer(&mut pending);
        if is_first {
            self.is_looking_up.store(false, Ordering::Relaxed);
        }
        if prepared.is_long {
            in_own_thread(move || this.send(pending, prepared));
        } else {
            self.send(pending, prepared);
        }
    }

    fn answer(&self, pending: &mut PendingRequest) -> PreparedReply {
        let arrival = arrival::of(&pending.request);
        let mut request = Request::new(&mut pending.request, arrival);
        // Catches panics here too, because a layer around the endpoints may have a defect.
        let reply = endpoint::reply(|| Ok(self.answerer.answer(&pending.route, &mut request)));
        PreparedReply {
            client: request.client(&self.services.trusted_proxies).to_string(),
            user: request.user_uuid().map(str::to_owned),
            is_long: self.services.long_answers.include(&reply),
            reply,
        }
    }

    /// Sends a reply, then counts and logs the request.
    fn send(&self, pending: PendingRequest, prepared: PreparedReply) {
        let PendingRequest {
            request,
            route,
            received,
        } = pending;
        let PreparedReply {
            mut reply,
            client,
            user,
            is_long,
        } = prepared;
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
            tracing::debug!(%error, "cannot send the answer to the client");
        }
        let duration = received.elapsed();
        self.services.metrics.observe(route.name, status, duration);
        if route.name == user_login::PATH {
            self.services.metrics.observe_login(status);
        }
        let (path, duration_ms) = (path_of(&target), milliseconds(duration));
        tracing::info!(method, path, status, duration_ms, client, user, "request");
        drop(held);
        if let Some(afterwards) = afterwards {
            afterwards();
        }
    }
}

/// The gate's callback for requests that it answers itself. They are counted and logged like all others, and passed to the
/// answerer, which may record them and add header fields.
pub(crate) fn on_refusal(answerer: Arc<dyn Answerer>, services: Arc<Services>) -> OnRefusal {
    OnRefusal::new(move |request| {
        record(&services, request);
        answerer.refused(request)
    })
}

/// Counts and logs a request that the gate answered itself. It is always counted under [`OTHER`], because the time that a
/// client takes to send its request must not count as the duration of a login.
fn record(services: &Services, request: &RefusedRequest<'_>) {
    let RefusedRequest {
        method,
        status,
        detail,
        duration,
        ..
    } = *request;
    services.metrics.observe(OTHER, status, duration);
    let peer = arrival::address(request.peer);
    let proxies = &services.trusted_proxies;
    let client = proxies.client(peer, |field| request.joined(field.name()));
    let client = client.to_string();
    let path = request.target.as_deref().map(path_of);
    let duration_ms = milliseconds(duration);
    tracing::info!(method, path, status, duration_ms, client, detail, "request");
}

/// A duration for the log, in milliseconds with three decimals. An `f64` is precise enough for the duration of any request.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// Runs `work` in a new thread, or in the calling thread if none can be started. The caller can afford to wait then,
/// because without threads no client can connect.
fn in_own_thread(work: impl FnOnce() + Send + 'static) {
    start_or_run(thread::Builder::new().name("worker".to_owned()), work);
}

fn start_or_run(thread: thread::Builder, work: impl FnOnce() + Send + 'static) {
    let work = Arc::new(Mutex::new(Some(work)));
    let run = move || {
        let work = work.lock().take();
        if let Some(work) = work {
            work();
        }
    };
    if let Err(error) = thread.spawn(run.clone()) {
        tracing::warn!(%error, "cannot start a thread for a request; other requests wait for it");
        run();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn every_piece_of_work_runs_in_its_own_thread() {
        // The barrier would block for ever if the pieces ran one after another.
        let together = Arc::new(Barrier::new(20));
        let (done, all_done) = channel();
        for _ in 0..20 {
            let (together, done) = (Arc::clone(&together), done.clone());
            in_own_thread(move || {
                together.wait();
                done.send(()).unwrap();
            });
        }
        drop(done);
        assert_eq!(all_done.iter().count(), 20);
    }

    #[test]
    fn the_caller_does_the_work_if_no_thread_can_be_started() {
        let (done, by) = channel();
        let more_than_there_is = thread::Builder::new().stack_size(1 << 60);
        start_or_run(more_than_there_is, move || {
            done.send(thread::current().id()).unwrap();
        });
        let by: Vec<_> = by.iter().collect();
        assert_eq!(by, [thread::current().id()]);
    }
}
