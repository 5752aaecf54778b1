//! Which hosts a demo answers to. A name that an attacker has bound to this machine (DNS rebinding) is not one of them.

use super::STUB_CALLS;
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::server::send_over_unix_socket;
use crate::harness::{Answer, Connection, HeldPort, LOGIN, Place, Server, login_body};

const EVIL: &str = "evil.example";

fn call(method: &str, path: &str, host: &str, fields: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")
}

fn clock(host: &str, origin: &str) -> String {
    call(
        "GET",
        "/__stub/clock/",
        host,
        &format!("Origin: {origin}\r\n"),
    )
}

#[track_caller]
fn assert_refused(label: &str, answer: &Answer, host: &str) {
    assert_eq!(answer.status, 421, "{label}: {answer:?}");
    let detail = answer.field("detail");
    assert!(
        detail.contains(&format!("--allow-host {host}")),
        "{label}: {detail}"
    );
    assert!(detail.ends_with('.'), "{label}: {detail}");
}

#[test]
fn every_path_answers_421_to_a_host_that_is_not_this_machine() {
    let server = Server::demo_with(&["--metrics"]);
    for path in [
        "/",
        LOGIN,
        "/api/organizations/",
        "/api/nothing-here/",
        "/nothing-here/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
    ] {
        for method in ["GET", "POST", "OPTIONS"] {
            let answer = server.send(call(method, path, EVIL, ""));
            assert_refused(path, &answer, EVIL);
        }
    }
    for (path, methods) in STUB_CALLS {
        for method in methods.iter().filter(|method| **method != "HEAD") {
            assert_refused(path, &server.send(call(method, path, EVIL, "")), EVIL);
        }
    }
    let body = login_body(JWEIR, PASSWORD);
    let fields = format!(
        "Content-Type: application/json\r\nPrefer: code=503\r\nContent-Length: {}\r\n",
        body.len()
    );
    let login = call("POST", LOGIN, "evil.example:8080", &fields) + &body;
    assert_refused("a login", &server.send(login), EVIL);
    for host in [
        "127.1",
        "10.0.2.2:8080",
        "0.0.0.0",
        "localhost.evil.example",
    ] {
        let answer = server.send(call("GET", "/healthz", host, ""));
        assert_refused(host, &answer, host.split(':').next().unwrap());
    }
    let next = server.send(call("GET", "/__stub/next/", "localhost", ""));
    assert_eq!(next.text(), r#"{"pending":[],"used":0}"#);
}

#[test]
fn a_call_for_another_host_is_recorded_and_can_be_read_by_pages_of_this_machine() {
    let server = Server::demo();
    let page = "http://localhost:3000";
    let origin = |origin: &str| format!("Origin: {origin}\r\n");
    let body = login_body(JWEIR, PASSWORD);
    let login = |fields: &str| {
        let length = body.len();
        let fields = format!(
            "{fields}Content-Type: application/json\r\nPrefer: code=503\r\nContent-Length: {length}\r\n"
        );
        server.send(call("POST", LOGIN, EVIL, &fields) + &body)
    };
    let allowed = "access-control-allow-origin";
    let answer = login(&origin(page));
    assert_refused("a login", &answer, EVIL);
    assert_eq!(answer.header(allowed), Some(page));
    assert_eq!(login(&origin("http://evil.example")).header(allowed), None);
    // Otherwise the browser would not send the call.
    let preflight = |origin: String| {
        let fields = origin + "Access-Control-Request-Method: POST\r\n";
        server.send(call("OPTIONS", LOGIN, EVIL, &fields))
    };
    assert_eq!(preflight(origin(page)).status, 204);
    assert_eq!(preflight(origin("http://evil.example")).status, 421);

    let journal = server.send(call("GET", "/__stub/requests/", "localhost", ""));
    let journal = journal.json()["requests"].clone();
    let statuses: Vec<_> = (0..4).map(|at| journal[at]["status"].clone()).collect();
    assert_eq!(statuses, [421, 421, 204, 421]);
    assert_eq!(journal[0]["headers"]["Host"], EVIL);
    assert_eq!(journal[0]["username"], JWEIR);
}

#[test]
fn a_host_of_this_machine_is_answered_however_it_is_written() {
    let server = Server::demo();
    for host in [
        "localhost:8080",
        "LOCALHOST",
        "localhost.",
        "localhost:",
        "app.localhost",
        "127.0.0.1",
        "127.3.2.1:80",
        "[::1]:8080",
    ] {
        let answer = server.send(call("GET", "/healthz", host, ""));
        assert_eq!(answer.status, 200, "{host}");
    }
    let old = |target: &str| format!("GET {target} HTTP/1.0\r\n\r\n");
    assert_eq!(server.send(old("/healthz")).status, 200, "without Host");
    // The host in the target takes precedence over the `Host` field.
    assert_eq!(server.send(old("http://localhost/healthz")).status, 200);
    assert_refused(
        "HTTP/1.0",
        &server.send(old("http://evil.example/healthz")),
        EVIL,
    );
    let there = server.send(call("GET", "http://localhost/healthz", EVIL, ""));
    assert_eq!(there.status, 200);
    let there = server.send(call("GET", "http://evil.example/healthz", "localhost", ""));
    assert_refused("the target", &there, EVIL);
}

#[test]
fn hosts_that_are_allowed_are_answered_and_their_pages_may_steer() {
    let place = Place::new();
    let server = place
        .program(&["serve", "--demo", "--allow-host", "Host.Docker.Internal"])
        .start();
    let answer = server.send(call("GET", "/healthz", "host.docker.internal:8080", ""));
    assert_eq!(answer.status, 200);
    assert_refused(
        "another",
        &server.send(call("GET", "/healthz", EVIL, "")),
        EVIL,
    );
    let host = "host.docker.internal:8080";
    assert_eq!(
        server.send(clock(host, &format!("http://{host}"))).status,
        200
    );
    assert_eq!(server.send(clock(host, "http://evil.example")).status, 403);

    let server = place
        .program(&["serve", "--demo"])
        .env("THANOS_LOGIN_ALLOW_HOST", "10.0.2.2, fd00::2,*.dev.example")
        .start();
    for host in ["10.0.2.2:80", "[fd00::2]", "app.dev.example", "localhost"] {
        assert_eq!(
            server.send(call("GET", "/healthz", host, "")).status,
            200,
            "{host}"
        );
    }
    let remote = Server::demo_with(&["--allow-remote-demo"]);
    assert_eq!(remote.send(call("GET", "/healthz", EVIL, "")).status, 200);
    assert_eq!(remote.send(clock(EVIL, "http://evil.example")).status, 200);
    for text in ["a:80", "http://a", "*", "a b", ""] {
        let args = ["serve", "--demo", "--allow-host", text];
        place.run(&args).was_wrong_usage(text);
    }
}

#[test]
fn the_names_of_a_certificate_that_is_made_for_a_demo_are_its_own() {
    let place = Place::new();
    let flags = ["serve", "--demo", "--listen", "unix:login.sock"];
    let names = ["--tls-self-signed", "stub.example,*.dev.example"];
    let server = place.program(&[&flags[..], &names].concat()).start();
    for (host, status) in [
        ("stub.example", 200),
        ("app.dev.example", 200),
        ("localhost", 200),
        ("other.example", 421),
    ] {
        let request = call("GET", "/healthz", host, "");
        let answer = send_over_unix_socket(&server, "login.sock", request);
        assert_eq!(answer.status, status, "{host}");
    }
}

#[test]
fn socket_files_and_metrics_of_a_demo_refuse_other_hosts_too() {
    let server = Place::new()
        .program(&["serve", "--demo", "--listen", "unix:login.sock"])
        .start();
    let ask = |host: &str| {
        send_over_unix_socket(&server, "login.sock", call("GET", "/healthz", host, ""))
    };
    assert_eq!(ask("localhost").status, 200);
    assert_refused("a socket file", &ask(EVIL), EVIL);

    let port = HeldPort::new();
    let metrics = port.on_loopback().to_string();
    let _server = Server::demo_with(&["--metrics-listen", &metrics]);
    let ask = |host: &str| {
        let mut connection = Connection::to(port.on_loopback());
        connection.send(call("GET", "/metrics", host, ""));
        connection.answer()
    };
    assert_eq!(ask(&metrics).status, 200);
    assert_refused("metrics", &ask(EVIL), EVIL);
}

#[test]
fn a_real_server_answers_to_any_host() {
    let place = Place::seeded(&accounts::retailer([]));
    let server = place.serve(&[]);
    assert_eq!(server.send(call("GET", "/healthz", EVIL, "")).status, 200);
}
