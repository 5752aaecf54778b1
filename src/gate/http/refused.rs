//! The readable parts of a request that the gate answers itself, for the log, the metrics and the headers of the answer.
//!
//! Only complete lines are read, each independently: a malformed line does not hide the others. The body is never read.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::fields;
use super::normal::{is_reserved, original_field};
use super::refusal::Refusal;
use super::request_line;
use super::wiped::Wiped;

/// A request that the gate answered itself, as far as it could be read.
pub struct RefusedRequest<'a> {
    /// The peer's IP address without its port, or `unix`.
    pub peer: &'a str,
    /// The method, if it certainly is one.
    pub method: Option<&'a str>,
    /// The path with its query, in visible ASCII characters.
    pub target: Option<String>,
    /// The well-formed header fields, unchanged and in their order. If the request was read up to its body, only those that
    /// are forwarded.
    pub fields: Vec<(&'a str, Cow<'a, [u8]>)>,
    /// The status of the answer.
    pub status: u16,
    /// The sentence in the body of the answer.
    pub detail: &'static str,
    /// The time since the first byte of the request.
    pub duration: Duration,
}

impl RefusedRequest<'_> {
    /// The values of all fields with this name as one list (RFC 9110, 5.3); `None` if there are none.
    pub fn joined(&self, name: &str) -> Option<Vec<u8>> {
        let values = self.fields.iter();
        let values = values.filter(|(given, _)| given.eq_ignore_ascii_case(name));
        let values: Vec<&[u8]> = values.map(|(_, value)| &**value).collect();
        (!values.is_empty()).then(|| values.join(&b", "[..]))
    }
}

/// A callback for every request that the gate answers itself. It is called before the answer is sent, and returns header
/// fields for the answer.
#[derive(Clone)]
pub struct OnRefusal(Arc<Observer>);

type Observer = dyn Fn(&RefusedRequest<'_>) -> Vec<(&'static str, String)> + Send + Sync;

impl OnRefusal {
    /// Creates a callback from a function.
    pub fn new(
        observer: impl Fn(&RefusedRequest<'_>) -> Vec<(&'static str, String)> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(observer))
    }

    pub(crate) fn call(&self, refused: &RefusedRequest<'_>) -> Vec<(&'static str, String)> {
        (self.0)(refused)
    }
}

impl fmt::Debug for OnRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnRefusal")
    }
}

/// The head of a refused request, as far as it was received.
pub(crate) struct PartialHead {
    /// The bytes from the request line on.
    bytes: Wiped,
    /// Whether the bytes are in normal form.
    is_normal: bool,
}

impl fmt::Debug for PartialHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PartialHead")
    }
}

impl PartialHead {
    /// A head as the client sent it, up to the byte that was refused.
    pub(crate) fn sent(bytes: &[u8]) -> Self {
        let mut copy = Wiped::with_capacity(bytes.len());
        copy.extend_from_slice(bytes);
        Self {
            bytes: copy,
            is_normal: false,
        }
    }

    /// A head in normal form, with or without a body.
    pub(crate) fn normal(bytes: Wiped) -> Self {
        Self {
            bytes,
            is_normal: true,
        }
    }

    pub(crate) fn refused<'a>(
        &'a self,
        peer: &'a str,
        refusal: Refusal,
        duration: Duration,
    ) -> RefusedRequest<'a> {
        let mut lines = Lines(&self.bytes);
        let first = lines.next().unwrap_or(lines.0);
        let (method, target) = request_line::read(first);
        RefusedRequest {
            peer,
            method,
            target,
            fields: self.fields(lines),
            status: refusal.status,
            detail: refusal.detail,
            duration,
        }
    }

    fn fields<'a>(&self, lines: Lines<'a>) -> Vec<(&'a str, Cow<'a, [u8]>)> {
        let mut fields = Vec::new();
        for line in lines {
            if line.starts_with(b" ") || line.starts_with(b"\t") {
                // A folded line continues the field before it, which is therefore incomplete.
                fields.pop();
                fields.push(None);
            } else {
                fields.push(fields::field(line).and_then(|field| self.original(field)));
            }
        }
        fields.into_iter().flatten().collect()
    }

    /// The field as the client sent it. `None` for fields that the gate added, and for a client's fields with reserved names.
    fn original<'a>(&self, (name, value): (&'a str, &'a [u8])) -> Option<(&'a str, Cow<'a, [u8]>)> {
        if !self.is_normal {
            return (!is_reserved(name)).then_some((name, Cow::Borrowed(value)));
        }
        if is_reserved(name) {
            let (name, value) = original_field(name, std::str::from_utf8(value).ok()?)?;
            return Some((name, Cow::Owned(value)));
        }
        let is_of_gate = name.eq_ignore_ascii_case("Content-Length");
        (!is_of_gate).then_some((name, Cow::Borrowed(value)))
    }
}

