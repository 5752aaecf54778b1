//! One request, from its arrival to its answer and its line in the log.
//!
//! What is quick is answered by the thread that received it. A login may wait for its hash and for the disk, so it has a
//! thread of its own, and so has a long answer, since its client may read slowly: neither full lanes, nor a locked
//! database, nor a client holds up a quick request. A look-up in a database on servers is answered by the thread that received
//! it while no other one is: a look-up may be waited for, and one such thread is always free. There are never more threads of
//! their own than connections of the gate.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::answerer::{Answerer, Call, OTHER, Pace};
use super::arrival;
use crate::endpoint::{self, Services, user_login};
use crate::gate::{DELAY, OnRefusal, RefusedRequest};
use crate::http::{Reply, Request, path_of};
use crate::low_priority::with_low_priority;

/// Answers requests. Everything that is being answered holds on to it.
pub(super) struct Dispatcher {
    pub(super) answerer: Arc<dyn Answerer>,
    pub(super) services: Arc<Services>,
    /// Whether a thread that receives waits for servers of the database.
    pub(super) is_looking_up: AtomicBool,
    /// Closed once nothing is answered any more.
    pub(super) _in_work: Sender<Infallible>,
}

/// A request on its way to its answer.
struct PendingRequest {
    request: tiny_http::Request,
    call: Call,
    received: Instant,
}

/// What is sent and logged.
struct PreparedReply {
    reply: Reply,
    client: String,
    user: Option<String>,
    /// Sending it may have to wait for the client.
    is_long: bool,
}

impl Dispatcher {
    pub(super) fn dispatch(self: &Arc<Self>, request: tiny_http::Request) {
        let received = Instant::now();
        if arrival::is_warm_up(&request) {
            // Nobody waits for it but the gate, which finds out by itself that the connection is of no use.
            let _ = request.respond(tiny_http::Response::empty(204));
            return;
        }
        let call = self.answerer.call(request.method().as_str(), request.url());
        let mut pending = PendingRequest {
            request,
            call,
            received,
        };
        let this = Arc::clone(self);
        let looks_up = call.pace == Pace::LookUp && self.services.store.is_remote();
        let is_first = looks_up && !self.is_looking_up.swap(true, Ordering::Relaxed);
        if call.pace == Pace::Slow || looks_up && !is_first {
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
        // A defect may be in a layer around the endpoints.
        let reply = endpoint::reply(|| Ok(self.answerer.answer(&pending.call, &mut request)));
        PreparedReply {
            client: request.client(&self.services.trusted_proxies).to_string(),
            user: request.user_uuid().map(str::to_owned),
            is_long: self.services.long_answers.include(&reply),
            reply,
        }
    }

    /// Sends an answer, then counts and logs it.
    fn send(&self, pending: PendingRequest, prepared: PreparedReply) {
        let PendingRequest {
            request,
            call,
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
            tracing::debug!(%error, "the client did not take its answer");
        }
        let duration = received.elapsed();
        self.services.metrics.observe(call.name, status, duration);
        if call.name == user_login::PATH {
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

/// Requests that the gate answered itself are counted and logged like all others, and passed to the answerer, which may
/// keep them and add headers.
pub(crate) fn on_refusal(answerer: Arc<dyn Answerer>, services: Arc<Services>) -> OnRefusal {
    OnRefusal::new(move |request| {
        record(&services, request);
        answerer.refused(request)
    })
}

/// No call was looked for, whatever the path: a slow client is no slow login.
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

/// For the log: cut to what can be read; no request takes so long that the number loses digits.
fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// Has `work` done by a thread of its own, or by the caller when the operating system gives none: nothing is lost then, and
/// the caller has time, since without threads no client can connect.
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
        tracing::warn!(%error, "cannot start a thread for a request; others wait for it");
        run();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn every_piece_of_work_has_a_thread_at_once() {
        // Would wait for ever if one piece came after another.
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
    fn without_a_thread_the_caller_does_the_work() {
        let (done, by) = channel();
        let more_than_there_is = thread::Builder::new().stack_size(1 << 60);
        start_or_run(more_than_there_is, move || {
            done.send(thread::current().id()).unwrap();
        });
        let by: Vec<_> = by.iter().collect();
        assert_eq!(by, [thread::current().id()]);
    }
}
