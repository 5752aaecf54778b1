//! Messages that are unusual but valid: they are understood, and the next request on the connection is read from its start.
//! The complete tables are unit tests of the parser.

use super::{login, not_found};
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{LOGIN, Server, login_body, request};

/// A login with these header fields, which determine the length of its body.
fn login_with(fields: &str, body: &str) -> String {
    format!(
        "POST {LOGIN} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{fields}\r\n{body}"
    )
}

fn with_length(fields: &str) -> String {
    let body = login_body(JWEIR, PASSWORD);
    login_with(
        &format!("Content-Length: {}\r\n{fields}", body.len()),
        &body,
    )
}

/// A login whose body has two chunks; `size` formats the line with the size of a chunk.
fn in_chunks(size: impl Fn(usize) -> String, end: &str) -> String {
    let body = login_body(JWEIR, PASSWORD);
    let (first, second) = body.split_at(26);
    let chunk = |part: &str| format!("{}\r\n{part}\r\n", size(part.len()));
    let body = format!("{}{}{end}", chunk(first), chunk(second));
    login_with("Transfer-Encoding: chunked\r\n", &body)
}

#[test]
fn each_unusual_request_is_understood_and_so_is_the_next_one() {
    let plain = |size| format!("{size:x}");
    let server = Server::demo();
    for (label, status, bytes) in [
        (
            "an unknown method",
            405,
            format!("BREW {LOGIN} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ),
        (
            "TRACE with a body",
            405,
            format!("TRACE {LOGIN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"),
        ),
        (
            "OPTIONS of the server",
            404,
            "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        ),
        (
            "OPTIONS with a body",
            405,
            format!(
                "OPTIONS {LOGIN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello"
            ),
        ),
        (
            "GET with a body",
            405,
            format!(
                "GET {LOGIN} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 14\r\n\r\nGET / HTTP/1.1"
            ),
        ),
        (
            "an escaped line end",
            404,
            "GET /%0d%0aX:%20a HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
        ),
        (
            "no body and no length",
            415,
            format!("POST {LOGIN} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ),
        ("length 0", 400, login_with("Content-Length: 0\r\n", "")),
        (
            "bytes over 0x7F in a value",
            200,
            with_length("X: caf\u{e9}\r\n"),
        ),
        (
            "an upgrade",
            200,
            with_length(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 99\r\n",
            ),
        ),
        ("a range", 200, with_length("Range: bytes=0-10,999-\r\n")),
        (
            "a body on its way that need not be asked for",
            200,
            with_length("Expect: 100-continue\r\n"),
        ),
        (
            "extensions",
            200,
            in_chunks(
                |size| format!("{size:x};a;b=c;d=\"e;\\\"f\""),
                "0;last\r\n\r\n",
            ),
        ),
        (
            "framing as trailers",
            200,
            in_chunks(
                plain,
                "0\r\nContent-Length: 99\r\nTransfer-Encoding: gzip\r\n\r\n",
            ),
        ),
        (
            "a host and a token as trailers",
            200,
            in_chunks(plain, "0\r\nHost: b\r\nAuthorization: Token 0\r\n\r\n"),
        ),
        (
            "a tab before chunked",
            200,
            in_chunks(plain, "0\r\n\r\n").replace(": chunked", ":\tchunked\t"),
        ),
    ] {
        let mut connection = server.connect();
        connection.send([bytes.as_bytes(), &not_found()].concat());
        let answer = connection.answer();
        assert_eq!(answer.status, status, "{label}: {answer:?}");
        assert_eq!(answer.header("connection"), None, "{label}");
        assert_eq!(connection.answer().status, 404, "{label}, and the next");
    }
}

#[test]
fn head_is_answered_with_the_head_of_get() {
    let server = Server::demo();
    let mut connection = server.connect();
    for path in ["/nothing-here/", LOGIN] {
        connection.send(request("GET", path, &[], ""));
        let get = connection.answer();
        connection.send(request("HEAD", path, &[], ""));
        let head = connection.answer_to_head();
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.body, b"");
    }
    connection.send(login());
    connection.answer().token();
}

#[test]
fn an_http_1_0_connection_is_kept_open_only_on_request() {
    let server = Server::demo();
    let mut connection = server.connect();
    for _ in 0..2 {
        connection.send("GET /nothing-here/ HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
        let answer = connection.answer();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("connection"), Some("keep-alive"));
    }
    connection.send("GET /nothing-here/ HTTP/1.0\r\n\r\n");
    assert_eq!(connection.answer().header("connection"), Some("close"));
    assert!(connection.answer_or_end().is_none());
}

#[test]
fn http_1_0_never_gets_100_continue() {
    let server = Server::demo();
    let body = login_body(JWEIR, PASSWORD);
    let mut connection = server.connect();
    connection.send(format!(
        "POST {LOGIN} HTTP/1.0\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    ));
    server.answers_something_else();
    assert!(!connection.is_answered());
    connection.send(body);
    connection.answer().token();
}

#[test]
fn every_answer_has_the_same_headers_and_none_names_a_library() {
    let server = Server::demo();
    for bytes in [
        login(),
        not_found(),
        request("GET", LOGIN, &[], ""),
        request("POST", LOGIN, &[], "{}"),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
    ] {
        let answer = server.send(bytes);
        for (name, value) in [
            ("content-type", "application/json"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
        assert!(answer.header("content-length").is_some(), "{answer:?}");
        let date = answer.header("date").unwrap();
        assert!(date.len() == 29 && date.ends_with(" GMT"), "{date}");
        for unwanted in ["server", "transfer-encoding", "x-gate-peer"] {
            assert_eq!(answer.header(unwanted), None);
        }
        assert!(!format!("{answer:?}").to_lowercase().contains("tiny"));
    }
}

#[test]
fn fields_with_the_gates_own_names_are_ignored_from_a_client() {
    let server = Server::demo_with(&["--failed-logins-per-address", "1"]);
    let wrong = |peer: &str| {
        let fields = [
            ("Content-Type", "application/json"),
            ("X-Gate-Peer", peer),
            ("X-Gate-Body-Too-Large", "1"),
            ("X-Gate-Warm-Up", "1"),
            ("X-Gate-Encoded-X-Forwarded-For", "192.0.2.9"),
        ];
        server
            .send(request("POST", LOGIN, &fields, login_body(JWEIR, "wrong")))
            .status
    };
    assert_eq!(wrong("192.0.2.1"), 401);
    assert_eq!(wrong("192.0.2.2"), 429, "it is one address all the same");
}
