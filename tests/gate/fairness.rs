//! Connections: what one client can take from the others.

use std::os::unix::net::UnixStream;

use super::{SMALL_BUFFER, assert_logs_in, assert_refusal, login, not_found, served};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Connection, HeldPort, Place, Server, eventually, request};

/// A part of the log line about a client with too many connections.
const TOO_MANY: &str = "(--max-connections-per-client)";

/// Connects from 127.0.0.`host`.
fn client(server: &Server, host: u8) -> Connection {
    Connection::from([127, 0, 0, host], server.address(), 1 << 16)
}

/// A client that requests 20 MB, far more than all buffers on the way can hold, and does not read them.
fn slow(server: &Server) -> Connection {
    let mut connection = Connection::from([127, 0, 0, 2], server.address(), SMALL_BUFFER);
    connection.send(request("GET", "/openapi.json", &[], "").repeat(SLOW_REQUESTS));
    connection
}

const SLOW_REQUESTS: usize = 400;

/// Whether the client can read all answers.
fn gets_all(mut connection: Connection) -> bool {
    let rest = connection.rest_or_reset();
    let answers = rest.map(|rest| {
        rest.windows(12)
            .filter(|part| part == b"HTTP/1.1 200")
            .count()
    });
    answers.is_some_and(|count| count >= SLOW_REQUESTS)
}

#[test]
fn a_client_that_takes_its_answers_slowly_is_evicted_for_a_new_one() {
    let flags = [
        "--max-connections",
        "2",
        "--max-connections-per-client",
        "0",
        "--write-timeout",
        "1h",
        "--idle-timeout",
        "1s",
    ];
    let server = Server::demo_with(&flags);
    let slow = [slow(&server), slow(&server)];
    assert_logs_in(&server);
    // Evicting one client is enough.
    let whole = slow.map(gets_all);
    assert_eq!(whole.iter().filter(|whole| **whole).count(), 1, "{whole:?}");
    assert!(server.log().contains("the connection limit is reached"));
}

#[test]
fn a_flood_of_connections_from_one_address_leaves_other_addresses_alone() {
    let server = Server::demo_with(&["--max-connections", "16"]);
    let request = not_found();
    let (start, end) = request.split_at(9);
    let mut leisurely = client(&server, 3);
    leisurely.send(start);
    let idle = served(client(&server, 4));
    let mut flood: Vec<_> = (0..200).map(|_| client(&server, 2)).collect();
    // The connections before it in the queue have been accepted by then.
    served(client(&server, 5));
    leisurely.send(end);
    assert_eq!(leisurely.answer().status, 404);
    served(idle);
    let mut latest = flood.split_off(196).into_iter().map(served);
    assert!(latest.all(|mut connection| !connection.is_answered()));
    assert!(flood.iter_mut().all(Connection::ends));
    eventually("the limit is reported, once", || {
        server.log().matches(TOO_MANY).count() == 1
    });
}

#[test]
fn a_client_at_its_limit_loses_its_own_connection_that_is_longest_without_a_request() {
    let server = Server::demo_with(&["--max-connections-per-client", "3"]);
    let mut others = served(client(&server, 3));
    let mut connections: Vec<_> = (0..3).map(|_| served(client(&server, 2))).collect();
    connections[0].send(not_found());
    connections[0].answer();
    connections[1].send("GET / HT");
    let first_new = served(client(&server, 2));
    assert_refusal("it had started a request", &connections[1].answer(), 408);
    let second_new = served(client(&server, 2));
    assert!(connections[2].answer_or_end().is_none(), "it had not");
    let kept = [connections.swap_remove(0), first_new, second_new];
    for mut connection in kept {
        connection.send(login());
        connection.answer().token();
    }
    others.send(login());
    others.answer().token();
}

#[test]
fn a_client_whose_connections_all_wait_for_answers_gets_no_more_and_other_clients_do() {
    let metrics = HeldPort::new();
    let metrics_address = metrics.on_loopback().to_string();
    let flags = [
        "--max-connections-per-client",
        "2",
        "--metrics-listen",
        &metrics_address,
    ];
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&flags);
    let lock = place.lock();
    let mut logins = server.start_logins(2, JWEIR, PASSWORD);
    Server::wait_until_in_progress(2, metrics.on_loopback());
    let mut third = client(&server, 1);
    // The connection may already be closed.
    let _ = third.try_send(not_found());
    assert!(third.answer_or_end().is_none());
    let mut connection = Connection::to(metrics.on_loopback());
    connection.send(request("GET", "/metrics", &[], ""));
    let refused = "thanos_login_connections_refused_total{reason=\"client_limit\"} 1\n";
    assert!(connection.answer().text().contains(refused));
    served(client(&server, 2));
    drop(lock);
    for login in &mut logins {
        login.answer().token();
    }
    served(client(&server, 1));
    eventually("the limit is reported, once", || {
        server.log().matches(TOO_MANY).count() == 1
    });
}

/// With this limit of file descriptors 18 requests fit, and one client may have 9 connections.
#[test]
fn with_few_file_descriptors_one_client_leaves_requests_to_others() {
    let metrics = HeldPort::new();
    let metrics_address = metrics.on_loopback().to_string();
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let args = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--metrics-listen",
        &metrics_address,
    ];
    let server = place.program(&args).after("ulimit -n 200").start();
    let lock = place.lock();
    let mut logins: Vec<_> = (0..40).map(|_| client(&server, 2)).collect();
    for connection in &mut logins {
        // The connection may already be closed.
        let _ = connection.try_send(login());
    }
    Server::wait_until_in_progress(9, metrics.on_loopback());
    served(client(&server, 3));
    drop(lock);
}

#[test]
fn a_trusted_proxy_and_a_socket_file_have_no_connection_limit_per_client() {
    let place = Place::new();
    let args = [
        "serve",
        "--demo",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "unix:login.sock",
        "--max-connections-per-client",
        "1",
        "--trusted-proxy",
        "127.0.0.2",
    ];
    let server = place.program(&args).start();
    let over_unix = || Connection::over(UnixStream::connect(place.path("login.sock")).unwrap());
    let kept: Vec<_> = (0..5)
        .flat_map(|_| [served(client(&server, 2)), served(over_unix())])
        .collect();
    kept.into_iter()
        .for_each(|connection| drop(served(connection)));
    let mut first = served(client(&server, 3));
    served(client(&server, 3));
    assert!(first.answer_or_end().is_none());
}
