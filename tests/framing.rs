//! The ways in which HTTP lets a client send the same call.

use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{JSON, LOGIN, Server, login_body, request};

fn login() -> Vec<u8> {
    request("POST", LOGIN, &[JSON], login_body(JWEIR, PASSWORD))
}

fn not_found() -> Vec<u8> {
    request("GET", "/nothing-here/", &[], "")
}

fn chunked(chunks: &[&str]) -> Vec<u8> {
    let fields = [JSON, ("Transfer-Encoding", "chunked")];
    let mut bytes = request("POST", LOGIN, &fields, "");
    for chunk in chunks.iter().chain([&""]) {
        bytes.extend(format!("{:x}\r\n{chunk}\r\n", chunk.len()).bytes());
    }
    bytes
}

#[test]
fn a_connection_serves_one_request_after_another() {
    let server = Server::demo();
    let mut connection = server.connect();
    for round in 0..3 {
        for (bytes, status) in [
            (login(), 200),
            (not_found(), 404),
            (request("POST", LOGIN, &[JSON], "{"), 400),
            (
                request("POST", LOGIN, &[], login_body(JWEIR, PASSWORD)),
                415,
            ),
            (request("PUT", LOGIN, &[], login_body(JWEIR, PASSWORD)), 405),
        ] {
            connection.send(bytes);
            assert_eq!(connection.answer().status, status, "round {round}");
        }
    }
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let server = Server::demo();
    let mut connection = server.connect();
    connection.send(
        [
            login(),
            not_found(),
            login(),
            request("POST", LOGIN, &[JSON], "[]"),
            not_found(),
        ]
        .concat(),
    );
    for status in [200, 404, 200, 400, 404] {
        assert_eq!(connection.answer().status, status);
    }
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = Server::demo();
    let mut connection = server.connect();
    for byte in login() {
        connection.send([byte]);
    }
    assert_eq!(connection.answer().status, 200);
}

#[test]
fn a_body_may_come_in_chunks() {
    let server = Server::demo();
    let body = login_body(JWEIR, PASSWORD);
    let (first, rest) = body.split_at(10);
    for (label, chunks) in [("one", vec![body.as_str()]), ("two", vec![first, rest])] {
        let mut connection = server.connect();
        connection.send(chunked(&chunks));
        assert_eq!(connection.answer().status, 200, "{label}");
        connection.send(not_found());
        assert_eq!(connection.answer().status, 404, "{label}");
    }
    let padded = body.clone() + &" ".repeat(16 * 1024 - body.len());
    assert_eq!(server.send(chunked(&[&padded])).status, 200, "16 KiB");
    assert_eq!(
        server.send(chunked(&[&padded, " "])).status,
        413,
        "one byte more"
    );
}

#[test]
fn a_client_that_expects_100_continue_gets_it() {
    let server = Server::demo();
    let body = login_body(JWEIR, PASSWORD);
    let length = body.len().to_string();
    let fields = [
        JSON,
        ("Expect", "100-continue"),
        ("Content-Length", &length),
    ];
    let mut connection = server.connect();
    connection.send(request("POST", LOGIN, &fields, ""));
    assert_eq!(connection.answer().status, 100);
    connection.send(body);
    assert_eq!(connection.answer().status, 200);
}

#[test]
fn a_target_may_be_an_absolute_url() {
    let server = Server::demo();
    for (label, target, status) in [
        ("ours", format!("http://localhost{LOGIN}"), 200),
        (
            "with a port and a query",
            format!("http://localhost:80{LOGIN}?next=/"),
            200,
        ),
        ("in capitals", format!("HTTP://LOCALHOST{LOGIN}"), 200),
        ("another path", "http://localhost/nothing-here/".into(), 404),
    ] {
        let answer = server.send(request(
            "POST",
            &target,
            &[JSON],
            login_body(JWEIR, PASSWORD),
        ));
        assert_eq!(answer.status, status, "{label}");
    }
}

#[test]
fn a_connection_with_connection_close_is_closed_after_the_answer() {
    let server = Server::demo();
    let mut connection = server.connect();
    let fields = [JSON, ("Connection", "close")];
    let last = request("POST", LOGIN, &fields, login_body(JWEIR, PASSWORD));
    connection.send([last, not_found()].concat());
    assert_eq!(connection.answer().status, 200);
    assert!(connection.answer_or_end().is_none());
}

#[test]
fn field_names_may_have_any_letter_case() {
    let server = Server::demo();
    for name in ["content-type", "CONTENT-TYPE", "cOnTeNt-TyPe"] {
        let bytes = request(
            "POST",
            LOGIN,
            &[(name, "application/json")],
            login_body(JWEIR, PASSWORD),
        );
        assert_eq!(server.send(bytes).status, 200, "{name}");
    }
}

#[test]
fn a_client_that_disconnects_affects_no_other_client() {
    let server = Server::demo_with(&["--bcrypt-cost", "10"]);
    for bytes in [&login()[..], &login()[..40], &login()[..login().len() - 1]] {
        for _ in 0..8 {
            server.connect().send(bytes);
        }
    }
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}
