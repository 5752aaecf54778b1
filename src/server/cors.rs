//! CORS: which pages from other origins may call the API from a browser (Fetch standard, "CORS protocol").
//!
//! This layer exists only if it is configured. Credentials are allowed because a client that always sends them could not
//! read the answers otherwise; no cookie is ever read.

use std::sync::Arc;

use super::answerer::{Answerer, MatchedRoute};
use super::origin::Origins;
use crate::gate::RefusedRequest;
use crate::http::{ReadField, Reply, Request, is_token_byte};

/// How long a browser may cache the answer to a preflight request, in seconds.
const MAX_AGE: &str = "600";

/// Which pages from other origins may call which paths, and which header fields they may send and read.
pub struct CorsPolicy {
    origins: Origins,
    /// The prefixes of the paths that pages may call.
    paths: &'static [&'static str],
    /// The request header fields that every preflight allows, besides those that it asks for.
    allowed: &'static str,
    /// The header fields of the answer that scripts may read.
    exposed: &'static str,
}

impl CorsPolicy {
    /// Lets pages from these origins call the API, and no other paths.
    pub fn new(origins: Origins) -> Self {
        Self {
            origins,
            paths: &["/api/"],
            allowed: "Authorization, Content-Type",
            exposed: "Retry-After, WWW-Authenticate",
        }
    }

    /// Replaces the prefixes of the paths that pages may call.
    #[must_use]
    pub fn with_paths(self, paths: &'static [&'static str]) -> Self {
        Self { paths, ..self }
    }

    /// Replaces the header fields that scripts may send and read.
    #[must_use]
    pub fn with_headers(self, allowed: &'static str, exposed: &'static str) -> Self {
        Self {
            allowed,
            exposed,
            ..self
        }
    }

    /// Answers a preflight request, or lets `inner` answer. Adds the header fields that let the page read the answer, if its
    /// origin is allowed.
    pub fn answer<'r>(
        &self,
        route: &MatchedRoute,
        request: &mut Request<'r>,
        inner: impl FnOnce(&mut Request<'r>) -> Reply,
    ) -> Reply {
        if !self.include(route, request.path()) {
            return inner(request);
        }
        let Some(origin) = self.allowed_origin(request.joined(ReadField::Origin)) else {
            return inner(request);
        };
        let method = request.joined(ReadField::AccessControlRequestMethod);
        let reply = match method {
            Some(method) if request.method().as_str() == "OPTIONS" => {
                let headers = request.joined(ReadField::AccessControlRequestHeaders);
                self.preflight(route, &method, &headers.unwrap_or_default())
            }
            _ => inner(request),
        };
        let headers = self.headers(origin).into_iter();
        headers.fold(reply, |reply, (name, value)| reply.with(name, value))
    }

    /// The header fields that let a page read the answer to a request that the gate refused. They do not depend on the path.
    pub fn refused(&self, request: &RefusedRequest<'_>) -> Vec<(&'static str, String)> {
        let origin = self.allowed_origin(request.joined(ReadField::Origin.name()));
        origin.map_or_else(Vec::new, |origin| self.headers(origin))
    }

    /// Whether pages may call a path. Unknown paths are included, so that a page can read the 404.
    fn include(&self, route: &MatchedRoute, path: &str) -> bool {
        route.allow.is_none() || self.paths.iter().any(|start| path.starts_with(start))
    }

    /// The origin of a request, if it is allowed.
    fn allowed_origin(&self, origin: Option<Vec<u8>>) -> Option<String> {
        let origin = String::from_utf8(origin?).ok()?;
        self.origins.include(&origin).then_some(origin)
    }

    /// The header fields that let a page from this origin read the answer. Answers to requests without an allowed origin
    /// need no `Vary`, because caches store no answer of this server.
    fn headers(&self, origin: String) -> Vec<(&'static str, String)> {
        vec![
            ("Vary", "Origin".to_owned()),
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Allow-Credentials", "true".to_owned()),
            ("Access-Control-Expose-Headers", self.exposed.to_owned()),
        ]
    }

    /// Answers a preflight request. Every method that it asks for is allowed, so that the page can read a 404 or 405.
    fn preflight(&self, route: &MatchedRoute, method: &[u8], headers: &[u8]) -> Reply {
        let methods = with_asked(route.allow.unwrap_or_default(), method);
        Reply::no_content()
            .with("Access-Control-Allow-Methods", methods)
            .with(
                "Access-Control-Allow-Headers",
                with_asked(self.allowed, headers),
            )
            .with("Access-Control-Max-Age", MAX_AGE)
    }
}

/// A list of names, followed by the names in `asked` that it does not contain.
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

/// A layer that applies a CORS policy to what it wraps.
pub struct Cors {
    inner: Arc<dyn Answerer>,
    policy: CorsPolicy,
}

impl Cors {
    /// Applies `policy` to `inner`.
    pub fn new(inner: Arc<dyn Answerer>, policy: CorsPolicy) -> Self {
        Self { inner, policy }
    }
}

impl Answerer for Cors {
    fn match_route(&self, method: &str, target: &str) -> MatchedRoute {
        self.inner.match_route(method, target)
    }

    fn answer(&self, route: &MatchedRoute, request: &mut Request<'_>) -> Reply {
        self.policy
            .answer(route, request, |request| self.inner.answer(route, request))
    }

    /// Lets the page read what was wrong with its request.
    fn refused(&self, request: &RefusedRequest<'_>) -> Vec<(&'static str, String)> {
        self.policy.refused(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_requested_name_is_allowed_once_if_it_is_valid() {
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
