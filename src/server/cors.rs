//! Pages of other origins: which may call the API from a browser (CORS, as the Fetch standard has it).
//!
//! Stands around the endpoints, and only where it is asked for. It never allows credentials of the browser's own: a client
//! sends its token itself.

use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

use super::answerer::{Answerer, Call};
use crate::gate::Refused;
use crate::http::{ReadField, Reply, Request};

/// What the calls begin with that pages may make.
const API: &str = "/api/";

/// How long a browser may keep the answer to a preflight, in seconds.
const MAX_AGE: &str = "600";

/// An origin as a browser sends it, such as `https://shop.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// What is no origin.
#[derive(Debug, thiserror::Error)]
#[error(
    "an origin is http:// or https:// with a host, and a port if it is not the usual one, all lower case and nothing after it, such as https://shop.example"
)]
pub struct NotAnOrigin;

impl FromStr for Origin {
    type Err = NotAnOrigin;

    /// Only what a browser would send is taken: anything else would never match, and nobody would notice.
    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        if let Some((authority, default_port)) = scheme_removed(text)
            && let Some((host, port)) = host_and_port(authority)
            && is_host(host)
            && port != Some(default_port)
        {
            return Ok(Self(text.to_owned()));
        }
        Err(NotAnOrigin)
    }
}

/// What follows `http://` or `https://`, and the scheme's own port.
fn scheme_removed(origin: &str) -> Option<(&str, u16)> {
    match origin.split_once("://")? {
        ("http", authority) => Some((authority, 80)),
        ("https", authority) => Some((authority, 443)),
        _ => None,
    }
}

/// The parts of `HOST` or `HOST:PORT`, if the port is one, in digits without a zero in front.
fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        Some((host, text)) if !text.ends_with(']') => {
            let port = text.parse().ok().filter(|port: &u16| *port > 0)?;
            (port.to_string() == text).then_some((host, Some(port)))
        }
        _ => Some((authority, None)),
    }
}

fn is_host(host: &str) -> bool {
    let ip = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match ip {
        Some(text) => text
            .parse()
            .is_ok_and(|ip: Ipv6Addr| ip.to_string() == text),
        None => is_name(host),
    }
}

/// Labels in lower case; the dot of the root may follow.
fn is_name(name: &str) -> bool {
    let is_plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_plain);
    without_root(name).split('.').all(is_label)
}

fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Whose pages may call.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Compared byte for byte.
    pub listed: Vec<Origin>,
    /// And every page that this machine serves.
    pub loopback: bool,
}

impl Origins {
    fn include(&self, origin: &str) -> bool {
        self.listed.iter().any(|listed| listed.0 == origin)
            || (self.loopback && is_loopback_origin(origin))
    }
}

/// Whether an origin is `http://` or `https://` and a host of this machine, with any port.
fn is_loopback_origin(origin: &str) -> bool {
    scheme_removed(origin).is_some_and(|(authority, _)| is_loopback_authority(authority.as_bytes()))
}

/// Whether a host, with or without a port, names this machine: `127.0.0.1`, `[::1]`, `localhost` and all names below it
/// (RFC 6761, 6.3).
pub(crate) fn is_loopback_authority(authority: &[u8]) -> bool {
    let authority = String::from_utf8_lossy(authority).to_ascii_lowercase();
    host_and_port(&authority).is_some_and(|(host, _)| {
        let is_localhost = || without_root(host).rsplit('.').next() == Some("localhost");
        matches!(host, "127.0.0.1" | "[::1]") || (is_name(host) && is_localhost())
    })
}

/// The endpoints, called by pages of other origins.
pub struct Cors {
    inner: Arc<dyn Answerer>,
    origins: Origins,
    /// The request headers that scripts may set.
    allowed: &'static str,
    /// The answer's headers that scripts may read.
    exposed: &'static str,
}

impl Cors {
    /// Lets pages call the API and no more.
    pub fn new(inner: Arc<dyn Answerer>, origins: Origins) -> Self {
        Self {
            inner,
            origins,
            allowed: "Authorization, Content-Type",
            exposed: "Retry-After, WWW-Authenticate",
        }
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

    /// The origin of a request, if its pages may call.
    fn allowed_origin(&self, origin: Option<Vec<u8>>) -> Option<String> {
        let origin = String::from_utf8(origin?).ok()?;
        self.origins.include(&origin).then_some(origin)
    }

    /// What lets the pages of an origin read an answer. No cache keeps the answers without an origin either, so those need
    /// not say what they would vary by.
    fn headers(&self, origin: Option<String>) -> Vec<(&'static str, String)> {
        let Some(origin) = origin else {
            return Vec::new();
        };
        vec![
            ("Vary", "Origin".to_owned()),
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", self.exposed.to_owned()),
        ]
    }

    fn preflight(&self, allow: &str) -> Reply {
        Reply::no_content()
            .with("Access-Control-Allow-Methods", allow)
            .with("Access-Control-Allow-Headers", self.allowed)
            .with("Access-Control-Max-Age", MAX_AGE)
    }
}

impl Answerer for Cors {
    fn call(&self, method: &str, target: &str) -> Call {
        self.inner.call(method, target)
    }

