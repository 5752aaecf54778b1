//! `/__stub/next/`: what becomes of the next API requests.

use serde_json::{Value, json};

use super::{get, login_with, put_next, steer};
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{JSON, LOGIN, Server, request};

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
fn a_list_is_used_in_its_order_and_shows_how_much_of_it() {
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
fn of_a_list_the_first_that_is_meant_is_used() {
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
fn delete_clears_it() {
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
    assert_eq!(login_status(&server), 200);
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
fn neither_404_nor_405_nor_what_is_no_api_request_uses_it_up() {
    let server = Server::demo();
    put_next(&server, r#"{"code":503}"#);
    assert_eq!(get(&server, "/api/nothing/").status, 404);
    assert_eq!(get(&server, LOGIN).status, 405);
    assert_eq!(get(&server, "/healthz").status, 200);
    assert_eq!(get(&server, "/__stub/clock/").status, 200);
    assert_eq!(login_status(&server), 503);
}

#[test]
fn with_a_path_only_that_call_is_meant() {
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
fn a_code_leaves_calls_alone_that_do_not_have_it() {
    let server = Server::demo();
    put_next(&server, r#"{"code":429,"fault":"reset"}"#);
    assert_eq!(get(&server, "/api/organizations/").status, 401);
    let mut connection = server.connect();
    connection.send(super::login_request(&[]));
    assert!(connection.answer_or_end().is_none());
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
        (r#"{"code":418}"#, "code"),
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
