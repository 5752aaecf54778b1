//! The traces of a refused request: the log line, the metric, the entry in the stub's journal, and the answer that a web
//! page may read.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::assert_refusal;
use crate::harness::accounts::{self, JWEIR};
use crate::harness::{Answer, LOGIN, Place, Server, eventually, request};

const PAGE: &str = "http://localhost:3000";
const SECRET: &str = "s3cretly";

/// A request that is refused, and the parts of it that can be read.
struct Case {
    label: &'static str,
    status: u16,
    bytes: Vec<u8>,
    method: Option<&'static str>,
    path: Option<&'static str>,
    /// Whether its `Origin` field arrived before the error.
    has_origin: bool,
}

fn case(label: &'static str, status: u16, bytes: impl AsRef<[u8]>) -> Case {
    Case {
        label,
        status,
        bytes: bytes.as_ref().to_vec(),
        method: Some("POST"),
        path: Some(LOGIN),
        has_origin: true,
    }
}

/// A login call from a web page, with these additional header fields and this body.
fn from_page(fields: &str, body: &str) -> String {
    let origin = format!("Origin: {PAGE}\r\nAuthorization: Token {SECRET}\r\n");
    format!(
        "POST {LOGIN}?password={SECRET} HTTP/1.1\r\nHost: localhost\r\n{origin}{fields}\r\n{body}"
    )
}

fn cases() -> Vec<Case> {
    let body = format!(r#"{{"username":"a","password":"{SECRET}"#);
    let line = |line: &str| format!("{line}\r\nHost: localhost\r\nOrigin: {PAGE}\r\n\r\n");
    let unread = |case: Case| Case {
        method: None,
        path: None,
        has_origin: false,
        ..case
    };
    vec![
        case("two hosts", 400, from_page("Host: b\r\n", "")),
        case("a field name", 400, from_page("A b: c\r\n", "")),
        case("a folded field", 400, from_page("A: b\r\n c\r\n", "")),
        case("a NUL", 400, from_page("A: \0\r\n", "")),
        case("a bare LF", 400, from_page("A: b\n", "")),
        case("a length", 400, from_page("Content-Length: 1, 1\r\n", "")),
        case(
            "a chunk size",
            400,
            from_page("Transfer-Encoding: chunked\r\n", &format!("{body}\r\n")),
        ),
        case("cut off in the head", 400, from_page("A: b", "")),
        case(
            "cut off in the body",
            400,
            from_page("Content-Length: 99\r\n", &body),
        ),
        case("an expectation", 417, from_page("Expect: b\r\n", &body)),
        case("65 fields", 431, from_page(&"A: b\r\n".repeat(65), "")),
        case(
            "a long head",
            431,
            from_page(&format!("A: {}\r\n", "b".repeat(16_384)), ""),
        ),
        case(
            "a coding",
            501,
            from_page("Transfer-Encoding: gzip\r\n", &body),
        ),
        Case {
            has_origin: false,
            ..case("a version", 505, line(&format!("POST {LOGIN} HTTP/2.0")))
        },
        Case {
            method: Some("GET"),
            path: None,
            has_origin: false,
            ..case("a blank in the target", 400, line("GET /api/a b HTTP/1.1"))
        },
        unread(case("no method", 400, line("G(T / HTTP/1.1"))),
        unread(case(
            "a body without a length",
            400,
            format!("{body}\"}}\r\n"),
        )),
        unread(case("TLS", 400, b"\x16\x03\x01\x02\x00\x01\x00")),
    ]
}

/// Sends the request and closes the writing side; the answer may come before or after that.
#[track_caller]
fn refused(server: &Server, case: &Case) -> Answer {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    let _ = connection.write_all(&case.bytes);
    let _ = connection.shutdown(Shutdown::Write);
    let mut text = Vec::new();
    connection.read_to_end(&mut text).unwrap();
    parse(&String::from_utf8(text).unwrap())
}

fn parse(text: &str) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let fields = head.split("\r\n").skip(1);
    Answer {
        status: head[9..12].parse().unwrap(),
        headers: fields
            .map(|line| line.split_once(": ").unwrap())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: body.into(),
    }
}

