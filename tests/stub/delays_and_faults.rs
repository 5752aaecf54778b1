//! `X-Stub-Delay` and `X-Stub-Fault`.

use rustix::process::Signal;

use serde_json::{Value, json};

use super::{get, login_request, login_with, put_next, requests, steer};
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{Connection, LOGIN, Server, eventually, request};

#[test]
fn a_delay_comes_before_the_answer() {
    let server = Server::demo();
    let answer = login_with(&server, &[("X-Stub-Delay", "300")]);
    assert_eq!(answer.status, 200);
    for (name, _) in &answer.headers {
        assert!(
            !name.to_ascii_lowercase().starts_with("x-gate"),
            "{answer:?}"
        );
    }
    let forced = login_with(&server, &[("X-Stub-Delay", "1"), ("Prefer", "code=503")]);
    assert_eq!(forced.status, 503);
}

#[test]
fn five_hundred_delays_block_nobody() {
    let server = Server::demo_with(&["--max-connections-per-client", "0"]);
    let delayed = login_request(&[("X-Stub-Delay", "60000"), ("Prefer", "code=200")]);
    let mut connections: Vec<_> = (0..500).map(|_| server.connect()).collect();
    for connection in &mut connections {
        connection.send(&delayed);
    }
    eventually("all of them are delayed", || {
        server.login(JWEIR, PASSWORD).token();
        requests(&server).len() > 500
    });
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    assert!(
        !connections
            .iter_mut()
            .any(|connection| connection.is_answered())
    );
}

#[test]
fn a_stop_ends_delays_and_their_answers_and_faults_follow() {
    let mut server = Server::demo();
    let start = |fields: &[(&str, &str)]| {
        let mut connection = server.connect();
        connection.send(login_request(fields));
        connection
    };
    let mut delayed = start(&[("X-Stub-Delay", "60000")]);
    let mut forced = start(&[("X-Stub-Delay", "60000"), ("Prefer", "code=503")]);
    let mut corrupted = start(&[("X-Stub-Delay", "60000"), ("X-Stub-Fault", "garbage")]);
    eventually("all have been taken in", || requests(&server).len() == 3);
    server.signal(Signal::TERM);
    assert_eq!(delayed.answer().status, 200);
    assert_eq!(forced.answer().status, 503);
    assert!(!corrupted.rest().is_empty());
    server.wait().succeeded();
}

#[test]
fn faults_corrupt_the_answer_and_the_call_is_carried_out() {
    let server = Server::demo();
    let whole = server.login(JWEIR, PASSWORD);
    let corrupted = |fault: &str| {
        let mut connection = server.connect();
        connection.send(login_request(&[("X-Stub-Fault", fault)]));
        connection.rest_or_reset()
    };
    assert_eq!(corrupted("reset"), None);
    assert_eq!(corrupted("empty").unwrap(), b"");
    let cut = String::from_utf8(corrupted("cut").unwrap()).unwrap();
    let (head, body) = cut.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        head.contains(&format!("Content-Length: {}", whole.body.len())),
        "{head}"
    );
    assert!(!body.is_empty() && body.len() < whole.body.len(), "{body}");
    assert!(whole.text().starts_with(body));
    let garbage = corrupted("garbage").unwrap();
    assert!(!garbage.is_empty() && !garbage.starts_with(b"HTTP"));
    // Each of these calls has logged in.
    let statuses: Vec<_> = requests(&server)
        .iter()
        .map(|kept| kept["status"].as_u64())
        .collect();
    assert_eq!(statuses, [Some(200); 5]);
}

