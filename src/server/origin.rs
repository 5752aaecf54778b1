//! Origins of web pages, as browsers send them.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

/// An origin as a browser sends it, such as `https://shop.example`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin(String);

/// A text that is not an [`Origin`].
#[derive(Debug, thiserror::Error)]
#[error(
    "an origin is http:// or https:// followed by a host, and a port unless it is the default one, in lower case and without a path, such as https://shop.example; with --demo also {}",
    SHARED.join(", ")
)]
pub struct NotAnOrigin;

/// Origins that do not identify a site: all apps made with a toolkit share one origin, and `null` is the origin of all
/// sandboxed pages and local files.
const SHARED: &[&str] = &[
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "null",
];

impl FromStr for Origin {
    type Err = NotAnOrigin;

    /// Accepts only what a browser would send, because anything else would silently never match.
    fn from_str(text: &str) -> Result<Self, NotAnOrigin> {
        if SHARED.contains(&text) {
            return Ok(Self(text.to_owned()));
        }
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

impl Origin {
    /// Whether unrelated pages and apps share this origin, so that only a demo may allow it.
    pub(crate) fn is_shared(&self) -> bool {
        SHARED.contains(&self.0.as_str())
    }

    /// Whether pages from this origin are loaded from another machine without TLS.
    pub(crate) fn is_plain_and_remote(&self) -> bool {
        let host = self.0.strip_prefix("http://").and_then(host_and_port);
        host.is_some_and(|(host, _)| {
            let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
            let is_local = host == "localhost" || host.ends_with(".localhost");
            !is_local && !ip.is_ok_and(|ip| ip.is_loopback())
        })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part of an origin after `http://` or `https://`, and the default port of the scheme.
fn scheme_removed(origin: &str) -> Option<(&str, u16)> {
    match origin.split_once("://")? {
        ("http", authority) => Some((authority, 80)),
        ("https", authority) => Some((authority, 443)),
        _ => None,
    }
}

/// Splits `HOST` or `HOST:PORT`; `None` if the port is not a port number without leading zeros.
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

/// Whether a text is a host name in lower case, with an optional dot at the end.
fn is_name(name: &str) -> bool {
    let is_plain = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_plain);
    without_root(name).split('.').all(is_label)
}

fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// The origins whose pages may call.
#[derive(Clone, Default)]
pub struct Origins {
    /// Configured origins, compared byte for byte.
    pub listed: Vec<Origin>,
    /// Also allows the origins for which this returns true.
    pub own: Option<IsOwn>,
}

/// A function that returns whether an origin is allowed without being configured.
pub type IsOwn = Arc<dyn Fn(&str) -> bool + Send + Sync>;

impl Origins {
    pub(super) fn include(&self, origin: &str) -> bool {
        self.listed.iter().any(|listed| listed.0 == origin)
            || self.own.as_ref().is_some_and(|is_own| is_own(origin))
    }
}

/// Whether an origin is `http://` or `https://` followed by a loopback host, with any port.
pub(crate) fn is_loopback_origin(origin: &str) -> bool {
    scheme_removed(origin).is_some_and(|(authority, _)| is_loopback_authority(authority.as_bytes()))
}

/// Whether a host, with or without a port, is a loopback host: `127.0.0.1`, `[::1]`, `localhost` or a name below it (RFC
/// 6761, 6.3).
pub(crate) fn is_loopback_authority(authority: &[u8]) -> bool {
    let authority = String::from_utf8_lossy(authority).to_ascii_lowercase();
    host_and_port(&authority).is_some_and(|(host, _)| {
        let is_localhost = || without_root(host).rsplit('.').next() == Some("localhost");
        matches!(host, "127.0.0.1" | "[::1]") || (is_name(host) && is_localhost())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_that_a_browser_would_send_are_accepted() {
        for origin in [
            "https://shop.example",
            "http://shop.example:8080",
            "http://localhost:3000",
            "http://[::1]:3000",
            "https://[2001:db8::1]",
            "http://127.0.0.1",
            "https://xn--bcher-kva.example",
        ] {
            let is_shared = origin.parse::<Origin>().map(|origin| origin.is_shared());
            assert_eq!(is_shared.ok(), Some(false), "{origin}");
        }
        for origin in SHARED {
            assert!(origin.parse::<Origin>().unwrap().is_shared(), "{origin}");
        }
        for text in [
            "",
            "*",
            "NULL",
            "capacitor://",
            "capacitor://localhost/",
            "capacitor://localhost:80",
            "electron://localhost",
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
    fn a_loopback_origin_is_a_loopback_host_with_a_valid_port() {
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
    fn a_loopback_host_may_have_any_letter_case_and_any_valid_port() {
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
