//! Addresses: socket files, IPv6, several addresses at once.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};

use super::{login, not_found};
use crate::harness::server::send_over_unix_socket;
use crate::harness::{Connection, HeldPort, Place};

const SERVE: [&str; 4] = ["serve", "--demo", "--listen", "unix:login.sock"];

#[test]
fn a_socket_file_is_private_to_its_owner_and_removed_with_the_server() {
    let place = Place::new();
    let server = place.program(&SERVE).after("umask 0").start();
    assert_eq!(server.ready_line, "listening on unix:login.sock");
    let metadata = fs::metadata(place.path("login.sock")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    send_over_unix_socket(&server, "login.sock", login()).token();
    server.stop();
    assert!(!place.path("login.sock").exists());
}

#[test]
fn a_socket_file_has_the_mode_that_was_asked_for_whatever_the_umask() {
    for mode in ["0660", "666"] {
        let place = Place::new();
        let flags = [&SERVE[..], &["--socket-mode", mode]].concat();
        let server = place.program(&flags).after("umask 077").start();
        let metadata = fs::metadata(place.path("login.sock")).unwrap();
        let expected = u32::from_str_radix(mode, 8).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, expected);
        send_over_unix_socket(&server, "login.sock", login()).token();
    }
}

#[test]
fn a_socket_file_that_was_left_behind_is_replaced() {
    let place = Place::new();
    place.program(&SERVE).start().kill();
    assert!(place.path("login.sock").exists());
    let server = place.program(&SERVE).start();
    send_over_unix_socket(&server, "login.sock", login()).token();
    server.stop();
    assert!(!place.path("login.sock").exists());
}

#[test]
fn a_socket_file_on_which_a_server_answers_is_left_alone() {
    let place = Place::new();
    let server = place.program(&SERVE).start();
    place.run(&SERVE).failed_naming("our own", "login.sock");
    send_over_unix_socket(&server, "login.sock", login()).token();
    let _other = UnixListener::bind(place.path("other.sock")).unwrap();
    let args = ["serve", "--demo", "--listen", "unix:other.sock"];
    place.run(&args).failed_naming("another's", "other.sock");
    assert!(place.path("other.sock").exists());
}

#[test]
fn a_file_that_is_not_a_socket_is_left_alone() {
    let place = Place::new();
    place.write("login.sock", "precious");
    place.run(&SERVE).failed_naming("a file", "login.sock");
    assert_eq!(fs::read(place.path("login.sock")).unwrap(), b"precious");
}

#[test]
fn all_addresses_answer_and_are_printed_in_their_order() {
    let place = Place::new();
    let args = [
        "serve",
        "--demo",
        "--listen",
        "[::1]:0",
        "--listen",
        "unix:login.sock",
        "--listen",
        "localhost:0",
    ];
    let server = place.program(&args).start();
    let tcp = |line: &str| -> SocketAddr {
        let address = line.strip_prefix("listening on http://").unwrap();
        address.parse().unwrap()
    };
    let v6 = tcp(&server.ready_line);
    assert!(v6.ip().is_loopback() && v6.is_ipv6());
    assert_eq!(server.next_ready_line(), "listening on unix:login.sock");
    let v4 = tcp(&server.next_ready_line());
    assert!(v4.ip().is_loopback() && v4.is_ipv4());
    for address in [v6, v4] {
        let mut connection = Connection::to(address);
        connection.send(login());
        connection.answer().token();
    }
    send_over_unix_socket(&server, "login.sock", login()).token();
}

#[test]
fn one_port_serves_both_families_with_a_listener_each_or_one_for_both() {
    let place = Place::new();
    for (label, listen) in [
        ("IPv4 first", &["0.0.0.0", "[::]"][..]),
        ("IPv6 first", &["[::]", "0.0.0.0"]),
        ("loopback", &["[::]", "127.0.0.1"]),
        ("mapped", &["[::]", "[::ffff:127.0.0.1]"]),
        ("alone", &["[::]"]),
    ] {
        let held = HeldPort::new();
        let port = held.number;
        let listen: Vec<String> = listen.iter().map(|ip| format!("{ip}:{port}")).collect();
        let listen = listen.join(",");
        let args = [
            "serve",
            "--demo",
            "--allow-remote-demo",
            "--listen",
            &listen,
        ];
        let server = place.program(&args).start();
        for address in [format!("127.0.0.1:{port}"), format!("[::1]:{port}")] {
            let mut connection = Connection::to(address.parse().unwrap());
            connection.send(not_found());
            assert_eq!(connection.answer().status, 404, "{label}: {address}");
        }
        server.stop();
    }
}

#[test]
fn connections_over_a_socket_file_are_kept_open_and_refused_like_others() {
    let place = Place::new();
    let server = place.program(&SERVE).start();
    let stream = UnixStream::connect(place.path("login.sock")).unwrap();
    let mut connection = Connection::over(stream);
    connection.send([login(), not_found()].concat());
    connection.answer().token();
    assert_eq!(connection.answer().status, 404);
    connection.send("GET / HTTP/1.1\r\n\r\n");
    assert_eq!(connection.answer().status, 400);
    assert!(connection.answer_or_end().is_none());
    server.stop();
}

#[test]
fn an_address_in_use_is_one_line_and_exit_1() {
    let place = Place::new();
    let server = place.program(&["serve", "--demo"]).start();
    let address = server.address().to_string();
    let args = ["serve", "--demo", "--listen", &address];
    place.run(&args).failed_naming("in use", &address);
}
