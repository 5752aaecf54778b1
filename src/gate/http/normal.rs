//! The normal form in which requests are sent to the server. They are rewritten, not copied.
//!
//! ```text
//! POST /api/organizations/user-login/ HTTP/1.1
//! X-Gate-Peer: 203.0.113.7
//! Content-Type: application/json
//! Content-Length: 70
//! ```
//!
//! The target is in origin-form, and the body has a Content-Length. Field names that start with `X-Gate-` are reserved for
//! the gate; a client's fields with such names are dropped. A field that tiny_http would act on, or whose value it cannot
//! represent, is encoded under a reserved name; [`original_field`] decodes it.

use httparse::Header;

use super::fields::trim;
use super::head::Head;
use super::wiped::Wiped;

/// The prefix of the names of all fields between gate and server. No client can set a field with this prefix.
pub const RESERVED_PREFIX: &str = "X-Gate-";
/// The field with the peer's IP address without its port, or `unix`.
pub const PEER: &str = "X-Gate-Peer";
/// The field with the size limit, in bytes, that the body exceeds. The request is then sent without its body.
pub const BODY_TOO_LARGE: &str = "X-Gate-Body-Too-Large";
/// The field that marks a request of the gate itself. It is answered with 204, and neither counted nor logged.
pub const WARM_UP: &str = "X-Gate-Warm-Up";

/// The prefix of the name of a field whose value is percent-encoded. Since no client can set such a name, it is always
/// clear whether a value is encoded.
const ENCODED_PREFIX: &str = "X-Gate-Encoded-";

/// Fields that tiny_http would act on. The gate has already handled them.
const ACTED_ON: [&str; 7] = [
    "Connection",
    "Content-Length",
    "Expect",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// Which of a client's header fields are forwarded to the server.
#[derive(Debug, Clone, Copy)]
pub enum Forward {
    /// Only fields with these names. Every forwarded field costs time.
    Only(&'static [&'static str]),
    /// All fields without a reserved name, unchanged and in their order.
    All,
}

impl Forward {
    fn takes(self, name: &str) -> bool {
        match self {
            Self::Only(names) => names.iter().any(|known| known.eq_ignore_ascii_case(name)),
            Self::All => !is_reserved(name),
        }
    }
}

pub(crate) fn is_reserved(name: &str) -> bool {
    strip_prefix(name, RESERVED_PREFIX).is_some()
}

/// Writes the head of a request up to the length of its body, which is not included.
pub(crate) fn start(head: &Head<'_>, peer: &str, forward: Forward, out: &mut Wiped) {
    let target = &head.line.target;
    let slash = if target.lacks_slash { "/" } else { "" };
    let parts = [head.line.method, " ", slash, target.path, " HTTP/1.1\r\n"];
    parts
        .iter()
        .for_each(|part| out.extend_from_slice(part.as_bytes()));
    line(out, PEER, peer.as_bytes());
    for field in &head.fields {
        if forward.takes(field.name) {
            write_field(field, target.authority, out);
        }
    }
    if let Some(authority) = target.authority
        && forward.takes("Host")
        && !head.fields.iter().any(is_host)
    {
        line(out, "Host", authority.as_bytes());
    }
}

