//! Attacks of clients. During each of them others log in, and the server's memory stays below a limit.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{SMALL_BUFFER, assert_logs_in, assert_refusal, kept, login, not_found, peak_kib};
use crate::harness::{Connection, Place, Server, eventually, request};

/// Allows one client any number of connections.
const UNLIMITED_CONNECTIONS: [&str; 2] = ["--max-connections-per-client", "0"];

/// The address of the attacker, which differs from that of the logins.
const SLOW: [u8; 4] = [127, 0, 0, 2];

const MAX_RESIDENT_KIB: u64 = 100 * 1024;

/// Checks the peak memory of the server, at the height of an attack or after it.
#[track_caller]
fn assert_memory_stayed_low(server: &Server) {
    let peak = peak_kib(server);
    assert!(peak < MAX_RESIDENT_KIB, "{peak} KiB were resident");
}

/// This process needs a descriptor for its end of every connection too.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

#[test]
fn an_endless_header_line_is_refused_in_bounded_memory() {
    let server = Server::demo();
    let mut connection = server.connect();
    connection.send("GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        // The server has answered long before, and may close the connection at any point.
        if connection.try_send(&piece).is_err() {
            break;
        }
    }
    assert_logs_in(&server);
    if let Some(answer) = connection.answer_or_end() {
        assert_refusal("the line", &answer, 431);
    }
    assert_memory_stayed_low(&server);
}

#[test]
fn a_hundred_thousand_fields_are_refused_in_bounded_memory() {
    let server = Server::demo();
    let mut connection = server.connect();
    connection.send("GET / HTTP/1.1\r\nHost: localhost\r\n");
    let _ = connection.try_send("X: x\r\n".repeat(100_000));
    assert_refusal("the fields", &connection.answer(), 431);
    assert_logs_in(&server);
    assert_memory_stayed_low(&server);
}

/// Lets 300 clients send a byte now and then.
fn drip(beginning: &str) {
    raise_descriptor_limit();
    let server = Server::demo_with(&UNLIMITED_CONNECTIONS);
    let mut clients: Vec<Connection> = (0..300).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(beginning);
    }
    for _ in 0..10 {
        assert_logs_in(&server);
        for client in &mut clients {
            client.send("x");
        }
    }
    assert_logs_in(&server);
    assert_memory_stayed_low(&server);
}

#[test]
fn clients_that_drip_heads_keep_nobody_from_logging_in() {
    drip("GET / HTTP/1.1\r\nHost: localhost\r\nX: ");
}

#[test]
fn clients_that_drip_bodies_keep_nobody_from_logging_in() {
    drip("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 16384\r\n\r\n");
}

#[test]
fn more_idle_connections_than_slots_keep_nobody_from_logging_in() {
    raise_descriptor_limit();
    let server = Server::demo_with(&UNLIMITED_CONNECTIONS);
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.extend((0..100).map(|_| server.connect()));
        assert_logs_in(&server);
    }
    assert_memory_stayed_low(&server);
}

#[test]
fn pipelined_requests_whose_answers_are_not_read_keep_nobody_from_logging_in() {
    let server = Server::demo();
    let mut connection = server.connect();
    connection.send(not_found().repeat(2_000));
    assert_logs_in(&server);
    assert_memory_stayed_low(&server);
    for _ in 0..2_000 {
        assert_eq!(connection.answer().status, 404);
    }
}

#[test]
fn clients_that_never_read_keep_nobody_from_logging_in() {
    let server = Server::demo();
    let mut streams = Vec::new();
    let many = not_found().repeat(100);
    for _ in 0..20 {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream
            .set_write_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        // Writes until all buffers on the way are full.
        let error = loop {
            if let Err(error) = stream.write_all(&many) {
                break error;
            }
        };
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        streams.push(stream);
        assert_logs_in(&server);
    }
    assert_memory_stayed_low(&server);
}

