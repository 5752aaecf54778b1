//! The hosts for which a demo answers.
//!
//! A page of the web can let its own name resolve to this machine after it is loaded (DNS rebinding). The browser then
//! takes the demo for the page's own server, and allows the page every call and every answer. Only `Host` shows the
//! difference.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use super::error::Error;
use crate::http::{EveryField, Reply, Request};
use crate::server::{Answerer, MatchedRoute, Origin, is_loopback_authority, is_loopback_origin};

/// A host by which clients may call a demo, such as `host.docker.internal`, `*.dev.example` or `10.0.2.2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(HostKind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum HostKind {
    Ip(IpAddr),
    Name(String),
    /// The name after the first label and its dot.
    Subdomain(String),
}

/// The error of a text that is not a [`Host`].
#[derive(Debug, thiserror::Error)]
#[error(
    "a host is a name or an IP address without a port, such as host.docker.internal or 10.0.2.2"
)]
pub struct NotAHost;

impl FromStr for Host {
    type Err = NotAHost;

    fn from_str(text: &str) -> Result<Self, NotAHost> {
        if let Some(ip) = ip(text).or_else(|| Some(text.parse::<Ipv6Addr>().ok()?.into())) {
            return Ok(Self(HostKind::Ip(ip)));
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let name = plain(name);
        let is_label = |label: &str| {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            !label.is_empty() && label.bytes().all(is_plain)
        };
        match name.split('.').all(is_label) {
            true if below => Ok(Self(HostKind::Subdomain(name))),
            true => Ok(Self(HostKind::Name(name))),
            false => Err(NotAHost),
        }
    }
}

impl Host {
    fn is(&self, host: &str) -> bool {
        match &self.0 {
            HostKind::Ip(own) => ip(host) == Some(*own),
            HostKind::Name(own) => plain(host) == *own,
            HostKind::Subdomain(own) => plain(host)
                .split_once('.')
                .is_some_and(|(_, below)| below == own),
        }
    }
}

/// The form in which hosts are compared: in lower case, without the final dot.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Parses an IP address in the notation of `Host`.
fn ip(host: &str) -> Option<IpAddr> {
    let inside = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    match inside {
        Some(inside) => inside.parse().ok().map(IpAddr::V6),
        None => host.parse().ok().map(IpAddr::V4),
    }
}

/// The hosts for which a demo answers: the loopback names of this machine, and allowed hosts.
#[derive(Clone)]
pub struct Hosts {
    /// The hosts that are allowed in addition to loopback.
    pub allowed: Vec<Host>,
    /// Whether every host is allowed.
    pub every: bool,
}

impl Hosts {
    /// Whether a page with this origin is of this machine or of an allowed host.
    pub(super) fn include_origin(&self, origin: &[u8]) -> bool {
        let authority = origin
            .strip_prefix(b"http://")
            .or_else(|| origin.strip_prefix(b"https://"));
        self.every || authority.is_some_and(|authority| self.include(authority))
    }

    /// Whether a page with this origin may make calls and read the answers. Never includes all pages of the web.
    pub(super) fn include_page(&self, origin: &str) -> bool {
        let authority = || Some(origin.split_once("://")?.1);
        let host = || without_port(authority()?);
        let is_allowed = |host| self.allowed.iter().any(|allowed| allowed.is(host));
        is_loopback_origin(origin)
            || (origin.parse::<Origin>().is_ok() && host().is_some_and(is_allowed))
    }

    /// The answer 421 to a request for another host; `None` if the demo answers for the host of the request.
    pub(super) fn refusal(&self, request: &Request<'_>, fields: EveryField) -> Option<Reply> {
        // A request without Host is not by a browser.
        let host = request.joined_any(fields, "Host")?;
        // The port may be empty (RFC 3986, 3.2.3).
        let host = host.strip_suffix(b":").unwrap_or(&host);
        if self.include(host) {
            return None;
        }
        let authority = String::from_utf8_lossy(host);
        let host = without_port(&authority).unwrap_or(&authority);
        Some(Error::OtherHost(host.to_owned()).into())
    }

