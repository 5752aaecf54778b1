//! The first line of a request (method, target and version), and the grammar of a host.
//!
//! The checks are stricter than those of `httparse`, which accepts bytes over 0x7F in a target and does not distinguish a
//! malformed version (400) from an unsupported one (505). Nothing is decoded here: `%2e` stays `%2e`.

use super::refusal::{self, Refusal};

/// Maximum length of a method, in bytes; longer than any registered method.
const MAX_METHOD_BYTES: usize = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Http10,
    Http11,
}

/// A valid request line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a str,
    pub(crate) target: Target<'a>,
    pub(crate) version: Version,
}

/// A request target (RFC 9112, 3.2), reduced to origin-form.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// The host in an absolute-form target, which replaces the `Host` field.
    pub(crate) authority: Option<&'a str>,
    /// Whether the path of an absolute-form target is empty, as in `http://host?query`, so that a `/` must be added.
    pub(crate) lacks_slash: bool,
    /// The path with its query, or `*`.
    pub(crate) path: &'a str,
}

/// Parses and checks a complete line, given without its CR LF.
pub(crate) fn parse(line: &[u8]) -> Result<RequestLine<'_>, Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target, version) = match (words.next(), words.next(), words.next(), words.next()) {
        (Some(method), Some(target), Some(version), None) => (method, target, version),
        (Some(method), ..) if !is_method(method) => return Err(refusal::METHOD),
        _ => return Err(refusal::REQUEST_LINE),
    };
    if !is_method(method) {
        return Err(refusal::METHOD);
    }
    let version = parse_version(version)?;
    let method = ascii(method);
    let target = parse_target(method, target)?;
    Ok(RequestLine {
        method,
        target,
        version,
    })
}

/// The method and the target, in origin-form, of a line that may be malformed or incomplete. Each is returned only if it is
/// complete.
///
/// A word that is not a well-known method is taken for a method only if a path follows: it may be the rest of a body.
pub(crate) fn read(line: &[u8]) -> (Option<&str>, Option<String>) {
    const WELL_KNOWN: [&str; 9] = [
        "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
    ];
    let mut words = line.split(|byte| *byte == b' ');
    let method = words.next().filter(|word| is_method(word)).map(ascii);
    let (Some(method), Some(target)) = (method, words.next()) else {
        return (None, None);
    };
    let is_whole = words.next().is_some() && words.next().is_none();
    let target = is_whole.then(|| read_target(method, target)).flatten();
    let is_known = WELL_KNOWN.contains(&method) || target.is_some();
    (is_known.then_some(method), target)
}

/// The target to report in origin-form. A refused target is reported only if it is a path, because an absolute-form target
/// may contain a password.
fn read_target(method: &str, target: &[u8]) -> Option<String> {
    match parse_target(method, target) {
        Ok(target) if target.lacks_slash => Some(format!("/{}", target.path)),
        Ok(target) => Some(target.path.to_owned()),
        Err(_) if target.starts_with(b"/") && is_visible(target) => Some(ascii(target).to_owned()),
        Err(_) => None,
    }
}

fn is_visible(target: &[u8]) -> bool {
    target.iter().all(|byte| matches!(byte, 0x21..=0x7E))
}

/// Refuses an incomplete line that can no longer become a request line.
pub(crate) fn check_incomplete(bytes: &[u8]) -> Result<(), Refusal> {
    let end = bytes.iter().position(|byte| matches!(byte, b' ' | b'\r'));
    let method = &bytes[..end.unwrap_or(bytes.len())];
    if method.is_empty() && end.is_none_or(|end| bytes[end] == b'\r') || is_method(method) {
        Ok(())
    } else {
        Err(refusal::METHOD)
    }
}

fn is_method(word: &[u8]) -> bool {
    word.len() <= MAX_METHOD_BYTES && is_token(word)
}

/// Whether a word is a token (RFC 9110, 5.6.2).
pub(crate) fn is_token(word: &[u8]) -> bool {
    let is_token_char =
        |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !word.is_empty() && word.iter().all(is_token_char)
}

