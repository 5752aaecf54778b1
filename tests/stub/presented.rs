//! What the journal reports about tokens and passwords without showing them.

use serde_json::{Value, json};

use super::clock::{advance, organization};
use super::{requests, steer};
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{JSON, LOGIN, Server, login_body, request};

const SUPPLIER: (&str, &str) = ("supplier@projectthanos.com", "thanossupplies");

/// The values of these keys in the last entry of the journal.
fn last(server: &Server, keys: &[&str]) -> Value {
    let kept = requests(server);
    let kept = kept.last().unwrap();
    keys.iter().map(|key| kept[*key].clone()).collect()
}

#[test]
fn a_token_is_reported_as_valid_expired_unknown_or_none() {
    let server = Server::demo();
    let logged_in = || server.login(SUPPLIER.0, SUPPLIER.1).token();
    let logout = |token: &str| {
        let authorization = format!("Token {token}");
        let fields = [("Authorization", &*authorization)];
        let bytes = request("POST", "/api/organizations/user-logout/", &fields, "");
        assert_eq!(server.send(bytes).status, 204);
    };
    let said = |token: &str| {
        organization(&server, token);
        last(&server, &["token", "token_user"])
    };
    let (fresh, ended) = (logged_in(), logged_in());
    assert_eq!(said(&fresh), json!(["valid", SUPPLIER.0]));
    logout(&ended);
    // The entry keeps the state at the time of the request.
    let logout_said = last(&server, &["token", "token_user"]);
    assert_eq!(logout_said, json!(["valid", SUPPLIER.0]));
    assert_eq!(said(&ended), json!(["expired", SUPPLIER.0]));
    advance(&server, "3h");
    assert_eq!(said(&fresh), json!(["expired", SUPPLIER.0]));
    let pinned = server.login(JWEIR, PASSWORD).token();
    assert_eq!(said(&pinned), json!(["valid", JWEIR]));
    for unknown in [&*pinned.to_uppercase(), "abc", "a b"] {
        assert_eq!(said(unknown), json!(["unknown", null]), "{unknown}");
    }
    for fields in [
        &[][..],
        &[("Authorization", "Token")],
        &[("Authorization", "Basic abc")],
    ] {
        server.send(request("GET", "/api/organizations/", fields, ""));
        assert_eq!(
            last(&server, &["token", "token_user"]),
            json!(["none", null]),
            "{fields:?}"
        );
    }
    // A forced answer is not a login. The entry of a refused request has the state of its token too.
    let authorization = format!("Token {fresh}");
    for (bytes, status) in [
        (
            request(
                "GET",
                "/api/organizations/",
                &[("Authorization", &authorization), ("Prefer", "code=200")],
                "",
            ),
            200,
        ),
        (
            format!("GET /api/ HTTP/1.1\r\nAuthorization: {authorization}\r\n\r\n").into(),
            400,
        ),
    ] {
        assert_eq!(server.send(bytes).status, status);
        assert_eq!(
            last(&server, &["token", "token_user"]),
            json!(["expired", SUPPLIER.0])
        );
    }
}

#[test]
fn a_password_is_reported_as_right_wrong_or_missing_whatever_the_answer() {
    let server = Server::demo_with(&["--failed-logins-per-user", "1"]);
    let keys = ["status", "password", "username"];
    for (label, fields, body, expected) in [
        (
            "right",
            &[JSON][..],
            login_body(JWEIR, PASSWORD),
            json!([200, "right", JWEIR]),
        ),
        (
            "wrong",
            &[JSON],
            login_body(JWEIR, "x"),
            json!([401, "wrong", JWEIR]),
        ),
        (
            "throttled",
            &[JSON],
            login_body(JWEIR, PASSWORD),
            json!([429, "right", JWEIR]),
        ),
        (
            "throttled, wrong",
            &[JSON],
            login_body(JWEIR, "x"),
            json!([429, "wrong", JWEIR]),
        ),
        (
            "inactive",
            &[JSON],
            login_body("waiting@projectthanos.com", PASSWORD),
            json!([403, "right", "waiting@projectthanos.com"]),
        ),
        (
            "nobody",
            &[JSON],
            login_body("nobody", PASSWORD),
            json!([401, "wrong", "nobody"]),
        ),
        (
            "no password",
            &[JSON],
            json!({"username": JWEIR}).to_string(),
            json!([400, "missing", JWEIR]),
        ),
        (
            "null",
            &[JSON],
            r#"{"password":null}"#.into(),
            json!([400, "missing", null]),
        ),
        (
            "no username",
            &[JSON],
            json!({"password": PASSWORD}).to_string(),
            json!([400, "wrong", null]),
        ),
        (
            "a number",
            &[JSON],
            r#"{"password":1}"#.into(),
            json!([400, "wrong", null]),
        ),
        (
            "nothing",
            &[JSON],
            String::new(),
            json!([400, "missing", null]),
        ),
        (
            "not JSON",
            &[JSON],
            "{".into(),
            json!([400, "missing", null]),
        ),
        (
            "a form",
            &[("Content-Type", "application/x-www-form-urlencoded")],
            format!("username=jweir%40projectthanos.com&password={PASSWORD}"),
            json!([415, "right", JWEIR]),
        ),
        (
            "forced",
            &[JSON, ("Prefer", "code=200")],
            login_body(JWEIR, "x"),
            json!([200, "wrong", JWEIR]),
        ),
        (
            "forced, right",
            &[JSON, ("Prefer", "code=401")],
            login_body(SUPPLIER.0, SUPPLIER.1),
            json!([401, "right", SUPPLIER.0]),
        ),
    ] {
        server.send(request("POST", LOGIN, fields, body));
        assert_eq!(last(&server, &keys), expected, "{label}");
    }
    steer(&server, "PUT", "/__stub/next/", r#"{"code":503}"#);
    server.login(JWEIR, PASSWORD);
    assert_eq!(last(&server, &keys), json!([503, "right", JWEIR]));
    server.send(request("GET", LOGIN, &[], ""));
    assert_eq!(last(&server, &keys), json!([405, null, null]));
    server.send(request("GET", "/api/organizations/", &[], ""));
    assert_eq!(last(&server, &keys), json!([401, null, null]));
}
