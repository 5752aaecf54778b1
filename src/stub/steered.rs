//! The endpoints, whose answers can be forced, delayed and corrupted.

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
        let reply = match steering.code {
            Some(code) => self.forced(call, request.method().as_str(), code, &steering),
            None => self.inner.answer(call, request),
        };
        order(steering.own.with_headers(reply), &steering)
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
        match headers {
            Some(headers) => headers.steering(call.name, &self.documented),
            None => Ok(self.next.take(call, request.path(), &self.documented)),
        }
    }

    fn forced(&self, call: &Call, method: &str, code: u16, steering: &Steering) -> Reply {
        let example = steering.example.as_deref();
        let documented = || {
            let allow = call.allow.unwrap_or_default();
            self.documented
                .answer(call.name, method, code, example, allow)
        };
        let own = steering.own.reply(code).or_else(documented);
        let reply = own.unwrap_or_else(|| Reply::empty(code));
        let example = example.map(|name| format!(", example={name}"));
        let applied = format!("code={code}{}", example.unwrap_or_default());
        reply.with("Preference-Applied", applied)
    }
}

/// The gate waits and injects the fault.
fn order(reply: Reply, steering: &Steering) -> Reply {
    let reply = match steering.delay_ms {
        0 => reply,
        delay => reply.with(DELAY, delay.to_string()),
    };
    match steering.fault {
        Some(fault) => reply.with(FAULT, fault.name()),
        None => reply,
    }
}
