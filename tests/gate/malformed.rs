//! Malformed messages: each gets one answer with its status, and the connection is closed, whatever follows.
//!
//! A few examples of each kind; the complete tables are unit tests of the parser.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::{answers, assert_logs_in, assert_refusal, not_found};
use crate::harness::{DEADLINE, LOGIN, Server};

/// Bytes that would be answered 404 if they were read as a request.
const SMUGGLED: &str = "GET /smuggled/ HTTP/1.1\r\nHost: localhost\r\n\r\n";

type Case = (&'static str, u16, Vec<u8>);

fn case(label: &'static str, status: u16, text: impl AsRef<[u8]>) -> Case {
    (label, status, text.as_ref().to_vec())
}

/// A GET with these bytes among its header fields.
fn fields(label: &'static str, status: u16, fields: impl AsRef<[u8]>) -> Case {
    let start = b"GET / HTTP/1.1\r\nHost: localhost\r\n";
    case(label, status, [start, fields.as_ref(), b"\r\n"].concat())
}

/// A POST with these header fields, which determine the length of the body.
fn framed(label: &'static str, status: u16, fields: &str, body: &str) -> Case {
    let text = format!("POST {LOGIN} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}");
    case(label, status, text)
}

fn chunked(label: &'static str, status: u16, body: &str) -> Case {
    framed(label, status, "Transfer-Encoding: chunked\r\n", body)
}

fn heads() -> Vec<Case> {
    let line =
        |label, status, line| case(label, status, format!("{line}\r\nHost: localhost\r\n\r\n"));
    vec![
        case("bare LF", 400, "GET / HTTP/1.1\nHost: localhost\r\n\r\n"),
        case("HTTP/0.9", 400, "GET /\r\n"),
        case("two empty lines", 400, format!("\r\n\r\n{SMUGGLED}")),
        case("HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        case("binary", 400, [0x80, 0xFF, 0x00, 0x13, 0x37, 0xDE, 0xAD]),
        case("no end", 400, "A".repeat(100_000)),
        line("a blank in the target", 400, "GET /a b HTTP/1.1"),
        line("CONNECT", 400, "CONNECT a:443 HTTP/1.1"),
        line("another version", 505, "GET / HTTP/1.2"),
        line("another protocol", 400, "GET / ICY/1.1"),
        case("no Host", 400, "GET / HTTP/1.1\r\n\r\n"),
        case("a bad Host", 400, "GET / HTTP/1.1\r\nHost: user@a\r\n\r\n"),
        fields("a second Host", 400, "Host: localhost\r\n"),
        fields("folded by a tab", 400, "X: a\r\n\tb\r\n"),
        fields("a tab before the colon", 400, "X\t: a\r\n"),
        fields("a tab in the name", 400, "Content\tLength: 5\r\n"),
        fields("bare LF between fields", 400, "X: a\nY: b\r\n"),
        fields("NUL", 400, "X: a\0b\r\n"),
        fields("Expect", 417, "Expect: 200-ok\r\n"),
        fields("10,000 fields", 431, "X: a\r\n".repeat(10_000)),
        fields(
            "a long name",
            431,
            format!("{}: a\r\n", "X".repeat(100_000)),
        ),
    ]
}

fn bodies() -> Vec<Case> {
    let coding = "Transfer-Encoding: chunked\r\n";
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let two_lengths = "Content-Length: 5\r\nContent-Length: 10\r\n";
    let length_and_coding = |length| format!("Content-Length: {length}\r\n{coding}");
    vec![
        framed("a signed length", 400, "Content-Length: +5\r\n", "hello"),
        framed(
            "a list of lengths",
            400,
            "Content-Length: 5, 6\r\n",
            "hello",
        ),
        framed("two lengths", 400, two_lengths, "helloworld"),
        framed("a folded length", 400, "Content-Length:\r\n 5\r\n", "hello"),
        framed("a length and chunks", 400, &length_and_coding("0"), chunks),
        framed(
            "a bad length and chunks",
            400,
            &length_and_coding("5x"),
            chunks,
        ),
        framed("an unknown coding", 501, "Transfer-Encoding: gzip\r\n", ""),
        framed("chunked twice", 400, &coding.repeat(2), chunks),
        framed(
            "chunked not last",
            400,
            "Transfer-Encoding: chunked, gzip\r\n",
            chunks,
        ),
        framed(
            "a form feed",
            400,
            "Transfer-Encoding: \x0Cchunked\r\n",
            chunks,
        ),
        case(
            "chunked in HTTP/1.0",
            400,
            format!("POST {LOGIN} HTTP/1.0\r\nHost: localhost\r\n{coding}\r\n{chunks}"),
        ),
        // One reader uses the length, another the chunks: the rest of the body for one is a request for the other.
        framed(
            "a request behind the chunks",
            400,
            &length_and_coding("45"),
            &format!("0\r\n\r\n{SMUGGLED}"),
        ),
        framed(
            "a request in a chunk",
            400,
            &length_and_coding("4"),
            &format!("27\r\n{SMUGGLED}\r\n0\r\n\r\n"),
        ),
        chunked("a signed chunk size", 400, "+0\r\n\r\nX"),
        chunked("a tab behind the size", 400, "5\t\r\nhello\r\n0\r\n\r\n"),
        chunked("NUL in an extension", 400, "5;a\0b\r\nhello\r\n0\r\n\r\n"),
        chunked("bare LF behind the size", 400, "5\nhello\r\n0\r\n\r\n"),
        chunked("more data than the size", 400, "5\r\nhelloXX\r\n0\r\n\r\n"),
        chunked("a request as trailer", 400, &format!("0\r\n{SMUGGLED}")),
        chunked(
            "a long extension",
            431,
            &format!("5;a={}\r\nhello\r\n0\r\n\r\n", "a".repeat(65_536)),
        ),
        chunked(
            "65 trailers",
            431,
            &format!("0\r\n{}\r\n", "X: a\r\n".repeat(65)),
        ),
    ]
}

#[test]
fn each_malformed_request_is_refused_and_nothing_after_it_is_read() {
    let server = Server::demo();
    for (label, status, bytes) in heads().into_iter().chain(bodies()) {
        let answers = answers(&server, &[&bytes, SMUGGLED.as_bytes()].concat());
        assert_eq!(answers.len(), 1, "{label}: {answers:?}");
        assert_refusal(label, &answers[0], status);
    }
    assert_logs_in(&server);
}

#[test]
fn a_request_that_ends_in_the_middle_is_answered_400_and_closed() {
    let server = Server::demo();
    for (label, bytes) in [
        ("in the request line", "GET / HT"),
        ("in the head", "GET / HTTP/1.1\r\nHost: localhost\r\n"),
        (
            "in the body",
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello",
        ),
        (
            "in a chunk",
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        ),
        (
            "before the last chunk",
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        ),
    ] {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{label}: {answer}");
        assert!(
            answer.contains("\r\nConnection: close\r\n"),
            "{label}: {answer}"
        );
    }
}

#[test]
fn a_refusal_to_head_has_no_body() {
    let server = Server::demo();
    let mut connection = server.connect();
    connection.send("HEAD / HTTP/1.1\r\n\r\n");
    let answer = connection.answer_to_head();
    assert_eq!(answer.status, 400);
    assert_ne!(answer.header("content-length"), Some("0"));
    assert!(connection.answer_or_end().is_none());
}

#[test]
fn answers_before_a_malformed_request_are_still_sent() {
    let server = Server::demo();
    let bytes = [not_found(), b"GET / HTTP/1.1\r\n\r\n".to_vec(), not_found()].concat();
    let answers = answers(&server, &bytes);
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [404, 400]);
}