fn parse_version(word: &[u8]) -> Result<Version, Refusal> {
    match word {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(refusal::UNSUPPORTED_VERSION)
        }
        _ => Err(refusal::VERSION),
    }
}

fn parse_target<'a>(method: &str, target: &'a [u8]) -> Result<Target<'a>, Refusal> {
    // CONNECT requests a tunnel, which an origin server does not provide.
    if method == "CONNECT" || !is_visible(target) {
        return Err(refusal::TARGET);
    }
    let target = ascii(target);
    let target = match target {
        "*" if method == "OPTIONS" => Target {
            authority: None,
            lacks_slash: false,
            path: target,
        },
        _ if target.starts_with('/') => Target {
            authority: None,
            lacks_slash: false,
            path: target,
        },
        _ => absolute_form(method, target)?,
    };
    // Browsers never send a fragment, and replace a backslash in a path by a slash. Other parsers may not do the same.
    let path = target.path.split('?').next().unwrap_or_default();
    if target.path.contains('#') || path.contains('\\') {
        return Err(refusal::TARGET);
    }
    Ok(target)
}

fn absolute_form<'a>(method: &str, target: &'a str) -> Result<Target<'a>, Refusal> {
    let (scheme, rest) = target.split_once("://").ok_or(refusal::TARGET)?;
    if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
        return Err(refusal::TARGET);
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_host(authority.as_bytes()) {
        return Err(refusal::TARGET);
    }
    // RFC 9112, 3.2.4: an OPTIONS request for the whole server, sent through a proxy.
    let whole_server = path.is_empty() && method == "OPTIONS";
    Ok(Target {
        authority: Some(authority),
        lacks_slash: !whole_server && !path.starts_with('/'),
        path: if whole_server { "*" } else { path },
    })
}

/// Whether a value is exactly one host with an optional port (RFC 3986, 3.2.2), without user information, path or list.
pub(crate) fn is_host(value: &[u8]) -> bool {
    let (host, port) = if value.first() == Some(&b'[') {
        let Some(end) = value.iter().position(|byte| *byte == b']') else {
            return false;
        };
        let inside = &value[1..end];
        let is_v6 = std::str::from_utf8(inside)
            .is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
        if !is_v6 {
            return false;
        }
        (inside, &value[end + 1..])
    } else {
        let end = value.iter().position(|byte| *byte == b':');
        let end = end.unwrap_or(value.len());
        let name = &value[..end];
        if !is_registered_name(name) {
            return false;
        }
        (name, &value[end..])
    };
    !host.is_empty() && is_port(port)
}

/// Whether a name is a registered name of RFC 3986. A comma is not accepted, although RFC 3986 allows it, because in a
/// header field it separates the elements of a list.
fn is_registered_name(name: &[u8]) -> bool {
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        let escaped = |digit: Option<&u8>| digit.is_some_and(u8::is_ascii_hexdigit);
        let allowed = match byte {
            b'%' => escaped(bytes.next()) && escaped(bytes.next()),
            byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=".contains(byte),
        };
        if !allowed {
            return false;
        }
    }
    true
}

fn is_port(port: &[u8]) -> bool {
    match port {
        [] | [b':'] => true,
        [b':', digits @ ..] => {
            digits.len() <= 5
                && digits.iter().all(u8::is_ascii_digit)
                && ascii(digits).parse::<u16>().is_ok()
        }
        _ => false,
    }
}