#[track_caller]
fn may_be_read(label: &str, answer: &Answer, origin: Option<&str>) {
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, origin, "{label}: {answer:?}");
    assert_eq!(answer.header("vary"), origin.map(|_| "Origin"), "{label}");
    let exposed = answer.header("access-control-expose-headers");
    assert_eq!(exposed.is_some(), origin.is_some(), "{label}");
}

fn journal(server: &Server) -> Vec<Value> {
    let answer = server.send(request("GET", "/__stub/requests/", &[], ""));
    assert!(!answer.text().contains(SECRET), "{answer:?}");
    answer.json()["requests"].as_array().unwrap().clone()
}

/// How many requests without an endpoint were answered with a status, according to the metrics.
fn counted(server: &Server, status: u16) -> f64 {
    let name = format!("thanos_login_requests_total{{route=\"other\",status=\"{status}\"}} ");
    let answer = server.send(request("GET", "/metrics", &[], ""));
    let mut lines = answer.text().lines();
    let count = lines.find_map(|line| line.strip_prefix(&name));
    count.map_or(0.0, |count| count.parse().unwrap())
}

#[test]
fn each_refused_request_is_logged_counted_kept_by_the_stub_and_readable_for_its_page() {
    let server = Server::demo_with(&["--metrics", "--log-format", "json"]);
    let cases = cases();
    for case in &cases {
        let label = case.label;
        let before = counted(&server, case.status);
        let answer = refused(&server, case);
        assert_refusal(label, &answer, case.status);
        may_be_read(label, &answer, case.has_origin.then_some(PAGE));
        assert_eq!(counted(&server, case.status), before + 1.0, "{label}");

        let kept = journal(&server);
        let kept = kept.last().unwrap();
        assert_eq!(kept["method"], case.method.unwrap_or_default(), "{label}");
        let path = kept["path"].as_str().unwrap();
        assert_eq!(path.split('?').next(), case.path.or(Some("")), "{label}");
        assert_eq!(kept["status"], case.status, "{label}");
        assert_eq!(kept["body"], "", "{label}");
        let has_origin = case.has_origin.then_some(PAGE);
        assert_eq!(kept["headers"]["Origin"].as_str(), has_origin, "{label}");
        if case.has_origin {
            assert_eq!(
                kept["headers"]["Authorization"], "Token [redacted]",
                "{label}"
            );
        }
        assert!(kept["duration_ms"].is_number(), "{label}");
    }
    assert_eq!(journal(&server).len(), cases.len());

    let log = server.stop().stderr;
    assert!(!log.contains(SECRET), "{log}");
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["detail"].is_string())
        .collect();
    assert_eq!(lines.len(), cases.len(), "{log}");
    for (line, case) in lines.iter().zip(&cases) {
        assert_eq!(line["level"], "INFO", "{line}");
        assert_eq!(line["message"], "request", "{line}");
        assert_eq!(line["method"].as_str(), case.method, "{line}");
        assert_eq!(line["path"].as_str(), case.path, "{line}");
        assert_eq!(line["status"], case.status, "{line}");
        assert_eq!(line["client"], "127.0.0.1", "{line}");
        assert!(line["duration_ms"].is_number(), "{line}");
    }
}

