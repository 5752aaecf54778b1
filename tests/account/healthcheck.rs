//! `thanos-login healthcheck`: calls the server that has the same flags and environment.

use std::net::TcpListener;

use super::one_user;
use crate::harness::{Place, Server};

/// The port in a ready line with any scheme.
fn port(server: &Server) -> String {
    let (_, port) = server.ready_line.rsplit_once(':').unwrap();
    port.to_owned()
}

#[track_caller]
fn check(flags: &[&str]) -> crate::harness::Finished {
    let place = Place::new();
    let finished = place.run(&[&["healthcheck"], flags].concat());
    assert_eq!(place.files(""), ["tmp"], "it left something behind");
    finished
}

#[track_caller]
fn assert_healthy(flags: &[&str]) {
    let finished = check(flags).succeeded();
    assert_eq!(
        (finished.stdout.as_str(), finished.stderr.as_str()),
        ("", "")
    );
}

#[test]
fn a_ready_server_is_healthy_at_the_first_of_its_addresses() {
    let server = Server::demo();
    let address = server.address().to_string();
    assert_healthy(&["--listen", &address]);
    assert_healthy(&["--listen", &address, "--listen", "unix:nowhere.sock"]);
    assert_healthy(&["--demo", "--listen", &address, "--token-ttl", "1h"]);
    check(&["--listen", "unix:nowhere.sock", "--listen", &address])
        .failed_naming("the second address", "unix:nowhere.sock");
}

#[test]
fn a_server_that_listens_on_all_addresses_is_asked_over_loopback() {
    let place = one_user();
    for (host, listen) in [("0.0.0.0", "0.0.0.0:0"), ("[::]", "[::]:0")] {
        let server = place.serve(&["--listen", listen]);
        assert_healthy(&["--listen", &format!("{host}:{}", port(&server))]);
    }
}

#[test]
fn a_server_with_tls_is_asked_over_tls_whatever_its_certificate() {
    let place = one_user();
    let server = place.serve(&["--tls-self-signed", "login.example.com"]);
    let address = format!("127.0.0.1:{}", port(&server));
    assert_healthy(&[
        "--listen",
        &address,
        "--tls-self-signed",
        "login.example.com",
    ]);
    assert_healthy(&[
        "--listen",
        &address,
        "--tls-cert",
        "a.pem",
        "--tls-key",
        "b.pem",
    ]);
    check(&["--listen", &address]).failed_naming("without TLS", &address);

    let plain = Server::demo();
    let address = plain.address().to_string();
    check(&["--listen", &address, "--tls-self-signed", "x"]).failed_naming("with TLS", &address);
}

#[test]
fn a_server_on_a_socket_file_is_asked_with_and_without_tls() {
    let place = Place::new();
    let listen = ["--listen", "unix:login.sock"];
    let _server = place
        .program(&[&["serve", "--demo"], &listen[..]].concat())
        .start();
    for tls in [&[][..], &["--tls-self-signed", "localhost"]] {
        let flags = [&["healthcheck"], &listen[..], tls].concat();
        place.run(&flags).succeeded();
    }
}

#[test]
fn the_environment_sets_the_address_as_it_does_for_the_server() {
    let place = one_user();
    let server = place.serve(&[]);
    let address = server.address().to_string();
    let check = || {
        place
            .program(&["healthcheck"])
            .env("THANOS_LOGIN_LISTEN", &address)
    };
    check().finish().succeeded();
    server.stop();
    check().finish().failed_naming("stopped", &address);
}

#[test]
fn a_server_that_is_not_ready_or_does_not_answer_is_not_healthy() {
    let place = one_user();
    let server = place.serve(&[]);
    let address = server.address().to_string();
    let lock = place.lock();
    check(&["--listen", &address]).failed_naming("locked", &address);
    drop(lock);
    assert_healthy(&["--listen", &address]);

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    check(&["--listen", &address]).failed_naming("silent", &address);
}

#[test]
fn a_flag_that_the_server_would_refuse_is_wrong_usage() {
    check(&["--listen", "example.com:80"]).was_wrong_usage("a name");
    check(&["--tls-cert", "a.pem"]).was_wrong_usage("no key");
}
