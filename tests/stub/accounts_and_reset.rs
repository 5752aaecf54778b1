//! `/__stub/accounts/`, `/__stub/reset/`, and who may call anything below `/__stub/`.

use serde_json::json;

use super::clock::{advance, organization};
use super::{OWN, get, put_next, requests};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Place, Server, request};

#[test]
fn accounts_are_those_of_the_fixture() {
    let place = Place::new();
    let mut fixture = accounts::retailer([
        json!({"username": "clear", "password": "thanosrocks", "status": "DEACTIVATED"}),
        accounts::user("hashed"),
    ]);
    fixture["organizations"][0]["status"] = "PENDING".into();
    let server = place.serve_demo(&fixture, &[]);
    let account = |username: &str, password: Option<&str>, status: &str| {
        json!({
            "username": username, "password": password, "org": "projectthanos", "org_type": "RETAILER",
            "user_status": status, "org_status": "PENDING",
        })
    };
    let expected = json!({"accounts": [
        account("clear", Some("thanosrocks"), "DEACTIVATED"),
        account("hashed", None, "ACTIVE"),
    ]});
    assert_eq!(get(&server, "/__stub/accounts/").json(), expected);
    let demo = get(&Server::demo(), "/__stub/accounts/").json();
    assert_eq!(demo["accounts"].as_array().unwrap().len(), 5);
    assert_eq!(demo["accounts"][0]["username"], JWEIR);
    assert_eq!(demo["accounts"][0]["password"], PASSWORD);
}

#[test]
fn reset_puts_everything_back() {
    let fixture = accounts::retailer([accounts::user(JWEIR)]);
    let server = Place::new().serve_demo(&fixture, &["--failed-logins-per-user", "1"]);
    let token = server.login(JWEIR, PASSWORD).token();
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 429);
    put_next(&server, r#"{"times":100,"code":503}"#);
    advance(&server, "1h");
    let answer = server.send(request("POST", "/__stub/reset/", &[], ""));
    assert_eq!((answer.status, answer.text()), (204, ""));
    assert!(requests(&server).is_empty());
    assert_eq!(get(&server, "/__stub/clock/").json()["advanced_seconds"], 0);
    assert_eq!(organization(&server, &token).status, 401);
    let token = server.login(JWEIR, PASSWORD).token();
    assert_eq!(organization(&server, &token).status, 200);
}

#[test]
fn reset_leaves_pinned_tokens_alone() {
    let server = Server::demo();
    let token = server.login(JWEIR, PASSWORD).token();
    assert_eq!(
        server
            .send(request("POST", "/__stub/reset/", &[], ""))
            .status,
        204
    );
    assert_eq!(organization(&server, &token).status, 200);
    assert_eq!(server.login(JWEIR, PASSWORD).token(), token);
}

#[test]
fn other_paths_and_methods_are_refused_as_everywhere() {
    let server = Server::demo();
    for path in [
        "/__stub/",
        "/__stub",
        "/__stub/next",
        "/__stub/nothing/",
        "/index.html",
    ] {
        let answer = get(&server, path);
        assert_eq!(
            (answer.status, answer.text()),
            (404, r#"{"detail":"Not found."}"#),
            "{path}"
        );
    }
    for (path, methods) in OWN.iter().chain(&[("/", &["GET", "HEAD"][..])]) {
        let answer = server.send(request(
            "PATCH",
            path,
            &[("Origin", "https://evil.example")],
            "",
        ));
        assert_eq!(answer.status, 405, "{path}");
        assert_eq!(answer.header("allow"), Some(&*methods.join(", ")), "{path}");
        assert_eq!(
            answer.text(),
            r#"{"detail":"Method \"PATCH\" not allowed."}"#
        );
    }
}

#[test]
fn pages_of_other_origins_may_not_steer() {
    let server = Server::demo();
    let from = |method: &str, path: &str, host: &str, origin: &str| {
        let origin = match origin {
            "" => String::new(),
            origin => format!("Origin: {origin}\r\n"),
        };
        server.send(format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{origin}\r\n"
        ))
    };
    for (path, methods) in OWN {
        for method in methods.iter().filter(|method| **method != "HEAD") {
            for (host, origin) in [
                ("localhost", "https://evil.example"),
                ("localhost", "null"),
                ("localhost", "http://localhost.evil.example"),
                ("localhost", "http://localhost:65536"),
            ] {
                let answer = from(method, path, host, origin);
                assert_eq!(answer.status, 403, "{method} {path} {host} {origin}");
            }
        }
    }
    for (host, origin) in [
        ("localhost:8080", ""),
        ("LOCALHOST", "http://localhost:3000"),
        ("127.0.0.1:1", "https://127.0.0.1"),
        ("[::1]:80", "http://[::1]:80"),
        ("app.localhost:8080", "http://App.Localhost:3000"),
    ] {
        assert_eq!(
            from("GET", "/__stub/clock/", host, origin).status,
            200,
            "{host} {origin}"
        );
    }
    let remote = Server::demo_with(&["--allow-remote-demo"]);
    let steering = request(
        "GET",
        "/__stub/clock/",
        &[("Origin", "https://evil.example")],
        "",
    );
    assert_eq!(remote.send(steering).status, 200);
}

#[test]
fn calls_that_read_no_body_need_no_media_type() {
    let server = Server::demo();
    for (method, path, status) in [
        ("DELETE", "/__stub/next/", 204),
        ("DELETE", "/__stub/requests/", 204),
        ("GET", "/__stub/accounts/", 200),
        ("GET", "/__stub/clock/", 200),
        ("POST", "/__stub/reset/", 204),
    ] {
        for body in ["", "not JSON", &"x".repeat(20_000)] {
            assert_eq!(
                server.send(request(method, path, &[], body)).status,
                status,
                "{method} {path}"
            );
        }
    }
}
