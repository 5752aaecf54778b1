//! The query parameters of `/__stub/requests/`: selecting entries and waiting for them.

use rustix::process::Signal;
use serde_json::Value;

use super::{get, login_with};
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{Connection, LOGIN, Server, eventually, request};

const REQUESTS: &str = "/__stub/requests/";

#[track_caller]
fn numbers(server: &Server, query: &str) -> Vec<u64> {
    numbers_in(&get(server, &format!("{REQUESTS}?{query}")).json())
}

fn numbers_in(journal: &Value) -> Vec<u64> {
    let kept = journal["requests"].as_array().unwrap().iter();
    kept.map(|kept| kept["number"].as_u64().unwrap()).collect()
}

#[test]
fn entries_are_chosen_by_what_is_in_them() {
    let server = Server::demo();
    server.login(JWEIR, PASSWORD);
    server.login(&JWEIR.to_uppercase(), "wrong");
    get(&server, &format!("{LOGIN}?a=b"));
    let detail = "/api/organizations/users/detail/3a7acb28-ab13-437e-8c35-46cf4f0bea49/";
    get(&server, detail);
    for (query, expected) in [
        ("", &[1, 2, 3, 4][..]),
        ("status=401", &[2, 4]),
        ("method=GET", &[3, 4]),
        ("path=/api/organizations/user-login/", &[1, 2, 3]),
        (
            "path=%2Fapi%2Forganizations%2Fuser-login%2F&status=200",
            &[1],
        ),
        (&format!("path={detail}"), &[4]),
        ("path=/api/organizations/users/detail/{user_uuid}/", &[4]),
        ("username=JWEIR@projectthanos.com", &[1, 2]),
        ("username=nobody", &[]),
        ("since=2", &[3, 4]),
        ("since=4&wait=0", &[]),
        ("wait=60s", &[1, 2, 3, 4]),
        ("wait=60s&count=2&status=401", &[2, 4]),
    ] {
        assert_eq!(numbers(&server, query), expected, "{query}");
    }
    let journal = get(&server, &format!("{REQUESTS}?since=4")).json();
    assert_eq!(journal["last"], 4);
}

#[test]
fn wrong_and_unknown_parameters_are_reported() {
    let server = Server::demo();
    for (query, key) in [
        ("x=1", "x"),
        ("path=api", "path"),
        ("method=", "method"),
        ("status=2xx", "status"),
        ("status=99", "status"),
        ("username=", "username"),
        ("since=-1", "since"),
        ("since=+1", "since"),
        ("wait=soon", "wait"),
        ("wait=61s", "wait"),
        ("wait=1s&count=0", "count"),
        ("wait=1s&count=1001", "count"),
        ("count=1", "count"),
        ("status=200&status=201", "status"),
    ] {
        let answer = get(&server, &format!("{REQUESTS}?{query}"));
        assert_eq!(answer.status, 400, "{query}: {answer:?}");
        let faults = answer.json();
        assert_eq!(faults.as_object().unwrap().len(), 1, "{query}: {answer:?}");
        assert!(faults[key][0].is_string(), "{query}: {answer:?}");
    }
}

#[test]
fn a_wait_ends_with_the_entry_that_is_waited_for() {
    let server = Server::demo();
    let mut waiting = wait(&server, "wait=60s&count=2&status=503");
    for _ in 0..3 {
        login_with(&server, &[]);
    }
    login_with(&server, &[("Prefer", "code=503")]);
    assert!(!waiting.is_answered());
    login_with(&server, &[("Prefer", "code=503")]);
    assert_eq!(numbers_in(&waiting.answer().json()), [4, 5]);
}

#[test]
fn a_wait_that_is_over_answers_what_there_is() {
    let server = Server::demo();
    login_with(&server, &[]);
    assert_eq!(numbers(&server, "wait=50ms&count=2"), [1]);
}

#[test]
fn a_reset_and_a_stop_end_a_wait() {
    let mut server = Server::demo();
    let mut waiting = wait(&server, "wait=60s");
    // A wait may start only after a reset, so the reset is repeated.
    eventually("the wait ends", || {
        server.send(request("POST", "/__stub/reset/", &[], ""));
        waiting.is_answered()
    });
    assert!(numbers_in(&waiting.answer().json()).is_empty());
    let mut waiting = wait(&server, "wait=60s");
    server.signal(Signal::TERM);
    assert!(numbers_in(&waiting.answer().json()).is_empty());
    server.wait().succeeded();
}

/// Sends the call and returns before the answer is read.
fn wait(server: &Server, query: &str) -> Connection {
    let mut connection = server.connect();
    // The connection is accepted before the call is sent.
    connection.send(request("GET", "/healthz", &[], ""));
    assert_eq!(connection.answer().status, 200);
    connection.send(request("GET", &format!("{REQUESTS}?{query}"), &[], ""));
    connection
}
