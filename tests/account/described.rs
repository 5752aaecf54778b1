//! Provokes every answer in the OpenAPI description; the harness checks that each one matches it.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::process::Command;

use super::{CALLS, JWEIRS_TOKEN, LOGOUT, LOGOUT_ALL, call, log_in};
use crate::harness::accounts::{self, JWEIR, PASSWORD, crowd};
use crate::harness::description::{self, Key};
use crate::harness::{JSON, LOGIN, Place, Server, login_body, request};

#[derive(Default)]
struct Seen {
    answers: BTreeSet<Key>,
    bodies: BTreeSet<String>,
}

impl Seen {
    /// Sends a request, and a GET also as HEAD, and records which described answers came.
    #[track_caller]
    fn ask(&mut self, server: &Server, bytes: &[u8]) {
        let mut connection = server.connect();
        connection.send(bytes);
        let answer = connection.answer();
        self.bodies
            .insert(String::from_utf8_lossy(&answer.body).into_owned());
        self.answers.extend(connection.described(&answer));
        if let Some(rest) = bytes.strip_prefix(b"GET ") {
            let mut connection = server.connect();
            connection.send([b"HEAD ", rest].concat());
            let answer = connection.answer_to_head();
            self.answers.extend(connection.described(&answer));
        }
    }

    #[track_caller]
    fn ask_all(&mut self, server: &Server, token: &str) {
        for (method, path) in CALLS {
            self.ask(server, &call(method, path, token));
        }
    }
}

fn login(username: &str, password: &str) -> Vec<u8> {
    request("POST", LOGIN, &[JSON], login_body(username, password))
}

#[test]
fn every_described_answer_is_given_and_every_field_of_it() {
    let mut seen = Seen::default();
    healthy(&mut seen);
    throttled(&mut seen);
    locked(&mut seen);
    unreadable(&mut seen);
    corrupted(&mut seen);
    let described = description::keys();
    let missing: Vec<&Key> = described.difference(&seen.answers).collect();
    assert!(missing.is_empty(), "never seen: {missing:#?}");
    for part in [
        r#"{"username":"#,
        r#""password":["#,
        "non_field_errors",
        "JSON parse error",
    ] {
        assert!(seen.bodies.iter().any(|body| body.contains(part)), "{part}");
    }
}

fn healthy(seen: &mut Seen) {
    let server = Server::demo_with(&["--metrics"]);
    for (username, password) in [
        (JWEIR, PASSWORD),
        (JWEIR, "wrong"),
        ("waiting@projectthanos.com", PASSWORD),
        ("", ""),
    ] {
        seen.ask(&server, &login(username, password));
    }
    for body in ["[]", "{"] {
        seen.ask(&server, &request("POST", LOGIN, &[JSON], body));
    }
    seen.ask(&server, &request("POST", LOGIN, &[], "{}"));
    seen.ask(&server, &request("POST", "/nothing-here/", &[], ""));
    seen.ask(&server, &request("PUT", LOGIN, &[], ""));
    seen.ask_all(&server, JWEIRS_TOKEN);
    seen.ask_all(&server, "unknown");
    let unknown = "/api/organizations/users/detail/00000000-0000-4000-8000-000000000000/";
    seen.ask(&server, &call("GET", unknown, JWEIRS_TOKEN));
    let big = "x".repeat(16 * 1024 + 1);
    let authorization = format!("Token {JWEIRS_TOKEN}");
    let fields = [("Authorization", authorization.as_str()), JSON];
    for (method, path) in CALLS.iter().chain(&[("POST", LOGIN)]) {
        seen.ask(&server, &request(method, path, &fields, &big));
    }
    for path in ["/healthz", "/readyz", "/metrics", "/openapi.json"] {
        seen.ask(&server, &request("GET", path, &[], ""));
    }
    let without_figures = Server::demo();
    seen.ask(&without_figures, &request("GET", "/metrics", &[], ""));
}

fn throttled(seen: &mut Seen) {
    let server = Server::demo_with(&["--failed-logins-per-user", "1"]);
    for _ in 0..2 {
        seen.ask(&server, &login(JWEIR, "wrong"));
    }
}

/// The calls that write are answered 503.
fn locked(seen: &mut Seen) {
    let place = super::one_user();
    let server = place.serve(&[]);
    let token = log_in(&server);
    let _lock = place.lock();
    std::thread::scope(|scope| {
        let asking = [
            login(JWEIR, PASSWORD),
            call("POST", LOGOUT, &token),
            call("POST", LOGOUT_ALL, &token),
            request("GET", "/readyz", &[], ""),
        ]
        .map(|bytes| {
            let server = &server;
            scope.spawn(move || {
                let mut seen = Seen::default();
                seen.ask(server, &bytes);
                seen.answers
            })
        });
        for seen_there in asking {
            seen.answers.extend(seen_there.join().unwrap());
        }
    });
}

/// The calls that read are answered 503 too when the disk fails: here, what was just written cannot be read back from the
/// log. On servers, the tables are locked instead.
fn unreadable(seen: &mut Seen) {
    let place = super::one_user();
    let server = place.serve(&[]);
    let token = log_in(&server);
    if place.url().is_some() {
        let _lock = place.lock_for_all();
        return seen.ask_all(&server, &token);
    }
    let log = format!("{}-wal", Place::DATABASE);
    let log = OpenOptions::new()
        .write(true)
        .open(place.path(&log))
        .unwrap();
    log.set_len(0).unwrap();
    seen.ask_all(&server, &token);
}

/// Every read fails permanently.
fn corrupted(seen: &mut Seen) {
    let place = Place::seeded(&accounts::crowded());
    let server = place.serve(&[]);
    let token = server.login(&crowd()[0], PASSWORD).token();
    super::probes::ruin(&place);
    seen.ask(&server, &login(&crowd()[1], PASSWORD));
    seen.ask_all(&server, &token);
}

#[test]
#[ignore = "needs schemathesis"]
fn schemathesis_finds_nothing_in_a_running_server() {
    // Not a demo: schemathesis would send the header fields that make a demo reset connections and delay answers.
    let fixture = serde_json::from_str(include_str!("../../fixtures/demo.json")).unwrap();
    let flags = ["--metrics", "--failed-logins-per-user", "0"];
    let server = Place::seeded(&fixture).serve(&flags);
    let url = format!("http://{}/openapi.json", server.address());
    let output = Command::new("schemathesis")
        .args(["run", &url, "--header"])
        .arg(format!("Authorization: Token {JWEIRS_TOKEN}"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
}