#[test]
fn a_silent_retry_meets_the_fault_again_and_is_recorded_as_one() {
    let server = Server::demo();
    let login = login_request(&[]);
    let is_silent = |source: [u8; 4], bytes: &[u8]| {
        let mut connection = Connection::from(source, server.address(), 1 << 16);
        connection.send(bytes);
        connection.answer_or_end().is_none()
    };
    const HOME: [u8; 4] = [127, 0, 0, 1];
    for fault in ["reset", "empty"] {
        put_next(&server, &format!(r#"{{"fault":"{fault}"}}"#));
        // The connection was used before, as that of a client which then retries.
        let mut kept = server.connect();
        kept.send(request("GET", "/healthz", &[], ""));
        assert_eq!(kept.answer().status, 200);
        kept.send(&login);
        assert!(kept.answer_or_end().is_none(), "{fault}");
        assert!(is_silent(HOME, &login), "{fault}: the same request");
        let other = login_request(&[("X-Other", "1")]);
        assert!(!is_silent(HOME, &other), "{fault}: other bytes");
        assert!(
            !is_silent([127, 0, 0, 2], &login),
            "{fault}: another client"
        );

        let kept = requests(&server);
        let [faulty, others @ ..] = &kept[kept.len() - 3..] else {
            panic!("{kept:?}");
        };
        assert_eq!(faulty["fault"], fault);
        assert_eq!(faulty["repeats"], 1, "{faulty}");
        assert_eq!(faulty["delivered"], false);
        for other in others {
            assert_eq!(
                (&other["fault"], &other["repeats"]),
                (&Value::Null, &json!(0))
            );
        }
        eventually("the fault is over", || !is_silent(HOME, &login));
    }
}

#[test]
fn no_fault_is_repeated_after_a_new_setting_or_a_reset_or_once_the_client_has_seen_it() {
    let server = Server::demo();
    let lost = |fault: &str| {
        put_next(&server, &format!(r#"{{"fault":"{fault}"}}"#));
        let mut connection = server.connect();
        connection.send(login_request(&[]));
        connection.rest_or_reset()
    };
    for (method, path, body) in [
        ("PUT", "/__stub/next/", "{}"),
        ("DELETE", "/__stub/next/", ""),
        ("DELETE", "/__stub/requests/", ""),
        ("POST", "/__stub/reset/", ""),
    ] {
        assert_eq!(lost("reset"), None);
        steer(&server, method, path, body);
        assert_eq!(login_with(&server, &[]).status, 200, "{method} {path}");
    }
    for fault in ["cut", "garbage"] {
        assert!(!lost(fault).unwrap().is_empty());
        assert_eq!(login_with(&server, &[]).status, 200, "{fault}");
    }
}

#[test]
fn without_a_body_there_is_nothing_to_cut() {
    let server = Server::demo();
    for bytes in [
        request(
            "HEAD",
            "/api/organizations/",
            &[("X-Stub-Fault", "cut")],
            "",
        ),
        request(
            "POST",
            "/api/organizations/user-logout/",
            &[("X-Stub-Fault", "cut"), ("Prefer", "code=204")],
            "",
        ),
    ] {
        let mut connection = server.connect();
        connection.send(bytes);
        assert_eq!(connection.rest_or_reset().unwrap(), b"");
    }
}

#[test]
fn wrong_values_are_reported() {
    let server = Server::demo();
    for (name, value) in [
        ("X-Stub-Delay", "60001"),
        ("X-Stub-Delay", "-1"),
        ("X-Stub-Delay", "1s"),
        ("X-Stub-Delay", ""),
        ("X-Stub-Fault", "explode"),
        ("X-Stub-Fault", "Reset"),
        ("X-Stub-Fault", ""),
    ] {
        let answer = login_with(&server, &[(name, value)]);
        assert_eq!(answer.status, 400, "{name}: {value}");
        assert!(answer.field("detail").starts_with(name), "{answer:?}");
    }
    // The path and the method are checked first, and other paths ignore the fields.
    let fields = [("X-Stub-Delay", "x")];
    assert_eq!(server.send(request("GET", LOGIN, &fields, "")).status, 405);
    assert_eq!(
        server.send(request("GET", "/healthz", &fields, "")).status,
        200
    );
    assert_eq!(get(&server, "/api/").status, 404);
}

#[test]
fn no_client_controls_the_faults_of_the_gate() {
    let server = Server::demo();
    let answer = login_with(
        &server,
        &[("X-Gate-Fault", "reset"), ("X-Gate-Delay", "60000")],
    );
    assert_eq!(answer.status, 200);
}
