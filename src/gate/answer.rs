//! The server's answers: read whole, and written anew for the client.
//!
//! An answer is held in memory before its first byte goes to the client, so that a slow reader never holds a connection
//! to the server. Fields about the connection, and `Server`, which would name the HTTP library, stay here.
//!
//! Response fields that begin with [`RESERVED_PREFIX`](super::RESERVED_PREFIX) are meant for the gate and never reach a
//! client.

use std::io::{self, Read};

use super::normal::is_reserved;

/// Far above any answer of a server that is in order.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
const MAX_FIELDS: usize = 64;

/// Fields that are the gate's to say, or nobody's.
const DROPPED: [&str; 5] = [
    "Server",
    "Connection",
    "Keep-Alive",
    "Transfer-Encoding",
    "Upgrade",
];

/// What is said to the client about the connection after this answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// It stays open, as HTTP/1.1 has it.
    Open,
    /// It stays open, which has to be told to a client of HTTP/1.0.
    KeepAlive,
    Close,
}

impl Ending {
    /// The header line, with its end.
    pub(super) fn line(self) -> &'static str {
        match self {
            Ending::Open => "",
            Ending::KeepAlive => "Connection: keep-alive\r\n",
            Ending::Close => "Connection: close\r\n",
        }
    }
}

/// A whole answer of the server.
#[derive(Debug)]
pub(super) struct Answer {
    bytes: Vec<u8>,
    body_start: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The connection broke, or the answer took too long.
    #[error("the answer did not arrive")]
    Read(#[from] io::Error),
    /// Not an HTTP answer with a length.
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
}

impl Answer {
    /// Reads one answer; `to_head` says that it is one to HEAD and so has no body.
    pub(super) fn read(mut from: impl Read, to_head: bool) -> Result<Answer, Error> {
        let mut bytes = vec![0; 1024];
        let mut filled = 0;
        let mut end = None;
        loop {
            if end.is_none() {
                end = measure(&bytes[..filled], to_head)?;
            }
            if let Some((body_start, total)) = end {
                if filled > total {
                    return Err(Error::Malformed("longer than its length"));
                }
                bytes.resize(total, 0);
                from.read_exact(&mut bytes[filled..])?;
                return Ok(Answer { bytes, body_start });
            }
            if filled == bytes.len() {
                bytes.resize(filled * 2, 0);
            }
            match from.read(&mut bytes[filled..]) {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Appends the answer as the client gets it.
    pub(super) fn write(&self, ending: Ending, out: &mut Vec<u8>) -> Result<(), Error> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
        let parsed = parse(&self.bytes[..self.body_start], &mut fields)?;
        let parsed = parsed.ok_or(Error::Malformed("no head"))?;
        let (code, reason) = (parsed.code.unwrap_or(500), parsed.reason.unwrap_or(""));
        out.reserve(self.bytes.len() + 32);
        out.extend_from_slice(format!("HTTP/1.1 {code} {reason}\r\n").as_bytes());
        for field in parsed.headers.iter() {
            // RFC 9110, 8.6: a 204 has no length; tiny_http gives it one.
            let of_no_content = code == 204 && field.name.eq_ignore_ascii_case("Content-Length");
            let dropped = DROPPED
                .iter()
                .any(|name| name.eq_ignore_ascii_case(field.name));
            if dropped || of_no_content || is_reserved(field.name) {
                continue;
            }
            for part in [field.name.as_bytes(), b": ", field.value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
        out.extend_from_slice(ending.line().as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.bytes[self.body_start..]);
        Ok(())
    }
}

/// Where the body begins and the answer ends, once the head is there.
fn measure(bytes: &[u8], to_head: bool) -> Result<Option<(usize, usize)>, Error> {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let Some(parsed) = parse(bytes, &mut fields)? else {
        return match bytes.len() {
            ..MAX_ANSWER_BYTES => Ok(None),
            _ => Err(Error::Malformed("the head has no end")),
        };
    };
    let head = parsed.head_bytes;
    let code = parsed.code.unwrap_or_default();
    if to_head || matches!(code, 204 | 304) {
        return Ok(Some((head, head)));
    }
    let length = parsed
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("Content-Length"))
        .and_then(|field| std::str::from_utf8(field.value).ok())
        .and_then(|value| value.parse::<usize>().ok());
    match length {
        Some(length) if length <= MAX_ANSWER_BYTES => Ok(Some((head, head + length))),
        Some(_) => Err(Error::Malformed("too large")),
        None => Err(Error::Malformed("no length")),
    }
}

struct Parsed<'fields, 'bytes> {
    code: Option<u16>,
    reason: Option<&'bytes str>,
    headers: &'fields [httparse::Header<'bytes>],
    head_bytes: usize,
}

fn parse<'fields, 'bytes>(
    bytes: &'bytes [u8],
    fields: &'fields mut [httparse::Header<'bytes>],
) -> Result<Option<Parsed<'fields, 'bytes>>, Error> {
    let mut response = httparse::Response::new(fields);
    match response.parse(bytes) {
        Ok(httparse::Status::Partial) => Ok(None),
        Ok(httparse::Status::Complete(head_bytes)) => Ok(Some(Parsed {
            code: response.code,
            reason: response.reason,
            headers: response.headers,
            head_bytes,
        })),
        Err(_) => Err(Error::Malformed("not HTTP")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes one at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let one = self.0.len().min(1).min(buffer.len());
            self.0.read(&mut buffer[..one])
        }
    }

    fn relay(text: &str, to_head: bool, ending: Ending) -> Result<String, Error> {
        let mut out = Vec::new();
        Answer::read(text.as_bytes(), to_head)?.write(ending, &mut out)?;
        let mut dripped = Vec::new();
        Answer::read(Drip(text.as_bytes()), to_head)?.write(ending, &mut dripped)?;
        assert_eq!(out, dripped);
        Ok(String::from_utf8(out).unwrap())
    }

    #[test]
    fn an_answer_loses_what_is_between_gate_and_server() {
        let text = "HTTP/1.1 200 OK\r\nServer: tiny-http (Rust)\r\nDate: now\r\nX-Gate-Order: a\r\nKeep-Alive: 1\r\n\
                    Content-Length: 2\r\n\r\n{}";
        let shown = "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\n";
        for (ending, line) in [
            (Ending::Open, ""),
            (Ending::KeepAlive, "Connection: keep-alive\r\n"),
            (Ending::Close, "Connection: close\r\n"),
        ] {
            let expected = format!("{shown}{line}\r\n{{}}");
            assert_eq!(relay(text, false, ending).unwrap(), expected);
        }
        let long = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{}",
            "x".repeat(9000)
        );
        assert_eq!(relay(&long, false, Ending::Open).unwrap(), long);
    }

    #[test]
    fn answers_without_a_body_end_with_their_head() {
        let no_content = "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n";
        let expected = "HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(relay(no_content, false, Ending::Open).unwrap(), expected);
        let to_head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
        assert_eq!(relay(to_head, true, Ending::Open).unwrap(), to_head);
    }

    #[test]
    fn what_is_no_whole_answer_is_an_error() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
            "garbage\r\n\r\n",
        ] {
            assert!(relay(text, false, Ending::Open).is_err(), "{text:?}");
        }
    }
}