    fn include(&self, authority: &[u8]) -> bool {
        if self.every || is_loopback_authority(authority) {
            return true;
        }
        let authority = String::from_utf8_lossy(authority);
        let Some(host) = without_port(&authority) else {
            return false;
        };
        let is_loopback = ip(host).is_some_and(|ip| ip.to_canonical().is_loopback());
        is_loopback || self.allowed.iter().any(|allowed| allowed.is(host))
    }
}

fn without_port(authority: &str) -> Option<&str> {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (authority, ""),
    };
    // `parse` alone would accept "+80".
    let has_digits = port.bytes().all(|byte| byte.is_ascii_digit());
    let is_port = port.is_empty() || (has_digits && port.parse::<u16>().is_ok());
    is_port.then_some(host)
}

/// Answers requests for other hosts with 421, before anything else is checked.
pub struct HostFilter {
    inner: Arc<dyn Answerer>,
    hosts: Hosts,
    fields: EveryField,
}

impl HostFilter {
    /// Wraps `inner`, which answers requests for `hosts`.
    pub fn new(inner: Arc<dyn Answerer>, hosts: Hosts, fields: EveryField) -> Self {
        Self {
            inner,
            hosts,
            fields,
        }
    }
}

impl Answerer for HostFilter {
    fn match_route(&self, method: &str, target: &str) -> MatchedRoute {
        self.inner.match_route(method, target)
    }

    fn answer(&self, route: &MatchedRoute, request: &mut Request<'_>) -> Reply {
        let refusal = self.hosts.refusal(request, self.fields);
        refusal.unwrap_or_else(|| self.inner.answer(route, request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(allowed: &[&str]) -> Hosts {
        Hosts {
            allowed: allowed.iter().map(|host| host.parse().unwrap()).collect(),
            every: false,
        }
    }

    #[test]
    fn loopback_hosts_are_those_that_need_no_name_server() {
        let none = hosts(&[]);
        for host in [
            "localhost",
            "LocalHost:8080",
            "localhost.",
            "app.localhost:1",
            "127.0.0.1:65535",
            "127.8.0.1",
            "[::1]",
            "[0:0::1]:80",
            "[::ffff:127.0.0.1]:80",
        ] {
            assert!(none.include(host.as_bytes()), "{host}");
        }
        for host in [
            "",
            "a",
            "evil.example",
            "evillocalhost",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.1",
            "127.0.0.01",
            "0x7f.0.0.1",
            "2130706433",
            "0.0.0.0",
            "10.0.2.2",
            "[::]",
            "[::ffff:10.0.2.2]",
            "localhost:80a",
            "127.0.0.1:evil",
            "127.0.0.1:65536",
            "[::1]:99999",
            "127.0.0.1:+80",
        ] {
            assert!(!none.include(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn an_allowed_host_is_compared_ignoring_case_port_and_final_dot() {
        let allowed = hosts(&[
            "10.0.2.2",
            "Host.Docker.Internal",
            "fd00::2",
            "*.dev.example",
        ]);
        for host in [
            "10.0.2.2:8080",
            "host.docker.internal",
            "HOST.docker.internal.:80",
            "[fd00:0::2]:80",
            "app.dev.example",
        ] {
            assert!(allowed.include(host.as_bytes()), "{host}");
        }
        for host in [
            "10.0.2.3",
            "docker.internal",
            "a.host.docker.internal",
            "dev.example",
            "a.b.dev.example",
            "fd00::2",
        ] {
            assert!(!allowed.include(host.as_bytes()), "{host}");
        }
        assert!(allowed.include_origin(b"http://10.0.2.2:8080"));
        assert!(allowed.include_page("http://10.0.2.2:8080"));
        assert!(allowed.include_page("https://[fd00::2]"));
        for origin in ["null", "10.0.2.2", "ftp://10.0.2.2", "http://evil.example"] {
            assert!(!allowed.include_origin(origin.as_bytes()), "{origin}");
            assert!(!allowed.include_page(origin), "{origin}");
        }
    }

    #[test]
    fn a_host_is_a_name_or_an_address_without_anything_else() {
        for text in [
            "",
            "*",
            "*.",
            "a b",
            "a..b",
            ".a",
            "a:80",
            "http://a",
            "a/",
            "user@a",
            "b\u{fc}cher.example",
            "[::1",
            "::g",
        ] {
            assert!(text.parse::<Host>().is_err(), "{text:?}");
        }
        for text in ["a", "a_b-c.example.", "[fd00::1]", "fd00::1", "*.a"] {
            assert!(text.parse::<Host>().is_ok(), "{text:?}");
        }
    }
}
