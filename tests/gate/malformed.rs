//! Messages that are refused: each gets its status, one answer, and a closed connection, whatever follows it.
//!
//! The cases are those of the public probe for HTTP/1.1 servers (Http11Probe) and some of its neighbours.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use super::{answers, is_refusal, logs_in, not_found};
use crate::harness::{DEADLINE, LOGIN, Server};

/// What would be answered 404 if it were read as a request.
const SMUGGLED: &str = "GET /smuggled/ HTTP/1.1\r\nHost: localhost\r\n\r\n";

type Case = (&'static str, u16, Vec<u8>);

#[track_caller]
fn each_is_refused(cases: &[Case]) {
    let server = Server::demo();
    for (label, status, bytes) in cases {
        let answers = answers(&server, &[bytes, SMUGGLED.as_bytes()].concat());
        assert_eq!(answers.len(), 1, "{label}: {answers:?}");
        is_refusal(label, &answers[0], *status);
    }
    logs_in(&server);
}

fn case(label: &'static str, status: u16, text: impl AsRef<[u8]>) -> Case {
    (label, status, text.as_ref().to_vec())
}

/// A whole head with this request line.
fn line(label: &'static str, status: u16, line: &str) -> Case {
    case(label, status, format!("{line}\r\nHost: localhost\r\n\r\n"))
}

/// A GET with these bytes among its fields.
fn fields(label: &'static str, status: u16, fields: impl AsRef<[u8]>) -> Case {
    let start = b"GET / HTTP/1.1\r\nHost: localhost\r\n";
    case(label, status, [start, fields.as_ref(), b"\r\n"].concat())
}

/// A POST that tells its body in this way.
fn framed(label: &'static str, status: u16, fields: &str, body: &str) -> Case {
    let text = format!("POST {LOGIN} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n{body}");
    case(label, status, text)
}

fn chunked(label: &'static str, status: u16, body: &str) -> Case {
    framed(label, status, "Transfer-Encoding: chunked\r\n", body)
}

#[test]
fn request_lines() {
    each_is_refused(&[
        case("bare LF", 400, "GET / HTTP/1.1\nHost: localhost\r\n\r\n"),
        case("bare CR", 400, "GET / HTTP/1.1\rHost: localhost\r\n\r\n"),
        case("HTTP/0.9", 400, "GET /\r\n"),
        case("blanks only", 400, "   \r\n\r\n"),
        case("two empty lines", 400, format!("\r\n\r\n{SMUGGLED}")),
        case("HTTP/2 preface", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        case("a TLS greeting", 400, "\x16\x03\x01\x02\x00\x01"),
        case("binary", 400, [0x80, 0xFF, 0x00, 0x13, 0x37, 0xDE, 0xAD]),
        case(
            "NUL in the target",
            400,
            "GET /\0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        case(
            "overlong UTF-8",
            400,
            b"GET /\xC0\xAF HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        line("no target", 400, "GET HTTP/1.1"),
        line("an empty target", 400, "GET  HTTP/1.1"),
        line("two blanks", 400, "GET  / HTTP/1.1"),
        line("a tab", 400, "GET\t/ HTTP/1.1"),
        line("a blank in front", 400, " GET / HTTP/1.1"),
        line("a blank behind", 400, "GET / HTTP/1.1 "),
        line("a blank in the target", 400, "GET /a b HTTP/1.1"),
        line("a fragment", 400, "GET /#part HTTP/1.1"),
        line("a backslash", 400, "GET /a\\b HTTP/1.1"),
        line("a letter over 0x7F", 400, "GET /caf\u{e9} HTTP/1.1"),
        line("no slash", 400, "GET path HTTP/1.1"),
        line("GET *", 400, "GET * HTTP/1.1"),
        line("POST *", 400, "POST * HTTP/1.1"),
        line("CONNECT host", 400, "CONNECT a:443 HTTP/1.1"),
        line("CONNECT path", 400, "CONNECT / HTTP/1.1"),
        line("CONNECT URL", 400, "CONNECT http://a/ HTTP/1.1"),
        line("another scheme", 400, "GET ftp://a/ HTTP/1.1"),
        line("a URL with a user", 400, "GET http://user@a/ HTTP/1.1"),
        line("a URL without a host", 400, "GET http:///path HTTP/1.1"),
        line("brackets in the method", 400, "G[T / HTTP/1.1"),
        line("no method", 400, "/ HTTP/1.1"),
        line("a method without an end", 400, &"A".repeat(100_000)),
        line(
            "a target of 100 KB",
            431,
            &format!("GET /{} HTTP/1.1", "a".repeat(100_000)),
        ),
        line("HTTP/9.9", 505, "GET / HTTP/9.9"),
        line("HTTP/1.2", 505, "GET / HTTP/1.2"),
        line("HTTP/0.9 spelt out", 505, "GET / HTTP/0.9"),
        line("HTTP/2.0", 505, "GET / HTTP/2.0"),
        line("no minor version", 400, "GET / HTTP/1"),
        line("leading zeros", 400, "GET / HTTP/01.01"),
        line("a blank in the version", 400, "GET / HTTP/ 1.1"),
        line("small letters", 400, "GET / http/1.1"),
        line("two digits", 400, "GET / HTTP/1.10"),
        line("another protocol", 400, "GET / ICY/1.1"),
    ]);
}

#[test]
fn header_fields() {
    each_is_refused(&[
        fields("folded", 400, "X: a\r\n b\r\n"),
        fields("folded by a tab", 400, "X: a\r\n\tb\r\n"),
        fields("a blank before the colon", 400, "X : a\r\n"),
        fields("a tab before the colon", 400, "X\t: a\r\n"),
        fields("a tab in the name", 400, "Content\tLength: 5\r\n"),
        fields("no name", 400, ": a\r\n"),
        fields("no colon", 400, "X\r\n"),
        fields("brackets in the name", 400, "X[a]: a\r\n"),
        fields("letters over 0x7F in the name", 400, "X\u{eb}: a\r\n"),
        fields("bare LF", 400, "X: a\nY: b\r\n"),
        fields("bare LF as last end", 400, "X: a\r\n\nGET"),
        fields("bare CR", 400, "X: a\rb\r\n"),
        fields("NUL", 400, "X: a\0b\r\n"),
        fields("a control character", 400, "X: a\x01b\r\n"),
        fields("DEL", 400, "X: a\x7Fb\r\n"),
        case(
            "a blank before the first",
            400,
            "GET / HTTP/1.1\r\n Host: localhost\r\n\r\n",
        ),
        case("no Host", 400, "GET / HTTP/1.1\r\n\r\n"),
        case(
            "no Host, with others",
            400,
            "GET / HTTP/1.1\r\nX: a\r\n\r\n",
        ),
        fields("a second Host", 400, "Host: b\r\n"),
        fields("the same Host again", 400, "Host: localhost\r\n"),
        case(
            "two Hosts in HTTP/1.0",
            400,
            "GET / HTTP/1.0\r\nHost: localhost\r\nHost: b\r\n\r\n",
        ),
        fields("Expect", 417, "Expect: 200-ok\r\n"),
        fields("Expect and more", 417, "Expect: 100-continue, x\r\n"),
        fields("65 fields", 431, "X: a\r\n".repeat(64)),
        fields("10,000 fields", 431, "X: a\r\n".repeat(10_000)),
        fields(
            "a value of 100 KB",
            431,
            format!("X: {}\r\n", "a".repeat(100_000)),
        ),
        fields(
            "a name of 100 KB",
            431,
            format!("{}: a\r\n", "X".repeat(100_000)),
        ),
    ]);
}

#[test]
fn hosts() {
    let hosts = [
        "",
        "user@a",
        "a/path",
        "a, b",
        "a,b",
        "a b",
        "a:b",
        "a:65536",
        ":80",
        "[::1",
        "[a]",
        "a#b",
        "a?b",
        "a\\b",
        "http://a",
        "caf\u{e9}",
    ];
    let cases = hosts.map(|host| {
        let text = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
        (host, 400, text.into_bytes())
    });
    each_is_refused(&cases);
}

#[test]
fn lengths() {
    let lengths = [
        "",
        "+5",
        "-1",
        "-0",
        "5, 5",
        "5,5",
        "5, 6",
        "5, 5, 5",
        "1 0",
        "1_0",
        "0x5",
        "0o5",
        "05",
        "00",
        "0200",
        "five",
        "5x",
        "5.0",
        "99999999999999999999",
        "\u{b}5",
    ];
    let cases = lengths.map(|length| {
        let (label, status, bytes) =
            framed("", 400, &format!("Content-Length: {length}\r\n"), "hello");
        (if label.is_empty() { length } else { label }, status, bytes)
    });
    each_is_refused(&cases);
    each_is_refused(&[
        framed(
            "two",
            400,
            "Content-Length: 5\r\nContent-Length: 10\r\n",
            "helloworld",
        ),
        framed(
            "the same twice",
            400,
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "hello",
        ),
        framed(
            "a blank before the colon",
            400,
            "Content-Length : 5\r\n",
            "hello",
        ),
        framed("folded", 400, "Content-Length:\r\n 5\r\n", "hello"),
    ]);
}

#[test]
fn transfer_codings() {
    let (coding, length) = ("Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n");
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    let both = |first: &str, second: &str| format!("{first}{second}");
    each_is_refused(&[
        framed("unknown", 501, "Transfer-Encoding: gzip\r\n", ""),
        framed(
            "nearly chunked",
            501,
            "Transfer-Encoding: xchunked\r\n",
            chunks,
        ),
        framed("identity", 501, "Transfer-Encoding: identity\r\n", "hello"),
        framed(
            "unknown, with a length",
            400,
            &both("Transfer-Encoding: xchunked\r\n", length),
            "hello",
        ),
        framed(
            "identity, with a length",
            400,
            &both("Transfer-Encoding: identity\r\n", length),
            "hello",
        ),
        framed("length, then chunked", 400, &both(length, coding), chunks),
        framed("chunked, then length", 400, &both(coding, length), chunks),
        framed(
            "length 0 and chunked",
            400,
            &both("Content-Length: 0\r\n", coding),
            chunks,
        ),
        framed(
            "CHUNKED and a length",
            400,
            &both("Transfer-Encoding: CHUNKED\r\n", length),
            "hello",
        ),
        framed(
            "a bad length and chunked",
            400,
            &both("Content-Length: +5\r\n", coding),
            chunks,
        ),
        framed(
            "a letter in the length, and chunked",
            400,
            &both("Content-Length: 5x\r\n", coding),
            chunks,
        ),
        framed("twice", 400, &both(coding, coding), chunks),
        framed(
            "twice, with a length",
            400,
            &format!("{coding}{coding}{length}"),
            chunks,
        ),
        framed(
            "chunked and another",
            400,
            &both(coding, "Transfer-Encoding: gzip\r\n"),
            chunks,
        ),
        framed(
            "chunked twice in a list",
            400,
            "Transfer-Encoding: chunked, chunked\r\n",
            chunks,
        ),
        framed(
            "chunked not last",
            400,
            "Transfer-Encoding: chunked, gzip\r\n",
            chunks,
        ),
        framed(
            "chunked not alone",
            400,
            "Transfer-Encoding: gzip, chunked\r\n",
            chunks,
        ),
        framed("empty", 400, "Transfer-Encoding:\r\n", chunks),
        framed(
            "a leading comma",
            400,
            "Transfer-Encoding: , chunked\r\n",
            chunks,
        ),
        framed(
            "a trailing comma",
            400,
            "Transfer-Encoding: chunked,\r\n",
            chunks,
        ),
        framed(
            "parameters",
            400,
            "Transfer-Encoding: chunked;a=b\r\n",
            chunks,
        ),
        framed("quoted", 400, "Transfer-Encoding: \"chunked\"\r\n", chunks),
        framed(
            "a vertical tab",
            400,
            "Transfer-Encoding: \x0Bchunked\r\n",
            chunks,
        ),
        framed(
            "a form feed",
            400,
            "Transfer-Encoding: \x0Cchunked\r\n",
            chunks,
        ),
        framed("NUL", 400, "Transfer-Encoding: chunked\0\r\n", chunks),
        framed("folded", 400, "Transfer-Encoding:\r\n chunked\r\n", chunks),
        framed(
            "folded, with a length",
            400,
            &both("Transfer-Encoding:\r\n chunked\r\n", length),
            "hello",
        ),
        framed(
            "a blank before the colon",
            400,
            "Transfer-Encoding : chunked\r\n",
            chunks,
        ),
        case(
            "in HTTP/1.0",
            400,
            format!("POST {LOGIN} HTTP/1.0\r\nHost: localhost\r\n{coding}\r\n{chunks}"),
        ),
        case(
            "OPTIONS, folded, with a length",
            400,
            format!(
                "OPTIONS / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding:\r\n chunked\r\n{length}\r\nhello"
            ),
        ),
        // One reader takes the length, another the chunks; what is over for one is a request for the other.
        framed(
            "a request behind the chunks",
            400,
            &both("Content-Length: 45\r\n", coding),
            &format!("0\r\n\r\n{SMUGGLED}"),
        ),
        framed(
            "a request in a chunk",
            400,
            &both(coding, "Content-Length: 4\r\n"),
            &format!("27\r\n{SMUGGLED}\r\n0\r\n\r\n"),
        ),
    ]);
}

#[test]
fn chunks() {
    each_is_refused(&[
        chunked("no size", 400, "\r\nhello\r\n0\r\n\r\n"),
        chunked("a plus", 400, "+5\r\nhello\r\n0\r\n\r\n"),
        chunked("a minus", 400, "-5\r\nhello\r\n0\r\n\r\n"),
        chunked("plus nothing", 400, "+0\r\n\r\nX"),
        chunked("0x", 400, "0x5\r\nhello\r\n0\r\n\r\n"),
        chunked("an underscore", 400, "1_0\r\nhello world 1234\r\n0\r\n\r\n"),
        chunked("a blank in front", 400, " 5\r\nhello\r\n0\r\n\r\n"),
        chunked("a blank behind", 400, "5 \r\nhello\r\n0\r\n\r\n"),
        chunked("a tab behind", 400, "5\t\r\nhello\r\n0\r\n\r\n"),
        chunked(
            "too large to count",
            400,
            "FFFFFFFFFFFFFFFF0\r\nhello\r\n0\r\n\r\n",
        ),
        chunked("not hexadecimal", 400, "g\r\nhello\r\n0\r\n\r\n"),
        chunked("a semicolon alone", 400, "5;\r\nhello\r\n0\r\n\r\n"),
        chunked(
            "an extension that is none",
            400,
            "5;bad[=x\r\nhello\r\n0\r\n\r\n",
        ),
        chunked("NUL in an extension", 400, "5;a\0b\r\nhello\r\n0\r\n\r\n"),
        chunked(
            "bare CR in an extension",
            400,
            "5;a\rX\r\nhello\r\n0\r\n\r\n",
        ),
        chunked(
            "bare LF in an extension",
            400,
            "5;a\nX\r\nhello\r\n0\r\n\r\n",
        ),
        chunked(
            "an extension of 64 KB",
            431,
            &format!("5;a={}\r\nhello\r\n0\r\n\r\n", "a".repeat(65_536)),
        ),
        chunked("bare CR behind the size", 400, "5\rhello\r\n0\r\n\r\n"),
        chunked("bare LF behind the size", 400, "5\nhello\r\n0\r\n\r\n"),
        chunked("bare LF behind the data", 400, "5\r\nhello\n0\r\n\r\n"),
        chunked("nothing behind the data", 400, "5\r\nhello0\r\n\r\n"),
        chunked("more data than the size", 400, "5\r\nhelloXX\r\n0\r\n\r\n"),
        chunked("bare LF as the end", 400, "5\r\nhello\r\n0\r\n\n"),
        chunked(
            "bare LF behind a trailer",
            400,
            "5\r\nhello\r\n0\r\nX: a\n\r\n",
        ),
        chunked("a request as trailer", 400, &format!("0\r\n{SMUGGLED}")),
        chunked(
            "65 trailers",
            431,
            &format!("0\r\n{}\r\n", "X: a\r\n".repeat(65)),
        ),
        chunked(
            "a trailer of 100 KB",
            431,
            &format!("0\r\nX: {}\r\n\r\n", "a".repeat(100_000)),
        ),
    ]);
}

#[test]
fn a_request_that_ends_in_the_middle() {
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
fn what_was_answered_before_stays_answered() {
    let server = Server::demo();
    let bytes = [not_found(), b"GET / HTTP/1.1\r\n\r\n".to_vec(), not_found()].concat();
    let answers = answers(&server, &bytes);
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [404, 400]);
}