/// An iterator over the lines that end in CR LF, up to an empty one. It contains the bytes that were not returned yet.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.windows(2).position(|pair| pair == b"\r\n")?;
        if end == 0 {
            return None;
        }
        let line = &self.0[..end];
        self.0 = &self.0[end + 2..];
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::refusal;
    use super::*;

    fn shown(seen: &PartialHead) -> String {
        let refused = seen.refused("unix", refusal::TOO_SLOW, Duration::ZERO);
        let fields = refused.fields.iter();
        let fields = fields.map(|(name, value)| format!(" {name}={}", value.escape_ascii()));
        format!(
            "{} {}{}",
            refused.method.unwrap_or("-"),
            refused.target.as_deref().unwrap_or("-"),
            fields.collect::<String>()
        )
    }

    #[test]
    fn only_complete_and_well_formed_lines_are_read() {
        for (sent, expected) in [
            ("", "- -"),
            ("GE", "- -"),
            ("GET ", "GET -"),
            ("GET /a", "GET -"),
            ("GET /a ", "GET /a"),
            ("GET /a?b HTTP/9.9\r\nA: b\r\nC: d", "GET /a?b A=b"),
            ("BREW /a HTTP/9.9\r\n", "BREW /a"),
            (
                "GET http://h?b HTTP/1.1\r\nA:\t b \r\nB:\r\n\r\nC: d\r\n",
                "GET /?b A=b B=",
            ),
            ("POST http://a:secret@h/ HTTP/1.1\r\n", "POST -"),
            ("GET /a\\b#c HTTP/1.1\r\n", "GET /a\\b#c"),
            ("GET /a b HTTP/1.1\r\nA: b\r\n", "GET - A=b"),
            (
                "GET /\u{e9} HTTP/1.1\r\nA: \u{e9}\r\n",
                "GET - A=\\xc3\\xa9",
            ),
            ("GET /\u{1b}[m HTTP/1.1\r\n", "GET -"),
            // The rest of a body whose length was not sent is not taken for a method.
            ("secret word\r\n", "- -"),
            ("{\"password\": \"secret\"}", "- -"),
            // A malformed line, and folded lines.
            (
                "GET / HTTP/1.1\r\nA b: c\r\nA : b\r\n: a\r\nB: c\x01\r\nC\r\nD: e\r\n",
                "GET / D=e",
            ),
            (
                "GET / HTTP/1.1\r\nA: b\r\nB: c\r\n d\r\n\te\r\nF: g\r\n",
                "GET / A=b F=g",
            ),
            ("GET / HTTP/1.1\r\n A: b\r\nB: c\r\n", "GET / B=c"),
            (
                "GET / HTTP/1.1\r\nX-Gate-Peer: a\r\nx-gate-encoded-b: %41\r\n",
                "GET /",
            ),
        ] {
            assert_eq!(
                shown(&PartialHead::sent(sent.as_bytes())),
                expected,
                "{sent:?}"
            );
        }
    }

    #[test]
    fn the_normal_form_is_read_back_as_the_client_sent_it() {
        let mut bytes = Wiped::default();
        bytes.extend_from_slice(
            b"POST /a HTTP/1.1\r\nX-Gate-Peer: 192.0.2.1\r\nA: b\r\nX-Gate-Encoded-Content-Length: 6\r\n\
              X-Gate-Encoded-C: %E9\r\nContent-Length: 6\r\n\r\nD: e\r\n",
        );
        let expected = "POST /a A=b Content-Length=6 C=\\xe9";
        assert_eq!(shown(&PartialHead::normal(bytes)), expected);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_only_visible_ones_are_a_target(
            start in "(GET|HEAD|a)? ?(/|http://)?",
            rest: Vec<u8>,
        ) {
            let bytes = [start.as_bytes(), &rest].concat();
            let seen = PartialHead::sent(&bytes);
            let target = seen.refused("unix", refusal::TOO_SLOW, Duration::ZERO).target;
            let is_visible = |target: &str| target.bytes().all(|byte| byte.is_ascii_graphic());
            prop_assert!(target.as_deref().is_none_or(is_visible));
        }
    }

    #[test]
    fn two_fields_with_the_same_name_are_joined_to_one_list() {
        let seen = PartialHead::sent(b"GET / HTTP/1.1\r\nA: b\r\nC: d\r\na: e\r\n");
        let refused = seen.refused("unix", refusal::TOO_SLOW, Duration::ZERO);
        assert_eq!(refused.joined("A"), Some(b"b, e".to_vec()));
        assert_eq!(refused.joined("B"), None);
    }
}
