//! The head of a request: finds its end in the received bytes, and checks it.
//!
//! `httparse` parses the fields. It accepts a bare LF as the end of a line, so the line ends are checked here first: no
//! later code gets a misplaced CR, LF or NUL.

use httparse::Header;

use super::fields::{parse_fields, trim, values};
use super::framing::{self, Framing};
use super::refusal::{self, Refusal};
use super::request_line::{self, RequestLine, Version};
use crate::gate::limits::GateLimits;

/// A complete and valid head.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) line: RequestLine<'a>,
    /// The header fields as they were sent, in their order.
    pub(crate) fields: Vec<Header<'a>>,
    pub(crate) framing: Framing,
    /// Whether the client waits for a `100 Continue` before it sends the body.
    pub(crate) expects_continue: bool,
    /// Whether the client wants the connection to stay open.
    pub(crate) keep_alive: bool,
}

/// Finds the end of a head in bytes that arrive in pieces.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    /// The number of bytes that were scanned.
    scanned: usize,
    /// The offset of the first line whose end was not found yet.
    line_start: usize,
    /// The number of complete lines, including the request line.
    lines: usize,
    /// The length of the empty line before the request line: 0 or 2.
    skipped: usize,
}

/// The result of [`Scanner::advance`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// More bytes are needed.
    More,
    /// The head is complete.
    Whole(Extent),
}

/// The position of a head in the scanned bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    /// The offset of the request line.
    start: usize,
    /// The offset just past the empty line that ends the head.
    pub(crate) end: usize,
    /// The number of header fields.
    fields: usize,
}

impl Scanner {
    /// Scans the new bytes in `bytes`, which are all bytes that have arrived since the last request.
    pub(crate) fn advance(&mut self, bytes: &[u8], limits: &GateLimits) -> Result<Scan, Refusal> {
        while self.scanned < bytes.len() {
            if self.scanned >= limits.max_head + self.skipped {
                self.check_incomplete(bytes)?;
                return Err(refusal::HEAD_TOO_LARGE);
            }
            let byte = bytes[self.scanned];
            let after_cr = self.scanned > self.line_start && bytes[self.scanned - 1] == b'\r';
            self.scanned += 1;
            match byte {
                b'\n' if !after_cr => return Err(refusal::BARE_LF),
                b'\n' => {
                    if let Some(extent) = self.end_line(&bytes[..self.scanned], limits)? {
                        return Ok(Scan::Whole(extent));
                    }
                }
                _ if after_cr => return Err(refusal::BARE_CR),
                0 => return Err(refusal::NUL),
                _ => {}
            }
        }
        self.check_incomplete(bytes)?;
        Ok(Scan::More)
    }

    /// The part of `bytes` that was scanned, from the request line on. It ends at the byte that was refused.
    pub(crate) fn seen<'b>(&self, bytes: &'b [u8]) -> &'b [u8] {
        &bytes[self.skipped..self.scanned]
    }

    fn check_incomplete(&self, bytes: &[u8]) -> Result<(), Refusal> {
        match self.lines {
            0 => request_line::check_incomplete(&bytes[self.skipped..]),
            _ => Ok(()),
        }
    }

    fn end_line(&mut self, bytes: &[u8], limits: &GateLimits) -> Result<Option<Extent>, Refusal> {
        let line = &bytes[self.line_start..bytes.len() - 2];
        self.line_start = bytes.len();
        match (line.is_empty(), self.lines) {
            // One empty line may come before a request (RFC 9112, 2.2); a second one makes it a malformed request line.
            (true, 0) if self.skipped == 0 => {
                self.skipped = 2;
                return Ok(None);
            }
            (true, lines) if lines > 0 => {
                return Ok(Some(Extent {
                    start: self.skipped,
                    end: bytes.len(),
                    fields: lines - 1,
                }));
            }
            // Checked at once: an HTTP/0.9 client sends only this line, and waits.
            (_, 0) => {
                request_line::parse(line)?;
            }
            _ => {}
        }
        self.lines += 1;
        if self.lines > limits.max_header_fields + 1 {
            return Err(refusal::TOO_MANY_FIELDS);
        }
        Ok(None)
    }
}

impl<'a> Head<'a> {
    /// Parses and checks the head that a [`Scanner`] found in `bytes`.
    pub(crate) fn parse(bytes: &'a [u8], extent: Extent) -> Result<Self, Refusal> {
        let bytes = &bytes[extent.start..extent.end];
        let line_end = bytes.iter().position(|byte| *byte == b'\r');
        let line_end = line_end.expect("the scanner found at least two lines that end in CR LF");
        let line = request_line::parse(&bytes[..line_end])?;
        let fields = parse_fields(&bytes[line_end + 2..], extent.fields)?;
        check_host(&fields, line.version)?;
        let framing = framing::of(&fields, line.version)?;
        let expects_continue = expects_continue(&fields, line.version)?;
        let keep_alive = keep_alive(&fields, line.version);
        Ok(Self {
            line,
            fields,
            framing,
            expects_continue,
            keep_alive,
        })
    }
}