/// Completes a head that [`start`] wrote, and appends the body.
pub(crate) fn end_with_body(body: &[u8], out: &mut Wiped) {
    if !body.is_empty() {
        line(out, "Content-Length", body.len().to_string().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// Completes the head of a request whose body was not read because it exceeds `limit` bytes.
pub(crate) fn end_too_large(limit: usize, out: &mut Wiped) {
    line(out, BODY_TOO_LARGE, limit.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The request that checks a new connection to the server.
pub(crate) fn warm_up() -> String {
    format!("GET / HTTP/1.1\r\n{WARM_UP}: 1\r\n\r\n")
}

/// Writes one field. In place of `Host`, the authority of an absolute-form target is used (RFC 9112, 3.2.2).
fn write_field(field: &Header<'_>, authority: Option<&str>, out: &mut Wiped) {
    let value = match authority {
        Some(authority) if is_host(field) => authority.as_bytes(),
        _ => trim(field.value),
    };
    let is_acted_on = ACTED_ON
        .iter()
        .any(|name| name.eq_ignore_ascii_case(field.name));
    if is_acted_on || !value.is_ascii() {
        out.extend_from_slice(ENCODED_PREFIX.as_bytes());
        line(out, field.name, &encode(value));
    } else {
        line(out, field.name, value);
    }
}

fn is_host(field: &Header<'_>) -> bool {
    field.name.eq_ignore_ascii_case("Host")
}

fn line(out: &mut Wiped, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

fn encode(value: &[u8]) -> Wiped {
    let mut out = Wiped::with_capacity(value.len());
    for byte in value {
        match byte {
            b'!'..=b'~' if *byte != b'%' => out.extend_from_slice(&[*byte]),
            byte => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
    out
}

/// The name and value of a field as the client sent it, if it was forwarded in encoded form; `None` otherwise.
///
/// ```
/// use thanos_login::gate::original_field;
/// let field = original_field("X-Gate-Encoded-Authorization", "Token%20%FF");
/// assert_eq!(field, Some(("Authorization", b"Token \xFF".to_vec())));
/// assert_eq!(original_field("Authorization", "Token%20%FF"), None);
/// ```
pub fn original_field<'name>(name: &'name str, value: &str) -> Option<(&'name str, Vec<u8>)> {
    let name = strip_prefix(name, ENCODED_PREFIX)?;
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let decoded = digit()? * 16 + digit()?;
        out.push(u8::try_from(decoded).ok()?);
    }
    Some((name, out))
}

fn strip_prefix<'name>(name: &'name str, prefix: &str) -> Option<&'name str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::super::head::{Scan, Scanner};
    use super::*;
    use crate::gate::limits::GateLimits;
    use proptest::prelude::*;

    fn normal(text: &[u8], forward: Forward) -> String {
        let scan = Scanner::default().advance(text, &GateLimits::default());
        let Ok(Scan::Whole(extent)) = scan else {
            panic!("not a head: {}", text.escape_ascii());
        };
        let mut out = Wiped::default();
        start(
            &Head::parse(text, extent).unwrap(),
            "192.0.2.1",
            forward,
            &mut out,
        );
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn a_request_is_forwarded_with_the_wanted_fields() {
        let text = b"POST http://b.example?x HTTP/1.1\r\nHost: a.example\r\nhost-like: a\r\nX-Gate-Peer: 10.0.0.1\r\n\
                     x-gate-encoded-b: %00\r\nConnection: close\r\nACCEPT:  a \r\nAccept: b\r\nName: \xE9%\r\n\r\n";
        let start = "POST /?x HTTP/1.1\r\nX-Gate-Peer: 192.0.2.1\r\n";
        let only = Forward::Only(&["Accept", "Host", "Name"]);
        let expected =
            "Host: b.example\r\nACCEPT: a\r\nAccept: b\r\nX-Gate-Encoded-Name: %E9%25\r\n";
        assert_eq!(normal(text, only), format!("{start}{expected}"));
        let expected = "Host: b.example\r\nhost-like: a\r\nX-Gate-Encoded-Connection: close\r\nACCEPT: a\r\n\
                        Accept: b\r\nX-Gate-Encoded-Name: %E9%25\r\n";
        assert_eq!(normal(text, Forward::All), format!("{start}{expected}"));
    }

    #[test]
    fn a_body_has_a_content_length() {
        let mut out = Wiped::default();
        end_with_body(b"{}", &mut out);
        assert_eq!(&*out, b"Content-Length: 2\r\n\r\n{}");
        out.resize(0);
        end_too_large(16, &mut out);
        assert_eq!(&*out, b"X-Gate-Body-Too-Large: 16\r\n\r\n");
    }

    proptest! {
        #[test]
        fn an_encoded_value_decodes_to_itself(value: Vec<u8>) {
            let encoded = String::from_utf8(encode(&value).to_vec()).unwrap();
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(original_field("x-gate-encoded-A", &encoded), Some(("A", value)));
        }

        #[test]
        fn decoding_any_field_does_not_panic(name: String, value: String) {
            original_field(&name, &value);
        }
    }
}
