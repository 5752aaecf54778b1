//! The normal form in which requests go on to the server, rewritten rather than copied.
//!
//! ```text
//! POST /api/organizations/user-login/ HTTP/1.1
//! X-Gate-Peer: 203.0.113.7
//! Content-Type: application/json
//! Content-Length: 70
//! ```
//!
//! The target is in origin-form, the body has a plain length, and field names that begin with `X-Gate-` are the gate's:
//! a client's own are dropped. A field that tiny_http would act upon, or whose value it cannot read, goes on under such
//! a name too; [`original_field`] turns it back.

use httparse::Header;

use super::fields::trim;
use super::head::Head;
use super::wiped::Wiped;

/// What the names of the fields between gate and server begin with. No client can set one.
pub const RESERVED_PREFIX: &str = "X-Gate-";
/// The peer's IP address without its port, or `unix`.
pub const PEER: &str = "X-Gate-Peer";
/// The limit, in bytes, that the body passes. The request then has no body here.
pub const BODY_TOO_LARGE: &str = "X-Gate-Body-Too-Large";
/// On a request of the gate itself, to be answered (204) and neither counted nor logged.
pub const WARM_UP: &str = "X-Gate-Warm-Up";

/// Before the name of a field whose value is percent-encoded. The name says so, hence no value can be mistaken.
const ENCODED_PREFIX: &str = "X-Gate-Encoded-";

/// Fields tiny_http acts upon; what they say was for the gate.
const ACTED_UPON: [&str; 7] = [
    "Connection",
    "Content-Length",
    "Expect",
    "TE",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// Which of a client's fields go on to the server.
#[derive(Debug, Clone, Copy)]
pub enum Forward {
    /// Those of these names; a field costs time, so the shorter the better.
    Only(&'static [&'static str]),
    /// All, in their order and as they came.
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

/// Writes a request's head up to, but without, the length of its body.
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

/// Ends a head that [`start`] started, and adds the body.
pub(crate) fn end_with_body(body: &[u8], out: &mut Wiped) {
    if !body.is_empty() {
        line(out, "Content-Length", body.len().to_string().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// Ends the head of a request whose body was not read, since it passes `limit`.
pub(crate) fn end_too_large(limit: usize, out: &mut Wiped) {
    line(out, BODY_TOO_LARGE, limit.to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The request that makes a new connection to the server usable.
pub(crate) fn warm_up() -> String {
    format!("GET / HTTP/1.1\r\n{WARM_UP}: 1\r\n\r\n")
}

/// RFC 9112, 3.2.2: the host of an absolute-form counts instead of the one in the field.
fn write_field(field: &Header<'_>, authority: Option<&str>, out: &mut Wiped) {
    let value = match authority {
        Some(authority) if is_host(field) => authority.as_bytes(),
        _ => trim(field.value),
    };
    let acted_upon = ACTED_UPON
        .iter()
        .any(|name| name.eq_ignore_ascii_case(field.name));
    if acted_upon || !value.is_ascii() {
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

/// The name and value that a client sent, if the field has a name that says its value is encoded.
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
    use crate::gate::limits::Limits;
    use proptest::prelude::*;

    fn normal(text: &[u8], forward: Forward) -> String {
        let scan = Scanner::default().advance(text, &Limits::default());
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
    fn a_request_goes_on_with_the_fields_that_are_read() {
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
    fn bodies_are_told_by_a_plain_length() {
        let mut out = Wiped::default();
        end_with_body(b"{}", &mut out);
        assert_eq!(&*out, b"Content-Length: 2\r\n\r\n{}");
        out.resize(0);
        end_too_large(16, &mut out);
        assert_eq!(&*out, b"X-Gate-Body-Too-Large: 16\r\n\r\n");
    }

    proptest! {
        #[test]
        fn what_is_encoded_decodes_to_itself(value: Vec<u8>) {
            let encoded = String::from_utf8(encode(&value).to_vec()).unwrap();
            prop_assert!(encoded.bytes().all(|byte| byte.is_ascii_graphic()));
            prop_assert_eq!(original_field("x-gate-encoded-A", &encoded), Some(("A", value)));
        }

        #[test]
        fn any_text_can_be_asked_for(name: String, value: String) {
            original_field(&name, &value);
        }
    }
}
