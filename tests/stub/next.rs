//! `/__stub/next/`: how the next API requests are answered.

use serde_json::{Value, json};

use super::{get, login_request, login_with, put_next, steer};
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{Answer, JSON, LOGIN, Server, request};

const NEXT: &str = "/__stub/next/";

fn login_status(server: &Server) -> u16 {
    server.login(JWEIR, PASSWORD).status
}

#[test]
fn what_is_pending_is_answered_and_then_used_up() {
    let server = Server::demo();
    let pending = put_next(&server, r#"{"times":2,"code":503}"#);
    let expected = json!({"times": 2, "code": 503, "delay_ms": 0, "fault": null, "path": null});
    assert_eq!(pending, expected);
    let forced = server.login(JWEIR, PASSWORD);
    assert_eq!(
        (forced.status, forced.header("retry-after")),
        (503, Some("1"))
    );
    assert_eq!(login_status(&server), 503);
    assert_eq!(login_status(&server), 200);
}

#[test]
fn every_key_is_optional_and_a_later_put_replaces_an_earlier_one() {
    let server = Server::demo();
    put_next(&server, r#"{"times":100,"code":500}"#);
    assert_eq!(put_next(&server, "{}")["times"], 1);
    assert_eq!(login_status(&server), 200);
    put_next(&server, r#"{"code":500}"#);
    put_next(
        &server,
        r#"{"code":401,"times":null,"fault":null,"path":null,"delay_ms":null}"#,
    );
    assert_eq!(login_status(&server), 401);
    assert_eq!(login_status(&server), 200);
}

#[test]
fn a_list_is_used_in_its_order_and_shows_its_progress() {
    let server = Server::demo();
    let pending = || get(&server, NEXT).json();
    assert_eq!(pending(), json!({"pending": [], "used": 0}));
    let orders = r#"[{"code":503,"times":2},{"code":429},{},{"code":401,"delay_ms":1}]"#;
    let mut put = put_next(&server, orders);
    let order = |times: u32, code: Value, delay_ms: u32| json!({"times": times, "code": code, "delay_ms": delay_ms, "fault": null, "path": null});
    let expected = json!([
        order(2, 503.into(), 0),
        order(1, 429.into(), 0),
        order(1, Value::Null, 0),
        order(1, 401.into(), 1),
    ]);
    assert_eq!(put, expected);
    assert_eq!(login_status(&server), 503);
    let put = put.as_array_mut().unwrap();
    for (order, used) in put.iter_mut().zip([1, 0, 0, 0]) {
        order["used"] = used.into();
    }
    assert_eq!(pending(), json!({"pending": put, "used": 1}));
    assert_eq!(
        [(); 4].map(|()| login_status(&server)),
        [503, 429, 200, 401]
    );
    assert_eq!(pending(), json!({"pending": [], "used": 5}));
    assert_eq!(login_status(&server), 200);
    put_next(&server, "{}");
    assert_eq!(pending()["used"], 0);
    assert_eq!(server.send(request("DELETE", NEXT, &[], "")).status, 204);
    assert_eq!(pending(), json!({"pending": [], "used": 0}));
}

#[test]
fn the_first_entry_of_a_list_that_matches_is_used() {
    let server = Server::demo();
    let orders = json!([
        {"code": 500, "path": "/api/organizations/"},
        {"code": 429},
        {"code": 503},
    ]);
    put_next(&server, &orders.to_string());
    assert_eq!(login_status(&server), 429);
    let organization = || get(&server, "/api/organizations/").status;
    assert_eq!([(); 3].map(|()| organization()), [500, 503, 401]);
}

#[test]
fn delete_clears_what_is_pending() {
    let server = Server::demo();
    put_next(&server, r#"{"times":100,"code":500}"#);
    let answer = server.send(request("DELETE", NEXT, &[], ""));
    assert_eq!((answer.status, answer.text()), (204, ""));
    assert_eq!(login_status(&server), 200);
    assert_eq!(server.send(request("DELETE", NEXT, &[], "")).status, 204);
}

#[test]
fn a_fault_and_a_delay_can_be_pending_too() {
    let server = Server::demo();
    put_next(&server, r#"{"fault":"empty","delay_ms":1}"#);
    let mut connection = server.connect();
    connection.send(super::login_request(&[]));
    assert!(connection.answer_or_end().is_none());
    // The same login would count as a client's silent retry, and get the fault again.
    assert_eq!(login_with(&server, &[("X-Other", "1")]).status, 200);
}

#[test]
fn headers_of_a_request_win_and_use_nothing_up() {
    let server = Server::demo();
    put_next(&server, r#"{"code":503}"#);
    assert_eq!(login_with(&server, &[("Prefer", "code=401")]).status, 401);
    assert_eq!(login_with(&server, &[("X-Stub-Delay", "0")]).status, 200);
    assert_eq!(login_with(&server, &[("Prefer", "code=999")]).status, 400);
    assert_eq!(login_status(&server), 503);
}

#[test]
fn an_entry_is_not_used_up_by_a_404_a_405_or_a_request_outside_of_the_api() {
    let server = Server::demo();
    put_next(&server, r#"{"code":503}"#);
    assert_eq!(get(&server, "/api/nothing/").status, 404);
    assert_eq!(get(&server, LOGIN).status, 405);
    assert_eq!(get(&server, "/healthz").status, 200);
    assert_eq!(get(&server, "/__stub/clock/").status, 200);
    assert_eq!(login_status(&server), 503);
}

#[test]
fn an_entry_with_a_path_applies_to_that_call_only() {
    let server = Server::demo();
    let detail = "/api/organizations/users/detail/3a7acb28-ab13-437e-8c35-46cf4f0bea49/";
    for (path, code) in [
        ("/api/organizations/", 500),
        (detail, 404),
        ("/api/organizations/users/detail/{user_uuid}/", 404),
    ] {
        put_next(&server, &json!({"code": code, "path": path}).to_string());
        assert_eq!(login_status(&server), 200, "{path}");
        let path = if path.contains('{') { detail } else { path };
        assert_eq!(get(&server, path).status, code, "{path}");
        assert_eq!(get(&server, path).status, 401, "{path}");
    }
}

#[test]
fn a_code_does_not_apply_to_calls_that_do_not_have_it() {
    let server = Server::demo();
    put_next(&server, r#"{"code":429,"fault":"reset"}"#);
    assert_eq!(get(&server, "/api/organizations/").status, 401);
    let mut connection = server.connect();
    connection.send(super::login_request(&[]));
    assert!(connection.answer_or_end().is_none());
}

/// The answer to a request, without the check against the OpenAPI description.
fn undescribed(server: &Server, bytes: Vec<u8>) -> Answer {
    let mut connection = server.connect().unchecked();
    connection.send(bytes);
    connection.answer()
}

#[test]
fn any_code_can_be_answered() {
    let server = Server::demo();
    for code in [201, 206, 302, 304, 418, 451, 502, 504, 599] {
        put_next(&server, &json!({"code": code, "times": 2}).to_string());
        for path in ["/api/organizations/", LOGIN] {
            let method = if path == LOGIN { "POST" } else { "GET" };
            let answer = undescribed(&server, request(method, path, &[], ""));
            assert_eq!((answer.status, answer.text()), (code, ""), "{path}");
            let length = (code != 304).then_some("0");
            assert_eq!(answer.header("content-length"), length, "{code}");
            assert_eq!(answer.header("content-type"), None);
        }
    }
    assert_eq!(login_status(&server), 200);
}

#[test]
fn a_custom_answer_has_its_code_body_and_headers() {
    let server = Server::demo();
    let html = json!({
        "code": 502,
        "body": "<html>Bad Gateway</html>",
        "headers": {"Content-Type": "text/html", "cache-control": "max-age=1", "X-Request-Id": "a b"},
    });
    let mut expected = html.clone();
    for (key, value) in [("times", json!(1)), ("delay_ms", json!(0))] {
        expected[key] = value;
    }
    for key in ["fault", "path"] {
        expected[key] = Value::Null;
    }
    assert_eq!(put_next(&server, &html.to_string()), expected);
    let answer = undescribed(&server, login_request(&[]));
    assert_eq!(
        (answer.status, answer.text()),
        (502, "<html>Bad Gateway</html>")
    );
    for (name, value) in [
        ("content-type", "text/html"),
        ("cache-control", "max-age=1"),
        ("x-request-id", "a b"),
        ("x-content-type-options", "nosniff"),
        ("content-length", "24"),
    ] {
        let values = answer
            .headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name));
        let values: Vec<_> = values.map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, [value], "{name}");
    }
    for (body, content_type) in [
        (
            r#"{"z": 1.0, "a": [null, 12345678901234567890123]}"#,
            "application/json",
        ),
        ("[1]", "application/json"),
        ("false", "application/json"),
        (r#""""#, "text/plain; charset=utf-8"),
    ] {
        put_next(&server, &format!(r#"{{"body":{body}}}"#));
        let answer = undescribed(&server, login_request(&[]));
        assert_eq!(answer.status, 200, "{body}");
        assert_eq!(answer.text(), body.trim_matches('"'));
        assert_eq!(answer.header("content-type"), Some(content_type));
        assert!(!answer.text().contains("auth_token"));
    }
    // A custom body is allowed with every code, documented or not, for this call or for another.
    for code in [204, 401, 404] {
        let body = if code == 204 {
            Value::Null
        } else {
            json!([code])
        };
        put_next(
            &server,
            &json!({"code": code, "body": body, "headers": {"X-Y": "z"}}).to_string(),
        );
        let answer = undescribed(&server, login_request(&[]));
        assert_eq!((answer.status, answer.header("x-y")), (code, Some("z")));
        assert_eq!(
            answer.text(),
            if code == 204 {
                String::new()
            } else {
                format!("[{code}]")
            }
        );
    }
}

#[test]
fn headers_alone_are_added_to_the_real_answer() {
    let server = Server::demo();
    put_next(&server, r#"{"headers":{"X-Request-Id":"1"}}"#);
    let answer = undescribed(&server, login_request(&[]));
    assert_eq!(answer.header("x-request-id"), Some("1"));
    assert_eq!(answer.header("preference-applied"), None);
    assert_eq!(
        answer.text(),
        undescribed(&server, login_request(&[])).text()
    );
    put_next(&server, r#"{"code":503,"headers":{"retry-after":"30"}}"#);
    let answer = undescribed(&server, login_request(&[]));
    assert_eq!(
        (answer.status, answer.header("retry-after")),
        (503, Some("30"))
    );
    assert!(answer.field("detail").starts_with("Service temporarily"));
    let headers: serde_json::Map<_, _> = (0..24).map(|n| (format!("X-{n}"), "v".into())).collect();
    put_next(&server, &json!({"headers": headers}).to_string());
    assert_eq!(
        undescribed(&server, login_request(&[])).header("x-23"),
        Some("v")
    );
    let more: serde_json::Map<_, _> = (0..25).map(|n| (format!("X-{n}"), "v".into())).collect();
    let answer = steer(&server, "PUT", NEXT, &json!({"headers": more}).to_string());
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[test]
fn an_example_can_be_pending_for_the_calls_that_have_it() {
    let server = Server::demo();
    assert_eq!(
        put_next(&server, r#"{"example":"blank"}"#)["example"],
        "blank"
    );
    assert_eq!(get(&server, "/api/organizations/").status, 401);
    let answer = server.login(JWEIR, PASSWORD);
    assert_eq!(answer.status, 400);
    assert!(
        answer
            .text()
            .starts_with(r#"{"username":["This field may not be blank."]"#)
    );
    put_next(
        &server,
        r#"{"code":401,"example":"spaces","path":"/api/organizations/"}"#,
    );
    let answer = get(&server, "/api/organizations/");
    assert!(answer.field("detail").contains("should not contain spaces"));
}

#[test]
fn wrong_input_is_reported_and_changes_nothing() {
    let server = Server::demo();
    put_next(&server, r#"{"code":503}"#);
    for (body, key) in [
        (r#"{"times":0}"#, "times"),
        (r#"{"times":-1}"#, "times"),
        (r#"{"times":1.5}"#, "times"),
        (r#"{"times":"1"}"#, "times"),
        (r#"{"code":199}"#, "code"),
        (r#"{"code":600}"#, "code"),
        (r#"{"code":204,"body":"x"}"#, "body"),
        (r#"{"code":304,"body":{}}"#, "body"),
        (r#"{"headers":[]}"#, "headers"),
        (r#"{"headers":{"X-Y":1}}"#, "headers"),
        (r#"{"headers":{"X-Y":"a","x-y":"b"}}"#, "headers"),
        (r#"{"headers":{"X-Y":"a","X-Y":"b"}}"#, "headers"),
        (r#"{"headers":{"X-Gate-Delay":"1"}}"#, "headers"),
        (r#"{"headers":{"Content-Length":"1"}}"#, "headers"),
        (r#"{"headers":{"X-Y":"a\r\nX-Z: b"}}"#, "headers"),
        (r#"{"example":"nothing"}"#, "example"),
        (r#"{"example":"blank","code":401}"#, "example"),
        (
            r#"{"example":"blank","path":"/api/organizations/"}"#,
            "example",
        ),
        (r#"{"example":"blank","body":"x"}"#, "example"),
        (r#"{"example":1}"#, "example"),
        (r#"{"code":"503"}"#, "code"),
        (
            r#"{"code":204,"path":"/api/organizations/user-login/"}"#,
            "code",
        ),
        (r#"{"delay_ms":60001}"#, "delay_ms"),
        (r#"{"delay_ms":true}"#, "delay_ms"),
        (r#"{"fault":"explode"}"#, "fault"),
        (r#"{"fault":1}"#, "fault"),
        (r#"{"path":"/api/nothing/"}"#, "path"),
        (r#"{"path":"/healthz"}"#, "path"),
        (r#"{"path":[]}"#, "path"),
        (r#"{"delay":1}"#, "delay"),
    ] {
        let answer = steer(&server, "PUT", NEXT, body);
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        let faults = answer.json();
        assert_eq!(faults.as_object().unwrap().len(), 1, "{body}: {answer:?}");
        assert!(faults[key][0].is_string(), "{body}: {answer:?}");
    }
    let both = steer(&server, "PUT", NEXT, r#"{"times":0,"fault":"x","y":1}"#).json();
    assert_eq!(both.as_object().unwrap().len(), 3, "{both}");
    let list = r#"[{"code":401},{"times":0,"y":1},{"fault":"x"}]"#;
    let of_each = steer(&server, "PUT", NEXT, list).json();
    let keys: Vec<Vec<_>> = of_each.as_array().unwrap().iter().map(keys).collect();
    assert_eq!(keys, [vec![], vec!["times", "y"], vec!["fault"]]);
    for (label, bytes, status) in [
        ("no media type", request("PUT", NEXT, &[], "{}"), 415),
        (
            "too long",
            request("PUT", NEXT, &[JSON], " ".repeat(20_000)),
            413,
        ),
        ("not JSON", request("PUT", NEXT, &[JSON], "{"), 400),
        ("an empty list", request("PUT", NEXT, &[JSON], "[]"), 400),
        ("no orders", request("PUT", NEXT, &[JSON], "[1]"), 400),
        ("a list in it", request("PUT", NEXT, &[JSON], "[[{}]]"), 400),
    ] {
        assert_eq!(server.send(bytes).status, status, "{label}");
    }
    assert_eq!(login_status(&server), 503);
}

fn keys(object: &Value) -> Vec<&str> {
    let object = object.as_object().unwrap();
    object.keys().map(String::as_str).collect()
}
