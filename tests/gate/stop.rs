//! A stop of the server in the middle of requests.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use super::{assert_refusal, kept, login, not_found, served};
use crate::harness::{Connection, Place, Server, eventually};

/// Sends SIGTERM to the server and returns once it accepts no new connections.
#[track_caller]
fn start_stop(server: &Server) {
    let address = server.address();
    server.signal(Signal::TERM);
    eventually("no new connections are taken", || {
        TcpStream::connect(address).is_err()
    });
}

#[test]
fn half_received_requests_are_answered_with_connection_close() {
    let mut server = Server::demo();
    let bytes = login();
    let cuts = [1, 20, bytes.len() - 10, bytes.len() - 1];
    let mut connections: Vec<_> = cuts
        .iter()
        .map(|cut| {
            let mut connection = kept(&server);
            connection.send(&bytes[..*cut]);
            (connection, *cut)
        })
        .collect();
    start_stop(&server);
    for (connection, cut) in &mut connections {
        connection.send(&bytes[*cut..]);
    }
    for (connection, cut) in &mut connections {
        let answer = connection.answer();
        assert_eq!(
            answer.header("connection"),
            Some("close"),
            "after {cut} bytes"
        );
        answer.token();
        assert!(connection.answer_or_end().is_none());
    }
    drop(connections);
    server.wait().succeeded();
}

#[test]
fn half_received_requests_over_a_socket_file_are_answered() {
    let place = Place::new();
    let args = [
        "serve",
        "--demo",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "unix:login.sock",
    ];
    let mut server = place.program(&args).start();
    let mut connections: Vec<_> = (0..20)
        .map(|_| UnixStream::connect(place.path("login.sock")).unwrap())
        .map(|stream| served(Connection::over(stream)))
        .collect();
    let bytes = not_found();
    let (first, rest) = bytes.split_at(1);
    for connection in &mut connections {
        connection.send(first);
    }
    start_stop(&server);
    for byte in rest {
        for connection in &mut connections {
            connection.send([*byte]);
        }
    }
    for connection in &mut connections {
        let answer = connection.answer();
        assert_eq!(answer.status, 404);
        assert_eq!(answer.header("connection"), Some("close"));
    }
    drop(connections);
    server.wait().succeeded();
    assert!(!place.path("login.sock").exists());
}

#[test]
fn pipelined_requests_that_have_arrived_are_all_answered() {
    let mut server = Server::demo();
    let mut connection = kept(&server);
    connection.send(login().repeat(20));
    server.signal(Signal::TERM);
    let answers: Vec<_> = std::iter::from_fn(|| connection.answer_or_end()).collect();
    assert_eq!(answers.len(), 20);
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(answers[19].header("connection"), Some("close"));
    drop(connection);
    server.wait().succeeded();
}

#[test]
fn a_request_that_never_ends_delays_the_stop_for_its_own_timeout_only() {
    let mut server = Server::demo_with(&["--request-timeout", "500ms"]);
    let mut connection = kept(&server);
    connection.send("GET / HT");
    server.signal(Signal::TERM);
    assert_refusal("half a request", &connection.answer(), 408);
    server.wait().succeeded();
}
