//! The call by which reverse proxies check whether a token is valid.

use jiff::{Timestamp, ToSpan};

use super::{JWEIRS_TOKEN, JWEIRS_UUID, VERIFY, assert_good, call, get, log_in, one_user};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Place, Server, request};

#[test]
fn the_answer_about_a_pinned_token_is_exactly_as_published_and_it_never_expires() {
    let server = Server::demo();
    let answer = get(&server, VERIFY, JWEIRS_TOKEN);
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text(),
        concat!(
            r#"{"org_uuid":"e7409ece-e923-4aa8-a41b-4aacb9e475be","#,
            r#""user_uuid":"3a7acb28-ab13-437e-8c35-46cf4f0bea49","#,
            r#""retailer_uuid":"1d2e146c-a3df-4073-89c6-9ffc3061319c","supplier_uuid":"","#,
            r#""org_type":"RETAILER","expires_at":null}"#,
        )
    );
    for (name, value) in [
        ("X-Auth-User", JWEIRS_UUID),
        ("X-Auth-Org", "e7409ece-e923-4aa8-a41b-4aacb9e475be"),
        ("X-Auth-Org-Type", "RETAILER"),
    ] {
        assert_eq!(answer.header(name), Some(value));
    }
}

#[test]
fn the_answer_about_a_supplier_names_it_as_a_supplier() {
    let server = Server::demo();
    let login = server.login("supplier@projectthanos.com", "thanossupplies");
    let answer = get(&server, VERIFY, &login.token());
    for key in [
        "org_uuid",
        "user_uuid",
        "retailer_uuid",
        "supplier_uuid",
        "org_type",
    ] {
        assert_eq!(answer.field(key), login.field(key), "{key}");
    }
    assert_eq!(answer.header("x-auth-org-type"), Some("SUPPLIER"));
}

#[test]
fn expires_at_is_the_time_in_the_database() {
    let place = one_user();
    for (flags, seconds) in [(&[][..], 7200), (&["--token-ttl", "90s"], 90)] {
        let server = place.serve(flags);
        let before = Timestamp::now();
        let token = log_in(&server);
        let text = get(&server, VERIFY, &token).field("expires_at");
        let expires_at: Timestamp = text.parse().unwrap();
        assert!(text.ends_with('Z'), "{text}");
        assert!(expires_at >= before + seconds.seconds(), "{text}");
        assert!(expires_at <= Timestamp::now() + seconds.seconds(), "{text}");
        let kept = place.number("SELECT expires_at FROM tokens ORDER BY issued_at DESC LIMIT 1");
        assert_eq!(expires_at.as_microsecond(), kept);
    }
    let server = place.serve(&["--token-ttl", "0"]);
    let token = log_in(&server);
    let answer = get(&server, VERIFY, &token);
    assert!(
        answer.text().ends_with(r#","expires_at":null}"#),
        "{answer:?}"
    );
}

#[test]
fn what_proxies_add_is_ignored() {
    let server = Server::demo();
    let authorization = format!("Token {JWEIRS_TOKEN}");
    let fields = [
        ("Authorization", authorization.as_str()),
        ("X-Original-URI", "/orders/?a=b"),
        ("X-Original-URL", "http://example.com/orders/"),
        ("X-Original-Method", "POST"),
        ("X-Forwarded-Method", "DELETE"),
        ("X-Forwarded-Uri", "/orders/"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "example.com"),
        ("X-Forwarded-For", "203.0.113.9, 10.0.0.1"),
        ("X-Auth-User", "somebody"),
    ];
    let answer = server.send(request("GET", VERIFY, &fields, ""));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("x-auth-user"), Some(JWEIRS_UUID));
    let refused = server.send(request("GET", VERIFY, &fields[1..], ""));
    assert_eq!(refused.status, 401, "{refused:?}");
    assert_eq!(refused.header("x-auth-user"), None);
}

#[test]
fn a_token_check_waits_for_no_hashing_no_throttle_and_no_lock() {
    let place = Place::seeded(&accounts::slow());
    let flags = [
        "--failed-logins-per-address",
        "2",
        "--hash-queue",
        "2",
        "--bcrypt-cost",
        "12",
    ];
    let server = place.serve(&flags);
    let token = log_in(&server);
    let mut logins = server.start_logins(4, JWEIR, PASSWORD);
    let lock = place.lock();
    for _ in 0..20 {
        assert_good(&server, &token);
    }
    drop(lock);
    for login in &mut logins {
        login.answer();
    }
    for _ in 0..4 {
        server.login("nobody", PASSWORD);
    }
    assert_eq!(server.login("nobody", PASSWORD).status, 429);
    assert_good(&server, &token);
}

#[test]
fn a_thousand_checks_on_one_connection_are_all_answered() {
    let server = Server::demo();
    let mut connection = server.connect();
    for _ in 0..10 {
        for _ in 0..100 {
            connection.send(call("GET", VERIFY, JWEIRS_TOKEN));
        }
        for _ in 0..100 {
            assert_eq!(connection.answer().status, 200);
        }
    }
}
