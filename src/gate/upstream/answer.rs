//! Reads the server's answers and rewrites them for the client.
//!
//! A short answer is read completely before its first byte is sent to the client, so that a slow reader holds no connection
//! to the server. A long answer is read only in part, and the rest is relayed in pieces. Fields about the connection are not
//! relayed, nor is `Server`, which would name the HTTP library.
//!
//! Response fields whose names start with [`RESERVED_PREFIX`](crate::gate::RESERVED_PREFIX) are instructions of the server
//! to the gate. They never reach a client: [`ServerAnswer::read`] parses and removes them, `Connection::relay` follows them.

use std::io::{self, Read};

use super::instructions::Instructions;
use crate::gate::http::connection_option::ConnectionOption;
use crate::gate::http::input::Input;
use crate::gate::http::normal::is_reserved;
use crate::gate::http::wiped::Wiped;

/// Bodies of up to this length, in bytes, are read completely before they are sent.
pub const MAX_WHOLE_BYTES: usize = 64 * 1024;
/// Maximum length of an answer's head, in bytes; far above that of any correct answer.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Maximum number of header fields in an answer; more than any answer has.
const MAX_FIELDS: usize = 48;

const END_OF_HEAD: &[u8] = b"\r\n";

/// Fields of the server's answer that are not relayed to the client.
const DROPPED: [&str; 5] = [
    "Server",
    "Connection",
    "Keep-Alive",
    "Transfer-Encoding",
    "Upgrade",
];

/// An answer of the server: complete, or with a part of the body still to be read.
pub(crate) struct ServerAnswer {
    /// The answer as the client gets it if the connection stays open, as far as it was read.
    bytes: Wiped,
    /// The offset of the empty line that ends the head.
    fields_end: usize,
    /// The number of bytes of the body that were not read yet.
    rest: usize,
    instructions: Instructions,
}