#[test]
fn a_request_that_is_too_slow_is_logged_and_a_connection_without_one_is_not() {
    let flags = [
        "--request-timeout",
        "200ms",
        "--idle-timeout",
        "200ms",
        "--metrics",
    ];
    let server = Server::demo_with(&flags);
    for silent in ["", "\r\n"] {
        let mut connection = server.connect();
        connection.send(silent);
        assert_eq!(connection.rest(), b"", "{silent:?}");
    }
    assert_eq!((journal(&server).len(), counted(&server, 408)), (0, 0.0));
    for bytes in [
        format!("POST {LOGIN} HTTP/1.1\r\nOrigin: {PAGE}\r\nHost: "),
        from_page("Content-Length: 99\r\n", "{"),
    ] {
        let mut connection = server.connect();
        connection.send(&bytes);
        let answer = connection.answer();
        assert_refusal(&bytes, &answer, 408);
        may_be_read(&bytes, &answer, Some(PAGE));
        let kept = journal(&server);
        let kept = kept.last().unwrap();
        assert_eq!(
            (kept["status"].as_u64(), &kept["method"]),
            (Some(408), &"POST".into())
        );
    }
    assert_eq!(counted(&server, 408), 2.0);
    let log = server.stop().stderr;
    assert_eq!(log.matches("status=408").count(), 2, "{log}");
}

#[test]
fn a_connection_that_is_reset_in_the_middle_of_a_request_leaves_the_traces_of_a_refusal() {
    let server = Server::demo_with(&["--metrics"]);
    let starts = [
        "POST /api/a/ HTTP/1.1\r\nHost: ",
        &from_page("Content-Length: 9\r\n", "{"),
    ];
    for start in starts {
        let mut connection = TcpStream::connect(server.address()).unwrap();
        connection.write_all(start.as_bytes()).unwrap();
        rustix::net::sockopt::set_socket_linger(&connection, Some(Duration::ZERO)).unwrap();
        drop(connection);
    }
    eventually("both are recorded", || journal(&server).len() == 2);
    assert_eq!(counted(&server, 400), 2.0);
    let mut paths: Vec<_> = journal(&server)
        .iter()
        .map(|kept| {
            kept["path"]
                .as_str()
                .unwrap()
                .split('?')
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    paths.sort();
    assert_eq!(paths, ["/api/a/", LOGIN]);
    assert!(
        journal(&server)
            .iter()
            .all(|kept| kept["delivered"] == false)
    );
}

#[test]
fn only_an_allowed_origin_that_is_given_once_may_read_a_refusal() {
    let shop = "https://shop.example";
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let real = place.serve(&["--cors-origin", shop]);
    let closed = place.serve(&[]);
    let demo = Server::demo();
    let too_many = "A: b\r\n".repeat(65);
    for (label, server, origins, allowed) in [
        ("its own", &real, &[shop][..], Some(shop)),
        ("another", &real, &["https://evil.example"], None),
        ("loopback", &real, &[PAGE], None),
        ("twice", &real, &[shop, shop], None),
        ("none", &real, &[], None),
        ("no origins", &closed, &[shop], None),
        (
            "a demo's",
            &demo,
            &["http://app.localhost:3000"],
            Some("http://app.localhost:3000"),
        ),
        ("no demo's", &demo, &[shop], None),
        ("two of a demo's", &demo, &[PAGE, PAGE], None),
    ] {
        let origins: String = origins
            .iter()
            .map(|origin| format!("Origin: {origin}\r\n"))
            .collect();
        for (status, wrong) in [
            (400, "Host: b\r\n"),
            (417, "Expect: b\r\n"),
            (431, &too_many),
            // The head was accepted and only the body is wrong: the part that could be read is forwarded to the server.
            (400, "Transfer-Encoding: chunked\r\n\r\nx"),
        ] {
            let head = format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\n{origins}{wrong}\r\n");
            let answer = refused(server, &case(label, status, head));
            assert_refusal(label, &answer, status);
            may_be_read(label, &answer, allowed);
        }
    }
}

#[test]
fn behind_a_proxy_the_log_names_the_client() {
    let server = Server::demo_with(&["--trusted-proxy", "127.0.0.1"]);
    let head = "GET / HTTP/1.1\r\nHost: localhost\r\nHost: b\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n";
    assert_eq!(server.send(head).status, 400);
    eventually("the refusal is logged", || {
        server.log().contains("client=\"192.0.2.7\"")
    });
}