/// 300 clients request long answers and read next to nothing, on more connections than the server accepts.
#[test]
fn clients_that_read_slowly_keep_nobody_from_logging_in() {
    raise_descriptor_limit();
    let connections = ["--max-connections", "100", "--write-timeout", "1h"];
    for per_client in ["20", "0"] {
        let limit = ["--max-connections-per-client", per_client];
        let server = Server::demo_with(&[&connections[..], &limit].concat());
        let many = request("GET", "/openapi.json", &[], "").repeat(100);
        let mut clients = Vec::new();
        for _ in 0..10 {
            for _ in 0..30 {
                let mut client = Connection::from(SLOW, server.address(), SMALL_BUFFER);
                // The client may already have been evicted.
                let _ = client.try_send(&many);
                clients.push(client);
            }
            assert_logs_in(&server);
        }
        assert_memory_stayed_low(&server);
    }
}

#[test]
fn resets_in_the_middle_of_an_answer_keep_nobody_from_logging_in() {
    let server = Server::demo();
    for round in 0..300 {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        set_socket_linger(&stream, Some(Duration::ZERO)).unwrap();
        stream.write_all(&login().repeat(3)).unwrap();
        drop(stream);
        if round % 50 == 0 {
            assert_logs_in(&server);
        }
    }
    assert_logs_in(&server);
    assert_memory_stayed_low(&server);
}

#[test]
fn many_connections_with_few_file_descriptors_keep_nobody_from_logging_in() {
    raise_descriptor_limit();
    let server = Place::new()
        .program(&["serve", "--demo"])
        .after("ulimit -n 64")
        .start();
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.extend((0..20).map(|_| server.connect()));
        assert_logs_in(&server);
    }
    drop(clients);
    for _ in 0..10 {
        assert_logs_in(&server);
    }
    assert_memory_stayed_low(&server);
    server.stop();
}

#[test]
fn a_burst_of_connections_that_stay_open_can_all_log_in() {
    raise_descriptor_limit();
    let server =
        Server::demo_with(&[&["--hash-queue", "300"][..], &UNLIMITED_CONNECTIONS].concat());
    let mut clients: Vec<Connection> = (0..300).map(|_| server.connect()).collect();
    for _ in 0..2 {
        for client in &mut clients {
            client.send(login());
        }
        for client in &mut clients {
            client.answer().token();
        }
    }
    assert_memory_stayed_low(&server);
}

#[test]
fn random_bytes_keep_nobody_from_logging_in() {
    let server = Server::demo();
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..300 {
        let length = random() % 3_000 + 1;
        let mut bytes: Vec<u8> = (0..length).map(|_| random() as u8).collect();
        // Some start like requests, to reach more code of the gate.
        if length % 3 == 0 {
            bytes.splice(
                ..0,
                *b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
            );
        }
        let mut connection = server.connect();
        // The server may refuse the bytes and close before the last one.
        let _ = connection.try_send(&bytes);
        if length % 5 == 0 {
            continue;
        }
        let _ = connection.try_send("\n\n\r\n\r\n");
        if let Some(answer) = connection.answer_or_end() {
            assert!(
                (400..500).contains(&answer.status),
                "{answer:?} to {}",
                bytes.escape_ascii()
            );
        }
    }
    assert_logs_in(&server);
    assert_memory_stayed_low(&server);
}

#[test]
fn the_slots_of_kept_connections_of_clients_that_left_are_freed() {
    let server =
        Server::demo_with(&[&["--max-connections", "16"][..], &UNLIMITED_CONNECTIONS].concat());
    for _ in 0..10 {
        let clients: Vec<Connection> = (0..16).map(|_| kept(&server)).collect();
        drop(clients);
    }
    assert_logs_in(&server);
}

#[test]
#[ignore = "needs slowhttptest"]
fn slowhttptest_keeps_nobody_from_logging_in_in_any_of_its_modes() {
    for mode in [
        &["-H", "-i", "1"][..],
        &["-B", "-i", "1", "-s", "8192"],
        &["-X", "-w", "1", "-y", "2", "-n", "1", "-z", "1", "-k", "3"],
    ] {
        let server = Server::demo();
        let url = format!("http://{}/api/organizations/user-login/", server.address());
        let mut attack = Command::new("slowhttptest")
            .args(mode)
            .args(["-c", "1500", "-r", "500", "-l", "8", "-p", "3", "-u", &url])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        eventually("the attack is over", || {
            assert_logs_in(&server);
            attack.try_wait().unwrap().is_some()
        });
        assert_logs_in(&server);
        assert_memory_stayed_low(&server);
    }
}