    fn answer(&self, call: &Call, request: &mut Request<'_>) -> Reply {
        if !request.path().starts_with(API) {
            return self.inner.answer(call, request);
        }
        let origin = self.allowed_origin(request.joined(ReadField::Origin));
        let is_preflight = request.method().as_str() == "OPTIONS"
            && request
                .joined(ReadField::AccessControlRequestMethod)
                .is_some();
        let reply = match call.allow {
            Some(allow) if is_preflight && origin.is_some() => self.preflight(allow),
            _ => self.inner.answer(call, request),
        };
        let headers = self.headers(origin).into_iter();
        headers.fold(reply, |reply, (name, value)| reply.with(name, value))
    }

    /// A page must be able to read what was wrong with its request, too.
    fn refused(&self, request: &Refused<'_>) -> Vec<(&'static str, String)> {
        let origin = request.joined(ReadField::Origin.name());
        self.headers(self.allowed_origin(origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for origin in [
            "https://shop.example",
            "http://shop.example:8080",
            "http://localhost:3000",
            "http://[::1]:3000",
            "https://[2001:db8::1]",
            "http://127.0.0.1",
            "https://xn--bcher-kva.example",
        ] {
            assert!(origin.parse::<Origin>().is_ok(), "{origin}");
        }
        for text in [
            "",
            "*",
            "null",
            "shop.example",
            "ftp://shop.example",
            "https://",
            "https://shop.example/",
            "https://shop.example/path",
            "https://shop.example?query",
            "https://shop.example#part",
            "https://user@shop.example",
            "https://shop.example:443",
            "http://shop.example:80",
            "http://shop.example:",
            "http://shop.example:0",
            "http://shop.example:+1",
            "http://shop.example:65536",
            "http://shop.example:08080",
            "HTTPS://shop.example",
            "https://Shop.example",
            "https://*.example",
            "https://a..b",
            "https://[::01]",
            "https://[::1",
            "https://a b",
        ] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_loopback_origin_is_a_host_of_this_machine_with_a_port_that_exists() {
        for origin in [
            "http://localhost",
            "https://localhost:1",
            "http://127.0.0.1:3000",
            "http://[::1]:65535",
            "http://app.localhost:3000",
            "https://a-b.c_1.localhost",
            "http://localhost.:3000",
            "http://app.localhost.",
            "http://[::1]:80",
        ] {
            assert!(is_loopback_origin(origin), "{origin}");
        }
        for origin in [
            "",
            "null",
            "localhost",
            "http://localhost.example",
            "http://localhost:",
            "http://localhost:0",
            "http://localhost:080",
            "http://localhost:03000",
            "http://localhost:65536",
            "http://localhost:99999999999999999999",
            "http://localhost:+1",
            "http://localhost:1/",
            "HTTP://localhost:3000",
            "http://localhost@evil.example",
            "http://evil@localhost",
            "http://evillocalhost",
            "http://.localhost",
            "http://a..localhost",
            "http://localhost..",
            "http://*.localhost",
            "http://app.localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://127.0.0.1.",
            "http://127.0.0.2",
            "http://[::2]",
            "http://[::1",
            "ftp://localhost",
            "http://localhost, http://localhost",
        ] {
            assert!(!is_loopback_origin(origin), "{origin}");
        }
    }

    #[test]
    fn a_loopback_host_may_have_any_letter_case_and_the_usual_port() {
        for host in [
            "localhost",
            "LocalHost:80",
            "App.Localhost:443",
            "127.0.0.1:8080",
            "[::1]",
        ] {
            assert!(is_loopback_authority(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            ":80",
            "localhost:",
            "localhost:65536",
            "localhost:080",
            "localhost.example",
            "::1",
            "[::1]:",
            "localhost:80:80",
        ] {
            assert!(!is_loopback_authority(host.as_bytes()), "{host}");
        }
        assert!(!is_loopback_authority(b"\xFF.localhost"));
    }
}