fn ascii(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("every caller checked for ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(line: &str) -> u16 {
        parse(line.as_bytes())
            .err()
            .map_or(200, |refusal| refusal.status)
    }

    #[test]
    fn each_request_line_is_accepted_or_refused_with_its_status() {
        for (line, expected) in [
            ("GET / HTTP/1.1", 200),
            ("get / HTTP/1.0", 200),
            ("M-SEARCH /a?b=\\c|d HTTP/1.1", 200),
            ("OPTIONS * HTTP/1.1", 200),
            ("GET http://a.example:80/x HTTP/1.1", 200),
            ("GET HTTPS://[::1]/x HTTP/1.1", 200),
            ("GET /a://b HTTP/1.1", 200),
            ("GET * HTTP/1.1", 400),
            ("POST * HTTP/1.1", 400),
            ("CONNECT a.example:443 HTTP/1.1", 400),
            ("CONNECT / HTTP/1.1", 400),
            ("CONNECT http://a.example/ HTTP/1.1", 400),
            ("GET a.example:443 HTTP/1.1", 400),
            ("GET a HTTP/1.1", 400),
            ("GET ftp://a.example/ HTTP/1.1", 400),
            ("GET http:/// HTTP/1.1", 400),
            ("GET http://user@a.example/ HTTP/1.1", 400),
            ("GET /#f HTTP/1.1", 400),
            ("GET http://a.example#f HTTP/1.1", 400),
            ("GET /a\\b HTTP/1.1", 400),
            ("GET /\u{e9} HTTP/1.1", 400),
            ("GET /a b HTTP/1.1", 400),
            ("GET  / HTTP/1.1", 400),
            ("GET / HTTP/1.1 ", 400),
            (" GET / HTTP/1.1", 400),
            ("GET\t/ HTTP/1.1", 400),
            ("GET /", 400),
            ("GET HTTP/1.1", 400),
            ("", 400),
            ("G(T / HTTP/1.1", 400),
            ("GET / HTTP/1", 400),
            ("GET / HTTP/01.01", 400),
            ("GET / http/1.1", 400),
            ("GET / HTTP/1.10", 400),
            ("GET / HTTPS/1.1", 400),
            ("GET / HTTP/ 1.1", 400),
            ("GET / HTTP/1.2", 505),
            ("GET / HTTP/0.9", 505),
            ("GET / HTTP/9.9", 505),
            ("PRI * HTTP/2.0", 505),
        ] {
            assert_eq!(status(line), expected, "{line:?}");
        }
        let method = "M".repeat(MAX_METHOD_BYTES + 1);
        assert_eq!(status(&format!("{method} / HTTP/1.1")), 400);
    }

    #[test]
    fn absolute_form_is_reduced_to_origin_form() {
        for (line, authority, lacks_slash, path) in [
            ("GET http://h:1/a?b HTTP/1.1", Some("h:1"), false, "/a?b"),
            ("GET http://h HTTP/1.1", Some("h"), true, ""),
            ("GET http://h?b HTTP/1.1", Some("h"), true, "?b"),
            ("OPTIONS http://h HTTP/1.1", Some("h"), false, "*"),
            ("OPTIONS http://h/ HTTP/1.1", Some("h"), false, "/"),
            ("GET //h/a HTTP/1.1", None, false, "//h/a"),
        ] {
            let expected = Target {
                authority,
                lacks_slash,
                path,
            };
            assert_eq!(parse(line.as_bytes()).unwrap().target, expected, "{line}");
        }
    }

    #[test]
    fn a_host_is_one_host_with_an_optional_port() {
        for host in [
            "a",
            "a.example",
            "a.example:",
            "a.example:8080",
            "127.0.0.1:1",
            "[::1]",
            "[::1]:65535",
            "a_b",
            "%41",
        ] {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "", ":80", "a b", "u@a", "a/b", "a,b", "a:b", "a:65536", "a:000080", "a:8:0", "[::1",
            "[]", "[a]", "[::1]x", "[v1.a]", "::1", "a#", "a?", "%4", "%zz", "\u{e9}", "a\\b",
            "a:+1",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn an_incomplete_line_is_refused_once_it_cannot_become_a_request_line() {
        for line in ["", "G", "GET", "GET ", "GET /a\u{e9}", "\r"] {
            assert_eq!(check_incomplete(line.as_bytes()), Ok(()), "{line:?}");
        }
        let endless = "A".repeat(MAX_METHOD_BYTES + 1);
        for line in [" ", "\u{16}\u{3}", "G{T", endless.as_str()] {
            assert!(check_incomplete(line.as_bytes()).is_err(), "{line:?}");
        }
    }
}