/// Why no answer could be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The connection failed, or the answer took too long.
    #[error("the answer did not arrive")]
    Read(#[from] io::Error),
    /// The server sent something other than an HTTP answer with a length.
    #[error("the answer is malformed: {0}")]
    Malformed(&'static str),
}

impl ServerAnswer {
    /// Reads an answer, a long one only in part. `to_head` says that it answers a HEAD request and so has no body. Bytes
    /// after the end of the answer are an error.
    pub(crate) fn read(mut from: impl Read, to_head: bool) -> Result<Self, Error> {
        let mut input = Input::new();
        let head = loop {
            if let Some(head) = Head::parse(input.unread(), to_head)? {
                break head;
            }
            if input.unread().len() > MAX_HEAD_BYTES {
                return Err(Error::Malformed("its head is too long"));
            }
            if read_some(&mut input, &mut from)? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        };
        let total = head.bytes.saturating_add(head.body_bytes);
        let here = input.unread().len().min(total);
        let is_long = head.body_bytes > MAX_WHOLE_BYTES;
        let held = if is_long { here } else { total };
        let (mut bytes, fields_end) = (head.to_client, head.fields_end);
        bytes.extend_from_slice(&input.unread()[head.bytes..here]);
        input.consume(here);
        let mut answer = Self {
            bytes,
            fields_end,
            rest: total - here,
            instructions: head.instructions,
        };
        answer.read_more(held - here, from)?;
        if !input.is_empty() {
            return Err(Error::Malformed(
                "its body is longer than its Content-Length",
            ));
        }
        Ok(answer)
    }

    fn read_more(&mut self, more: usize, mut from: impl Read) -> Result<(), Error> {
        let filled = self.bytes.len();
        self.bytes.resize(filled + more);
        from.read_exact(&mut self.bytes[filled..])?;
        self.rest -= more;
        Ok(())
    }

    /// The answer as the client gets it, as far as it was read, with this connection option.
    pub(crate) fn into_bytes(self, option: ConnectionOption) -> Wiped {
        let line = option.line();
        if line.is_empty() {
            return self.bytes;
        }
        let mut bytes = Wiped::with_capacity(self.bytes.len() + line.len());
        let (fields, rest) = self.bytes.split_at(self.fields_end);
        for part in [fields, line.as_bytes(), rest] {
            bytes.extend_from_slice(part);
        }
        bytes
    }

    /// The server's instructions to the gate.
    pub(crate) fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// The number of bytes of the body that were read.
    pub(crate) fn held(&self) -> usize {
        self.bytes.len() - self.fields_end - END_OF_HEAD.len()
    }

    /// The number of bytes of the body that the server still has to send.
    pub(crate) fn rest(&self) -> usize {
        self.rest
    }
}

fn read_some(input: &mut Input, mut from: impl Read) -> io::Result<usize> {
    loop {
        match input.fill(|buffer| from.read(buffer)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The parsed head of an answer.
struct Head {
    /// The length of the head.
    bytes: usize,
    body_bytes: usize,
    /// The head as the client gets it, including the empty line.
    to_client: Wiped,
    fields_end: usize,
    instructions: Instructions,
}

impl Head {
    /// Parses a head; `None` if it is not complete yet.
    fn parse(bytes: &[u8], to_head: bool) -> Result<Option<Self>, Error> {
        // Not on the stack: the thread of every idle connection would keep another page.
        let mut fields = vec![httparse::EMPTY_HEADER; MAX_FIELDS];
        let mut response = httparse::Response::new(&mut fields);
        let head_bytes = match response.parse(bytes) {
            Ok(httparse::Status::Complete(bytes)) => bytes,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(Error::Malformed("it is not HTTP")),
        };
        let code = response.code.unwrap_or_default();
        let body_bytes = match code {
            _ if to_head => 0,
            204 | 304 => 0,
            _ => content_length(response.headers)
                .ok_or(Error::Malformed("it has no Content-Length"))?,
        };
        let mut to_client = for_client(code, response.reason.unwrap_or_default(), response.headers);
        let fields_end = to_client.len();
        to_client.extend_from_slice(END_OF_HEAD);
        Ok(Some(Self {
            bytes: head_bytes,
            body_bytes,
            to_client,
            fields_end,
            instructions: Instructions::from_fields(response.headers),
        }))
    }
}

fn content_length(fields: &[httparse::Header<'_>]) -> Option<usize> {
    let field = fields
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("Content-Length"))?;
    std::str::from_utf8(field.value).ok()?.parse().ok()
}

fn for_client(code: u16, reason: &str, fields: &[httparse::Header<'_>]) -> Wiped {
    let mut head = Wiped::with_capacity(512);
    head.extend_from_slice(format!("HTTP/1.1 {code} {reason}\r\n").as_bytes());
    for field in fields {
        // RFC 9110, 8.6: a 204 has no Content-Length, and a 304 must not have a wrong one; tiny_http adds one to both.
        let of_no_content =
            matches!(code, 204 | 304) && field.name.eq_ignore_ascii_case("Content-Length");
        let dropped = DROPPED
            .iter()
            .any(|name| name.eq_ignore_ascii_case(field.name));
        if dropped || of_no_content || is_reserved(field.name) {
            continue;
        }
        for part in [field.name.as_bytes(), b": ", field.value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reader that returns one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let one = self.0.len().min(1).min(buffer.len());
            self.0.read(&mut buffer[..one])
        }
    }

    fn relay(text: &str, to_head: bool, option: ConnectionOption) -> Result<String, Error> {
        let out = ServerAnswer::read(text.as_bytes(), to_head)?.into_bytes(option);
        let dripped = ServerAnswer::read(Drip(text.as_bytes()), to_head)?.into_bytes(option);
        assert_eq!(*out, *dripped);
        Ok(String::from_utf8(out.to_vec()).unwrap())
    }

    #[test]
    fn fields_between_gate_and_server_do_not_reach_the_client() {
        let text = "HTTP/1.1 200 OK\r\nServer: tiny-http (Rust)\r\nDate: now\r\nX-Gate-Instructions: a\r\nKeep-Alive: 1\r\n\
                    Content-Length: 2\r\n\r\n{}";
        let shown = "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 2\r\n";
        for (option, line) in [
            (ConnectionOption::Open, ""),
            (ConnectionOption::KeepAlive, "Connection: keep-alive\r\n"),
            (ConnectionOption::Close, "Connection: close\r\n"),
        ] {
            let expected = format!("{shown}{line}\r\n{{}}");
            assert_eq!(relay(text, false, option).unwrap(), expected);
        }
        let long = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n{}",
            "x".repeat(9000)
        );
        assert_eq!(relay(&long, false, ConnectionOption::Open).unwrap(), long);
    }

    #[test]
    fn answers_without_a_body_end_with_their_head() {
        for line in ["HTTP/1.1 204 No Content", "HTTP/1.1 304 Not Modified"] {
            let no_content = format!("{line}\r\nContent-Length: 0\r\n\r\n");
            let expected = format!("{line}\r\n\r\n");
            assert_eq!(
                relay(&no_content, false, ConnectionOption::Open).unwrap(),
                expected
            );
        }
        let to_head = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n";
        assert_eq!(
            relay(to_head, true, ConnectionOption::Open).unwrap(),
            to_head
        );
    }

    #[test]
    fn only_the_first_part_of_a_long_answer_is_held() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
        let text = head.to_owned() + &"x".repeat(1_000_000);
        let mut from = text.as_bytes();
        let answer = ServerAnswer::read(&mut from, false).unwrap();
        assert!(answer.bytes.len() <= MAX_WHOLE_BYTES);
        assert_eq!(answer.rest(), from.len());
        let held = text.len() - from.len();
        assert_eq!(
            &*answer.into_bytes(ConnectionOption::Open),
            &text.as_bytes()[..held]
        );
    }

    #[test]
    fn an_incomplete_or_malformed_answer_is_an_error() {
        for text in [
            "",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "garbage\r\n\r\n",
        ] {
            assert!(
                relay(text, false, ConnectionOption::Open).is_err(),
                "{text:?}"
            );
        }
    }
}
