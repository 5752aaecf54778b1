//! Wraps the endpoints to force or delay their answers, or to inject faults into them.

use std::sync::Arc;

use super::documented::Documented;
use super::error::Error;
use super::headers::{Headers, Steering};
use super::next::InstructionQueue;
use crate::gate::{DELAY, FAULT};
use crate::http::{EveryField, Reply, Request};
use crate::server::{Answerer, MatchedRoute};

pub(super) struct Steered {
    pub(super) inner: Arc<dyn Answerer>,
    pub(super) documented: Arc<Documented>,
    pub(super) next: Arc<InstructionQueue>,
    pub(super) fields: EveryField,
}

impl Answerer for Steered {
    fn match_route(&self, method: &str, target: &str) -> MatchedRoute {
        self.inner.match_route(method, target)
    }

    fn answer(&self, route: &MatchedRoute, request: &mut Request<'_>) -> Reply {
        let steering = match self.choose_steering(route, request) {
            Ok(steering) => steering,
            Err(error) => return error.into(),
        };
        let reply = match steering.code {
            Some(code) => self.forced(route, request.method().as_str(), code, &steering),
            None => self.inner.answer(route, request),
        };
        with_gate_headers(steering.own.with_headers(reply), &steering)
    }
}

impl Steered {
    /// Chooses the steering of a request. Headers of the request take precedence over pending instructions, and use none
    /// of them. A request without a call uses no pending instruction, and is answered with 404 or 405 even if its
    /// headers are wrong.
    fn choose_steering(
        &self,
        route: &MatchedRoute,
        request: &Request<'_>,
    ) -> Result<Steering, Error> {
        let headers = Headers::of(request, self.fields);
        if !route.has_method {
            let steering = headers.and_then(|headers| headers.delay_and_fault().ok());
            return Ok(steering.unwrap_or_default());
        }
        match headers {
            Some(headers) => headers.check(route.name, &self.documented),
            None => Ok(self.next.take(route, request.path(), &self.documented)),
        }
    }

    fn forced(&self, route: &MatchedRoute, method: &str, code: u16, steering: &Steering) -> Reply {
        let example = steering.example.as_deref();
        let documented = || {
            let allow = route.allow.unwrap_or_default();
            self.documented
                .answer(route.name, method, code, example, allow)
        };
        let own = steering.own.reply(code).or_else(documented);
        let reply = own.unwrap_or_else(|| Reply::empty(code));
        let example = example.map(|name| format!(", example={name}"));
        let applied = format!("code={code}{}", example.unwrap_or_default());
        reply.with("Preference-Applied", applied)
    }
}

/// Adds the headers for the gate, which delays the answer and injects the fault.
fn with_gate_headers(reply: Reply, steering: &Steering) -> Reply {
    let reply = match steering.delay_ms {
        0 => reply,
        delay => reply.with(DELAY, delay.to_string()),
    };
    match steering.fault {
        Some(fault) => reply.with(FAULT, fault.name()),
        None => reply,
    }
}
