//! Pages of other origins: which may call from a browser (CORS, as the Fetch standard has it).
//!
//! Wraps the endpoints only where it is asked for. Nothing here reads a cookie: credentials are allowed since clients that
//! always send them could not read an answer otherwise.

use std::sync::Arc;

use super::answerer::{Answerer, Call};
use super::origin::Origins;
use crate::gate::RefusedRequest;
use crate::http::{ReadField, Reply, Request, is_token_byte};

/// How long a browser may keep the answer to a preflight, in seconds.
const MAX_AGE: &str = "600";

/// What pages of other origins may call, and what they may send and read.
pub struct CorsPolicy {
    origins: Origins,
    /// What the paths begin with that pages may call.
    paths: &'static [&'static str],
    /// The request headers that every preflight allows, besides those that it asks for.
    allowed: &'static str,
    /// The answer's headers that scripts may read.
    exposed: &'static str,
}

impl CorsPolicy {
    /// Lets pages of these origins call the API and no more.
    pub fn new(origins: Origins) -> Self {
        Self {
            origins,
            paths: &["/api/"],
            allowed: "Authorization, Content-Type",
            exposed: "Retry-After, WWW-Authenticate",
        }
    }

    /// Lets pages call what is at these paths instead.
    #[must_use]
    pub fn with_paths(self, paths: &'static [&'static str]) -> Self {
        Self { paths, ..self }
    }

    /// Lets scripts set and read these headers instead.
    #[must_use]
    pub fn with_headers(self, allowed: &'static str, exposed: &'static str) -> Self {
        Self {
            allowed,
            exposed,
            ..self
        }
    }

    /// What `inner` answers, readable for the pages that may call; their preflights are answered here.
    pub fn answer<'r>(
        &self,
        call: &Call,
        request: &mut Request<'r>,
        inner: impl FnOnce(&mut Request<'r>) -> Reply,
    ) -> Reply {
        if !self.include(call, request.path()) {
            return inner(request);
        }
        let Some(origin) = self.allowed_origin(request.joined(ReadField::Origin)) else {
            return inner(request);
        };
        let method = request.joined(ReadField::AccessControlRequestMethod);
        let reply = match method {
            Some(method) if request.method().as_str() == "OPTIONS" => {
                let headers = request.joined(ReadField::AccessControlRequestHeaders);
                self.preflight(call, &method, &headers.unwrap_or_default())
            }
            _ => inner(request),
        };
        let headers = self.headers(origin).into_iter();
        headers.fold(reply, |reply, (name, value)| reply.with(name, value))
    }

    /// What lets a page read the answer to a request that the gate refused, whatever its path.
    pub fn refused(&self, request: &RefusedRequest<'_>) -> Vec<(&'static str, String)> {
        let origin = self.allowed_origin(request.joined(ReadField::Origin.name()));
        origin.map_or_else(Vec::new, |origin| self.headers(origin))
    }

    /// A page sees the 404 of a path that nothing has.
    fn include(&self, call: &Call, path: &str) -> bool {
        call.allow.is_none() || self.paths.iter().any(|start| path.starts_with(start))
    }

    /// The origin of a request, if its pages may call.
    fn allowed_origin(&self, origin: Option<Vec<u8>>) -> Option<String> {
        let origin = String::from_utf8(origin?).ok()?;
        self.origins.include(&origin).then_some(origin)
    }

    /// No cache keeps the answers without an origin either, so those need not say what they would vary by.
    fn headers(&self, origin: String) -> Vec<(&'static str, String)> {
        vec![
            ("Vary", "Origin".to_owned()),
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true".to_owned()),
            ("Access-Control-Expose-Headers", self.exposed.to_owned()),
        ]
    }

    /// Allows whatever method is asked for: where there is none, the page sees the 404 or 405.
    fn preflight(&self, call: &Call, method: &[u8], headers: &[u8]) -> Reply {
        let methods = with_asked(call.allow.unwrap_or_default(), method);
        Reply::no_content()
            .with("Access-Control-Allow-Methods", methods)
            .with(
                "Access-Control-Allow-Headers",
                with_asked(self.allowed, headers),
            )
            .with("Access-Control-Max-Age", MAX_AGE)
    }
}

/// A list of names, followed by those of another list that it does not have.
fn with_asked(names: &str, asked: &[u8]) -> String {
    let asked = String::from_utf8_lossy(asked);
    let mut all: Vec<&str> = names.split(", ").filter(|name| !name.is_empty()).collect();
    for name in asked.split(',').map(str::trim) {
        let is_name = !name.is_empty() && name.bytes().all(is_token_byte);
        if is_name && !all.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            all.push(name);
        }
    }
    all.join(", ")
}

/// The endpoints, called by pages of other origins.
pub struct Cors {
    inner: Arc<dyn Answerer>,
    policy: CorsPolicy,
}

impl Cors {
    /// Lets these pages call.
    pub fn new(inner: Arc<dyn Answerer>, policy: CorsPolicy) -> Self {
        Self { inner, policy }
    }
}

impl Answerer for Cors {
    fn call(&self, method: &str, target: &str) -> Call {
        self.inner.call(method, target)
    }

    fn answer(&self, call: &Call, request: &mut Request<'_>) -> Reply {
        self.policy
            .answer(call, request, |request| self.inner.answer(call, request))
    }

    /// A page must be able to read what was wrong with its request, too.
    fn refused(&self, request: &RefusedRequest<'_>) -> Vec<(&'static str, String)> {
        self.policy.refused(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_allowed_once_if_it_is_a_name() {
        for (asked, expected) in [
            ("", "Accept, Range"),
            ("range,ACCEPT", "Accept, Range"),
            (
                "traceparent, X-CSRF-Token",
                "Accept, Range, traceparent, X-CSRF-Token",
            ),
            ("x, X, ,a b,\"q\",c\u{e9},y", "Accept, Range, x, y"),
        ] {
            assert_eq!(with_asked("Accept, Range", asked.as_bytes()), expected);
        }
        assert_eq!(with_asked("", b"PATCH"), "PATCH");
    }
}
