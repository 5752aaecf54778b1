//! `/__stub/clock/`: changing the server's time.

use serde_json::Value;

use super::{get, requests, steer};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, JSON, Place, Server, eventually, request};

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
fn tokens_expire_and_pinned_ones_stay_valid() {
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
fn the_clock_shows_the_time_and_how_far_it_was_moved() {
    let server = Server::demo();
    let clock = get(&server, CLOCK).json();
    assert_eq!(clock["advanced_seconds"], 0);
    assert_eq!(advance(&server, "2h")["advanced_seconds"], 7200);
    assert_eq!(advance(&server, "15m")["advanced_seconds"], 8100);
    assert_eq!(advance(&server, "0")["advanced_seconds"], 8100);
    assert_eq!(advance(&server, "250ms")["advanced_seconds"], 8100.25);
    assert_eq!(clock["frozen"], false);
    let now = date(&get(&server, CLOCK).json()["now"]);
    let ahead = now.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((8000..=8100).contains(&ahead), "{ahead}");
    server.login(JWEIR, PASSWORD);
    assert!(date(&requests(&server)[0]["time"]) >= now);
    let days = advance(&server, "2d");
    assert_eq!(days["advanced_seconds"], 8100.25 + 172_800.0);
}

#[track_caller]
fn change(server: &Server, body: &str) -> Value {
    let answer = steer(server, "POST", CLOCK, body);
    assert_eq!(answer.status, 200, "{body}: {answer:?}");
    answer.json()
}

fn date(text: &Value) -> jiff::Timestamp {
    text.as_str().unwrap().parse().unwrap()
}

fn supplier_token(server: &Server) -> String {
    server
        .login("supplier@projectthanos.com", "thanossupplies")
        .token()
}

#[test]
fn the_clock_can_be_set_and_frozen() {
    let server = Server::demo();
    let expected = "2026-12-31T23:59:00.000000Z";
    for set in ["2026-12-31T23:59:00Z", "2027-01-01T01:59:00+02:00"] {
        let clock = change(&server, &format!(r#"{{"set":"{set}","frozen":true}}"#));
        assert_eq!(
            (&clock["now"], &clock["frozen"]),
            (&expected.into(), &true.into())
        );
    }
    assert_eq!(get(&server, CLOCK).json()["now"], expected);
    server.login(JWEIR, PASSWORD);
    assert_eq!(requests(&server)[0]["time"], expected);
    let clock = change(&server, r#"{"advance":"1m"}"#);
    assert_eq!(clock["now"], "2027-01-01T00:00:00.000000Z");
    let all = r#"{"set":"2027-03-01T00:00:00Z","advance":"1w","frozen":true}"#;
    assert_eq!(change(&server, all)["now"], "2027-03-08T00:00:00.000000Z");
    let clock = change(&server, r#"{"frozen":false}"#);
    assert_eq!(clock["frozen"], false);
    let start = date(&clock["now"]);
    eventually("the clock goes on", || {
        date(&get(&server, CLOCK).json()["now"]) > start
    });
    change(&server, r#"{"frozen":true}"#);
    let answer = server.send(request("POST", "/__stub/reset/", &[], ""));
    assert_eq!(answer.status, 204);
    let clock = get(&server, CLOCK).json();
    assert_eq!(
        (&clock["advanced_seconds"], &clock["frozen"]),
        (&0.into(), &false.into())
    );
}

#[test]
fn tokens_issued_at_a_date_that_lies_ahead_count_until_they_expire() {
    let server = Server::demo();
    change(&server, r#"{"set":"2026-06-01T12:00:00Z","frozen":true}"#);
    let token = supplier_token(&server);
    let pinned = server.login(JWEIR, PASSWORD).token();
    change(&server, r#"{"set":"1969-12-31T23:00:00Z"}"#);
    for token in [&token, &pinned, &supplier_token(&server)] {
        assert_eq!(organization(&server, token).status, 200);
    }
    let earlier = supplier_token(&server);
    for (set, expected) in [
        ("1970-01-01T00:59:59Z", [200, 200, 200]),
        ("1970-01-01T01:00:00Z", [401, 200, 200]),
        ("2026-06-01T13:59:59Z", [401, 200, 200]),
        ("2026-06-01T14:00:00Z", [401, 401, 200]),
    ] {
        change(&server, &format!(r#"{{"set":"{set}"}}"#));
        let statuses = [&earlier, &token, &pinned].map(|it| organization(&server, it).status);
        assert_eq!(statuses, expected, "{set}");
    }
}

#[test]
fn no_more_tokens_than_the_limit_are_valid_after_the_date_was_set_back() {
    let server = Server::demo_with(&["--max-tokens-per-user", "2"]);
    let dates = ["2026-06-01T12:00:00Z", "2030-06-01T12:00:00Z"];
    let tokens = dates.map(|date| {
        change(&server, &format!(r#"{{"set":"{date}","frozen":true}}"#));
        [(); 2].map(|()| supplier_token(&server))
    });
    change(&server, &format!(r#"{{"set":"{}"}}"#, dates[0]));
    let statuses = tokens.map(|of_date| of_date.map(|token| organization(&server, &token).status));
    assert_eq!(statuses, [[401, 401], [200, 200]]);
}

#[test]
fn a_throttle_has_as_much_time_left_after_the_date_was_set_back() {
    let fixture = accounts::retailer([accounts::user(JWEIR)]);
    let server = Place::new().serve_demo(&fixture, &["--failed-logins-per-user", "1"]);
    change(&server, r#"{"frozen":true}"#);
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    let retry_after = || {
        let answer = server.login(JWEIR, PASSWORD);
        answer.header("retry-after").map(str::to_owned)
    };
    change(&server, r#"{"advance":"5m"}"#);
    change(&server, r#"{"set":"2001-01-01T00:00:00Z"}"#);
    assert_eq!(retry_after().as_deref(), Some("600"));
    change(&server, r#"{"set":"2001-01-01T00:10:00Z"}"#);
    assert_eq!(retry_after(), None);
}

#[test]
fn wrong_input_is_reported_and_moves_nothing() {
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
        r#"{"set":"2026-12-31"}"#,
        r#"{"set":"tomorrow"}"#,
        r#"{"set":1798761540}"#,
        r#"{"set":"1800-01-01T00:00:00Z"}"#,
        r#"{"set":"9999-12-31T23:59:59Z"}"#,
        r#"{"frozen":"true"}"#,
        r#"{"frozen":1}"#,
        r#"{"frozen":null,"set":null}"#,
        r#"{"frozen":true,"advance":"2y"}"#,
        r#"{"frozen":true,"set":"2026-12-31T23:59:00Z","advance":"9999999h"}"#,
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
    let clock = get(&server, CLOCK).json();
    assert_eq!(
        (&clock["advanced_seconds"], &clock["frozen"]),
        (&0.into(), &false.into())
    );
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}
