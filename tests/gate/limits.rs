//! Limits on the size and the duration of a request, and which connection is evicted for a new one.

use super::{answers, assert_logs_in, assert_refusal, kept, login, not_found};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{
    Connection, HeldPort, JSON, LOGIN, Place, Server, eventually, login_body, request,
};

#[test]
fn a_head_may_have_the_bytes_and_fields_of_its_limits_and_no_more() {
    let server = Server::demo();
    let small = Server::demo_with(&["--max-head", "200", "--max-header-fields", "3"]);
    let head = |length: usize| {
        let rest = "GET / HTTP/1.1\r\nHost: localhost\r\nX: \r\n\r\n".len();
        let value = "x".repeat(length - rest);
        format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {value}\r\n\r\n")
    };
    let fields = |count: usize| {
        let others = "X: x\r\n".repeat(count - 1);
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{others}\r\n")
    };
    for (label, server, bytes, is_refused) in [
        ("16 KiB", &server, head(16 * 1024), false),
        ("16 KiB and 1", &server, head(16 * 1024 + 1), true),
        ("64 fields", &server, fields(64), false),
        ("65 fields", &server, fields(65), true),
        ("--max-head", &small, head(200), false),
        ("--max-head and 1", &small, head(201), true),
        ("--max-header-fields", &small, fields(3), false),
        ("--max-header-fields and 1", &small, fields(4), true),
    ] {
        let answer = server.send(bytes);
        if is_refused {
            assert_refusal(label, &answer, 431);
        } else {
            assert!([200, 404].contains(&answer.status), "{label}: {answer:?}");
        }
    }
}

/// The order of the checks is path, method, media type, size. The refusal does not wait for the body.
#[test]
fn a_body_over_the_limit_is_refused_in_the_order_of_the_checks() {
    let server = Server::demo_with(&["--max-body", "100"]);
    let json = "Content-Type: application/json\r\n";
    let text = "Content-Type: text/plain\r\n";
    for framing in [
        "Content-Length: 101\r\n\r\n",
        "Content-Length: 99999999999999\r\n\r\n",
        "Content-Length: 18446744073709551615\r\n\r\n",
        "Content-Length: 101\r\nExpect: 100-continue\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n65\r\n",
        "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n",
    ] {
        for (status, method, path, fields) in [
            (404, "POST", "/nothing-here/", text),
            (405, "PUT", LOGIN, text),
            (415, "POST", LOGIN, text),
            (415, "POST", LOGIN, ""),
            (413, "POST", LOGIN, json),
        ] {
            let label = format!("{method} {path} {fields:?} {framing:?}");
            let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}{framing}");
            let answers = answers(&server, head.as_bytes());
            assert_eq!(answers.len(), 1, "{label}: {answers:?}");
            assert_eq!(answers[0].status, status, "{label}: {answers:?}");
            assert_eq!(answers[0].header("connection"), Some("close"), "{label}");
        }
    }
    let body = format!("{:100}", login_body(JWEIR, PASSWORD));
    server.post(body).token();
}

#[test]
fn a_request_that_takes_too_long_is_408_however_its_bytes_drip() {
    let server = Server::demo_with(&["--request-timeout", "300ms"]);
    for (label, beginning) in [
        ("a request line", "GET /"),
        ("a head", "GET / HTTP/1.1\r\nHost: localhost\r\nX: "),
        (
            "a body",
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16000\r\n\r\n",
        ),
        (
            "a chunk",
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3E80\r\n",
        ),
        (
            "an extension",
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1;a=",
        ),
    ] {
        let mut connection = server.connect();
        connection.send(beginning);
        eventually("a dripping request is refused", || {
            // The server may already have closed the connection.
            let _ = connection.try_send("a");
            connection.is_answered()
        });
        assert_refusal(label, &connection.answer(), 408);
    }
    // A request that stops in the middle is answered the same.
    let mut connection = server.connect();
    connection.send("GET / HT");
    assert_refusal("silence", &connection.answer(), 408);
}

#[test]
fn a_tls_handshake_has_the_same_deadline() {
    let flags = [
        "--tls-self-signed",
        "localhost",
        "--request-timeout",
        "300ms",
    ];
    let server = Server::demo_with(&flags);
    let address = server
        .ready_line
        .strip_prefix("listening on https://")
        .unwrap();
    for bytes in [&[][..], &[0x16, 3, 1, 2, 0, 1]] {
        let mut connection = Connection::to(address.parse().unwrap());
        connection.send(bytes);
        assert!(connection.ends());
    }
}

#[test]
fn an_idle_connection_is_closed_without_an_answer() {
    let server = Server::demo_with(&["--idle-timeout", "300ms"]);
    assert!(server.connect().answer_or_end().is_none());
    assert!(kept(&server).answer_or_end().is_none());
}

#[test]
fn a_connection_whose_client_reads_no_answers_is_closed() {
    let server = Server::demo_with(&["--write-timeout", "300ms", "--idle-timeout", "1h"]);
    let mut connection = server.connect();
    let many = not_found().repeat(100);
    // Writing blocks once all buffers on the way are full, and fails once the server has closed the connection.
    while connection.try_send(&many).is_ok() {}
    assert_logs_in(&server);
}

#[test]
fn the_connection_longest_without_a_whole_request_is_evicted() {
    let flags = [
        "--max-connections",
        "8",
        "--max-connections-per-client",
        "0",
    ];
    let server = Server::demo_with(&flags);
    let mut connections: Vec<_> = (0..8).map(|_| kept(&server)).collect();
    // The second connection has been answered again since: now the first and the third have been idle longest.
    connections[1].send(not_found());
    connections[1].answer();
    connections[0].send("GET / HT");
    let first_new = kept(&server);
    assert_refusal("it had started a request", &connections[0].answer(), 408);
    let second_new = kept(&server);
    assert!(connections[2].answer_or_end().is_none(), "it had not");
    let rest = connections.split_off(3).into_iter();
    let rest = rest.chain(connections.drain(1..2));
    for mut connection in rest.chain([first_new, second_new]) {
        connection.send(login());
        connection.answer().token();
    }
}

#[test]
fn new_connections_wait_while_all_are_being_answered() {
    let metrics = HeldPort::new();
    let metrics_address = metrics.on_loopback().to_string();
    let flags = [
        "--max-connections",
        "2",
        "--max-connections-per-client",
        "0",
        "--metrics-listen",
        &metrics_address,
    ];
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&flags);
    let lock = place.lock();
    let mut logins = server.start_logins(2, JWEIR, PASSWORD);
    Server::wait_until_in_progress(2, metrics.on_loopback());
    let mut waiting = server.connect();
    waiting.send(request("POST", LOGIN, &[JSON], "{"));
    eventually("it waits", || {
        server.log().contains("are waiting for answers")
    });
    drop(lock);
    for login in &mut logins {
        login.answer().token();
    }
    assert_eq!(waiting.answer().status, 400);
    assert_eq!(server.log().matches("are waiting for answers").count(), 1);
}

#[test]
fn too_few_file_descriptors_are_reported_at_the_start() {
    let server = Place::new()
        .program(&["serve", "--demo"])
        .after("ulimit -n 100")
        .start();
    assert_logs_in(&server);
    assert!(
        server.log().contains("file descriptors"),
        "{}",
        server.log()
    );
    // The server raises the soft limit itself.
    let server = Place::new()
        .program(&["serve", "--demo", "--max-connections", "100"])
        .after("ulimit -S -n 100")
        .start();
    assert_logs_in(&server);
    assert_eq!(
        server.log().matches(" WARN ").count(),
        0,
        "{}",
        server.log()
    );
}
