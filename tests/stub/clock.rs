//! `/__stub/clock/`: moving the server's time.

use serde_json::Value;

use super::{get, requests, steer};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, JSON, Place, Server, request};

const CLOCK: &str = "/__stub/clock/";

#[track_caller]
pub fn advance(server: &Server, by: &str) -> Value {
    let answer = steer(server, "POST", CLOCK, &format!(r#"{{"advance":"{by}"}}"#));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

pub fn organization(server: &Server, token: &str) -> Answer {
    let authorization = format!("Token {token}");
    let fields = [("Authorization", &*authorization)];
    server.send(request("GET", "/api/organizations/", &fields, ""))
}

#[test]
fn tokens_expire_and_pinned_ones_go_on() {
    let server = Server::demo();
    let token = server
        .login("supplier@projectthanos.com", "thanossupplies")
        .token();
    let pinned = server.login(JWEIR, PASSWORD).token();
    advance(&server, "119m");
    assert_eq!(organization(&server, &token).status, 200);
    advance(&server, "1m");
    let answer = organization(&server, &token);
    assert_eq!(
        (answer.status, answer.text()),
        (401, r#"{"detail":"Invalid token."}"#)
    );
    assert_eq!(organization(&server, &pinned).status, 200);
    assert_eq!(server.login(JWEIR, PASSWORD).token(), pinned);
    let later = server
        .login("supplier@projectthanos.com", "thanossupplies")
        .token();
    assert_eq!(organization(&server, &later).status, 200);
}

#[test]
fn a_throttle_is_lifted() {
    let fixture = accounts::retailer([accounts::user(JWEIR)]);
    let server = Place::new().serve_demo(&fixture, &["--failed-logins-per-user", "1"]);
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 429);
    advance(&server, "15m");
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}

#[test]
fn it_tells_the_time_and_how_far_it_was_moved() {
    let server = Server::demo();
    let clock = get(&server, CLOCK).json();
    assert_eq!(clock["advanced_seconds"], 0);
    assert_eq!(advance(&server, "2h")["advanced_seconds"], 7200);
    assert_eq!(advance(&server, "15m")["advanced_seconds"], 8100);
    assert_eq!(advance(&server, "0")["advanced_seconds"], 8100);
    assert_eq!(advance(&server, "250ms")["advanced_seconds"], 8100.25);
    let now: jiff::Timestamp = get(&server, CLOCK).json()["now"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let ahead = now.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((8000..=8100).contains(&ahead), "{ahead}");
    server.login(JWEIR, PASSWORD);
    let time: jiff::Timestamp = requests(&server)[0]["time"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!(time >= now);
}

#[test]
fn wrong_input_is_told_and_moves_nothing() {
    let server = Server::demo();
    for body in [
        "{}",
        r#"{"advance":null}"#,
        r#"{"advance":7200}"#,
        r#"{"advance":"-2h"}"#,
        r#"{"advance":"2y"}"#,
        r#"{"advance":""}"#,
        r#"{"advance":"9999999h"}"#,
        r#"{"advance":"99999999999999999999h"}"#,
        r#"{"advance":"2h","by":1}"#,
    ] {
        let answer = steer(&server, "POST", CLOCK, body);
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert_eq!(
            answer.json().as_object().unwrap().len(),
            1,
            "{body}: {answer:?}"
        );
    }
    assert_eq!(server.send(request("POST", CLOCK, &[], "{}")).status, 415);
    let long = request("POST", CLOCK, &[JSON], " ".repeat(20_000));
    assert_eq!(server.send(long).status, 413);
    assert_eq!(get(&server, CLOCK).json()["advanced_seconds"], 0);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}