/// Checks that there is exactly one valid `Host` field, which HTTP/1.0 may omit (RFC 9112, 3.2). Two equal fields are
/// refused as well: parsers would agree on the host, but no legitimate client sends two.
fn check_host(fields: &[Header<'_>], version: Version) -> Result<(), Refusal> {
    let mut hosts = values(fields, "Host");
    match (hosts.next(), hosts.next(), version) {
        (Some(_), Some(_), _) => Err(refusal::TWO_HOSTS),
        (Some(host), None, _) if !request_line::is_host(host) => Err(refusal::HOST),
        (None, None, Version::Http11) => Err(refusal::NO_HOST),
        _ => Ok(()),
    }
}

/// Whether the client expects a `100 Continue` (RFC 9110, 10.1.1). The `Expect` field of an HTTP/1.0 request is ignored.
fn expects_continue(fields: &[Header<'_>], version: Version) -> Result<bool, Refusal> {
    let mut expected = false;
    for value in values(fields, "Expect") {
        if version == Version::Http10 {
            return Ok(false);
        }
        if !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(refusal::EXPECTATION);
        }
        expected = true;
    }
    Ok(expected)
}

/// Whether the connection persists after the request (RFC 9112, 9.3).
fn keep_alive(fields: &[Header<'_>], version: Version) -> bool {
    let has = |option: &[u8]| {
        values(fields, "Connection")
            .flat_map(|value| value.split(|byte| *byte == b','))
            .any(|word| trim(word).eq_ignore_ascii_case(option))
    };
    match version {
        Version::Http11 => !has(b"close"),
        Version::Http10 => has(b"keep-alive") && !has(b"close"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &[u8]) -> Result<Extent, u16> {
        let limits = GateLimits {
            max_head: 200,
            max_header_fields: 4,
            ..GateLimits::default()
        };
        let whole = Scanner::default().advance(text, &limits);
        // The result must not depend on the pieces in which the bytes arrive.
        let mut scanner = Scanner::default();
        let mut dripped = Ok(Scan::More);
        for end in 1..=text.len() {
            dripped = scanner.advance(&text[..end], &limits);
            if dripped != Ok(Scan::More) {
                break;
            }
        }
        assert_eq!(whole, dripped, "{}", text.escape_ascii());
        match whole {
            Ok(Scan::Whole(extent)) => Ok(extent),
            Ok(Scan::More) => Err(0),
            Err(refusal) => Err(refusal.status),
        }
    }

    fn status(text: &str) -> u16 {
        match scan(text.as_bytes()) {
            Ok(extent) => match Head::parse(text.as_bytes(), extent) {
                Ok(_) => 200,
                Err(refusal) => refusal.status,
            },
            Err(status) => status,
        }
    }

    #[test]
    fn each_head_is_accepted_or_refused_with_its_status() {
        for (text, expected) in [
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
            ("GET / HTTP/1.1\r\nHost:a \t\r\nEmpty:\r\n\r\nGET", 200),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: \u{e9}\r\n\r\n", 200),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200),
            ("GET / HTTP/1.0\r\n\r\n", 200),
            ("GET / HTTP/1.1\r\nHost: a\r\n", 0),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r", 0),
            ("", 0),
            ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET /\r\n", 400),
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
            ("GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{b}b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\u{7f}\r\n\r\n", 400),
            ("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n \r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nX[: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\n\u{e9}: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHOST: a\r\n\r\n", 400),
            ("GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: \r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\n\r\n",
                200,
            ),
            ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 417),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, b\r\n\r\n",
                417,
            ),
            ("GET / HTTP/1.0\r\nExpect: 200-ok\r\n\r\n", 200),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n",
                200,
            ),
            (
                "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n",
                431,
            ),
            ("GET / HTTP/2.0\r\nHost: a\nX", 505),
        ] {
            assert_eq!(status(text), expected, "{}", text.escape_debug());
        }
    }

    #[test]
    fn a_head_may_be_as_long_as_its_limit_and_no_longer() {
        let head = |bytes: usize| {
            let rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n".len();
            format!(
                "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
                "x".repeat(bytes - rest)
            )
        };
        assert_eq!(status(&head(200)), 200);
        assert_eq!(status(&head(201)), 431);
        assert_eq!(status(&format!("GET /{}", "x".repeat(300))), 431);
        assert_eq!(status(&"x".repeat(300)), 400, "no method is that long");
    }

    #[test]
    fn connections_persist_as_the_version_and_the_connection_options_say() {
        for (version, connection, expected) in [
            ("1.1", "X: a", true),
            ("1.1", "Connection: close", false),
            ("1.1", "Connection: Upgrade , CLOSE", false),
            ("1.1", "Connection: closed", true),
            ("1.0", "X: a", false),
            ("1.0", "Connection: Keep-Alive", true),
            ("1.0", "Connection: keep-alive, close", false),
        ] {
            let text = format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n\r\n");
            let extent = scan(text.as_bytes()).unwrap();
            let head = Head::parse(text.as_bytes(), extent).unwrap();
            assert_eq!(head.keep_alive, expected, "{version} {connection}");
        }
    }
}
