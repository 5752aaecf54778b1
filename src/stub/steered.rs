//! The endpoints, whose answers can be forced, delayed and spoiled.

use std::sync::Arc;

use super::documented::Documented;
use super::headers::{Headers, Steering};
use super::next::Next;
use super::outcome::Error;
use crate::gate::{DELAY, FAULT};
use crate::http::{EveryField, Reply, Request};
use crate::server::{Answerer, Call};

pub(super) struct Steered {
    pub(super) inner: Arc<dyn Answerer>,
    pub(super) documented: Arc<Documented>,
    pub(super) next: Arc<Next>,
    pub(super) fields: EveryField,
}

impl Answerer for Steered {
    fn call(&self, method: &str, target: &str) -> Call {
        self.inner.call(method, target)
    }

    fn answer(&self, call: &Call, request: &mut Request<'_>) -> Reply {
        let steering = match self.steering(call, request) {
            Ok(steering) => steering,
            Err(error) => return error.into(),
        };
        let method = request.method().as_str();
        let forced = steering.code.and_then(|code| {
            let allow = call.allow.unwrap_or_default();
            self.documented.answer(call.name, method, code, allow)
        });
        let reply = forced.unwrap_or_else(|| self.inner.answer(call, request));
        order(reply, steering)
    }
}

impl Steered {
    /// A request's own headers win and use up nothing of what is pending. What no call answers is not steered by what is
    /// pending, and its 404 or 405 comes before anything that is wrong with its headers.
    fn steering(&self, call: &Call, request: &Request<'_>) -> Result<Steering, Error> {
        let headers = Headers::of(request, self.fields);
        if !call.has_method {
            let order = headers.and_then(|headers| headers.order().ok());
            return Ok(order.unwrap_or_default());
        }
        let codes = self.documented.codes(call.name);
        match headers {
            Some(headers) => headers.steering(&codes),
            None => Ok(self.next.take(call, request.path(), &codes)),
        }
    }
}

/// Waiting and spoiling is the gate's part.
fn order(reply: Reply, steering: Steering) -> Reply {
    let reply = match steering.delay_ms {
        0 => reply,
        delay => reply.with(DELAY, delay.to_string()),
    };
    match steering.fault {
        Some(fault) => reply.with(FAULT, fault.name()),
        None => reply,
    }
}
