//! `/__stub/accounts/`, `/__stub/reset/`, and which clients may call anything below `/__stub/`.

use serde_json::{Value, json};

use super::clock::{advance, organization};
use super::{STUB_CALLS, get, put_next, requests, steer};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{JSON, Place, Server, request};

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

const SUPPLIER: &str = "supplier@projectthanos.com";

fn path(username: &str) -> String {
    format!("/__stub/accounts/{username}/")
}

#[track_caller]
fn put(server: &Server, username: &str, body: &Value) -> Value {
    let answer = steer(server, "PUT", &path(username), &body.to_string());
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn remove(server: &Server, username: &str) -> u16 {
    server
        .send(request("DELETE", &path(username), &[], ""))
        .status
}

fn accounts_of(server: &Server) -> Vec<Value> {
    let all = get(server, "/__stub/accounts/").json();
    all["accounts"].as_array().unwrap().clone()
}

#[track_caller]
fn reset(server: &Server) {
    let answer = server.send(request("POST", "/__stub/reset/", &[], ""));
    assert_eq!((answer.status, answer.text()), (204, ""));
}

#[test]
fn an_account_can_be_added_changed_and_removed() {
    let server = Server::demo();
    let before = accounts_of(&server);
    let wanted = json!({
        "password": "newcomer", "user_status": "ACTIVE", "org": "New & Co", "org_type": "SUPPLIER", "org_status": "ACTIVE",
    });
    let mut expected = wanted.clone();
    expected["username"] = "New+er/1@x.example".into();
    assert_eq!(put(&server, "New+er%2F1%40x.example", &wanted), expected);
    let mut all = before.clone();
    all.push(expected);
    assert_eq!(accounts_of(&server), all);
    let login = server.login("new+er/1@x.example", "newcomer");
    assert_eq!(login.field("org_type"), "SUPPLIER");
    assert_eq!(login.field("retailer_uuid"), "");
    let organization = organization(&server, &login.token()).json();
    assert_eq!(organization["name"], "New & Co");

    // Fields that are left out stay unchanged, and nothing is added twice.
    let name = "new%2Ber%2F1@X.example";
    let words = json!({"org_status": "pending", "user_status": "Active", "org_type": "supplier"});
    let changed = put(&server, name, &words);
    assert_eq!(changed["username"], "New+er/1@x.example");
    assert_eq!(changed["password"], "newcomer");
    assert_eq!(changed["org_status"], "PENDING");
    assert_eq!(accounts_of(&server).len(), all.len());
    let status = |password: &str| server.login("new+er/1@x.example", password).status;
    assert_eq!(status("newcomer"), 403);
    put(
        &server,
        name,
        &json!({"org": "projectthanos", "password": "other"}),
    );
    assert_eq!((status("newcomer"), status("other")), (401, 200));

    assert_eq!(remove(&server, name), 204);
    assert_eq!(accounts_of(&server), before);
    assert_eq!(status("other"), 401);
    assert_eq!(remove(&server, name), 404);
}

#[test]
fn a_new_account_needs_only_a_name() {
    let server = Server::demo();
    let account = put(&server, "somebody", &json!({}));
    let password = account["password"].as_str().unwrap();
    let expected = json!({
        "username": "somebody", "password": password, "user_status": "ACTIVE",
        "org": "somebody", "org_type": "RETAILER", "org_status": "ACTIVE",
    });
    assert_eq!(account, expected);
    assert_eq!(server.login("somebody", password).status, 200);
    // The account has its own organization, so others do not see it.
    put(&server, "somebody", &json!({"org_status": "DEACTIVATED"}));
    assert_eq!(server.login("somebody", password).status, 403);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    let org = server.login(JWEIR, PASSWORD).field("org_uuid");
    let moved = put(&server, "somebody", &json!({"org": org}));
    assert_eq!(moved["org"], "projectthanos");
    assert_eq!(server.login("somebody", password).field("org_uuid"), org);
}

#[test]
fn tokens_end_with_a_changed_status_or_password_or_the_account() {
    let server = Server::demo();
    let token = || server.login(SUPPLIER, "thanossupplies").token();
    let status = |token: &str| organization(&server, token).status;
    let first = token();
    put(
        &server,
        SUPPLIER,
        &json!({"user_status": "ACTIVE", "password": "thanossupplies"}),
    );
    assert_eq!(status(&first), 200, "nothing has changed");
    put(&server, SUPPLIER, &json!({"user_status": "DEACTIVATED"}));
    assert_eq!(status(&first), 401);
    assert_eq!(server.login(SUPPLIER, "thanossupplies").status, 403);
    put(&server, SUPPLIER, &json!({"user_status": "ACTIVE"}));
    assert_eq!(status(&first), 401);
    let second = token();
    put(&server, SUPPLIER, &json!({"password": "another"}));
    assert_eq!(status(&second), 401);
    let third = server.login(SUPPLIER, "another").token();
    put(&server, SUPPLIER, &json!({"org_status": "DEACTIVATED"}));
    assert_eq!(status(&third), 401);
    put(&server, SUPPLIER, &json!({"org_status": "ACTIVE"}));
    assert_eq!(status(&third), 200);
    let pinned = server.login(JWEIR, PASSWORD).token();
    put(&server, JWEIR, &json!({"org_type": "SUPPLIER"}));
    assert_eq!(server.login(JWEIR, PASSWORD).token(), pinned);
    assert_eq!(remove(&server, JWEIR), 204);
    assert_eq!(status(&pinned), 401);
}

#[test]
fn reset_undoes_all_changes_to_accounts() {
    let server = Server::demo();
    let before = accounts_of(&server);
    let login = server.login(JWEIR, PASSWORD);
    let detail = format!(
        "/api/organizations/users/detail/{}/",
        login.field("user_uuid")
    );
    let authorization = format!("Token {}", login.token());
    let seen = || {
        let fields = [("Authorization", &*authorization)];
        let answers = [
            "/api/organizations/",
            "/api/organizations/users/all/",
            &detail,
        ]
        .map(|path| {
            server
                .send(request("GET", path, &fields, ""))
                .text()
                .to_owned()
        });
        (answers, server.login(JWEIR, PASSWORD).text().to_owned())
    };
    let at_start = seen();
    assert!(at_start.0[0].contains("projectthanos"), "{at_start:?}");
    let change = json!({
        "password": "x", "user_status": "DEACTIVATED", "org_status": "PENDING", "org_type": "SUPPLIER",
    });
    for round in 0..2 {
        put(&server, JWEIR, &change);
        put(
            &server,
            JWEIR,
            &json!({"org": "elsewhere", "org_type": "SUPPLIER"}),
        );
        if round == 0 {
            assert_eq!(remove(&server, JWEIR), 204);
            let again = JWEIR.to_uppercase();
            put(&server, &again, &json!({"org": "elsewhere"}));
        }
        put(&server, "somebody", &json!({"password": "x"}));
        put(&server, SUPPLIER, &json!({"org": "projectthanos"}));
        assert_eq!(remove(&server, "waiting@projectthanos.com"), 204);
        reset(&server);
        assert_eq!(accounts_of(&server), before);
        assert_eq!(seen(), at_start);
        assert_eq!(server.login("somebody", "x").status, 401);
        let supplier = server.login(SUPPLIER, "thanossupplies").token();
        assert_eq!(
            organization(&server, &supplier).json()["name"],
            "Thanos Supply Co"
        );
        assert_eq!(
            server.login("waiting@projectthanos.com", PASSWORD).status,
            403
        );
    }
}

#[test]
fn reset_restores_fields_that_a_fixture_omits_too() {
    let fixture = accounts::retailer([json!({"username": "one", "password": "first-one"})]);
    let server = Place::new().serve_demo(&fixture, &[]);
    let before = accounts_of(&server);
    put(
        &server,
        "one",
        &json!({"user_status": "DEACTIVATED", "org_status": "PENDING"}),
    );
    assert_eq!(server.login("one", "first-one").status, 403);
    reset(&server);
    assert_eq!(server.login("one", "first-one").status, 200);
    assert_eq!(accounts_of(&server), before);
}

#[test]
fn wrong_accounts_are_reported_and_change_nothing() {
    let server = Server::demo();
    let before = accounts_of(&server);
    for (username, body, key) in [
        (JWEIR, r#"{"password":""}"#, "password"),
        (JWEIR, r#"{"password":1}"#, "password"),
        (JWEIR, r#"{"user_status":"PENDING"}"#, "user_status"),
        (
            JWEIR,
            r#"{"org_status":"CONFIRMATION WAITING"}"#,
            "org_status",
        ),
        (JWEIR, r#"{"org_type":"SHOP"}"#, "org_type"),
        (JWEIR, r#"{"org":" "}"#, "org"),
        (JWEIR, r#"{"org":[]}"#, "org"),
        (JWEIR, r#"{"status":"ACTIVE"}"#, "status"),
        ("%20", "{}", "username"),
        ("%FF", "{}", "username"),
        ("a%00", "{}", "username"),
        ("a%07b", "{}", "username"),
    ] {
        let answer = steer(&server, "PUT", &path(username), body);
        assert_eq!(answer.status, 400, "{username} {body}: {answer:?}");
        let faults = answer.json();
        assert_eq!(faults.as_object().unwrap().len(), 1, "{body}: {answer:?}");
        assert!(faults[key][0].is_string(), "{body}: {answer:?}");
    }
    let long = json!({"password": "x".repeat(73)}).to_string();
    let answer = steer(&server, "PUT", &path(JWEIR), &long);
    assert_eq!(answer.status, 400, "{answer:?}");
    for (bytes, status) in [
        (request("PUT", &path(JWEIR), &[], "{}"), 415),
        (request("PUT", &path("%20"), &[], "{}"), 415),
        (request("PUT", &path(JWEIR), &[JSON], "[]"), 400),
        (request("PUT", &path(JWEIR), &[JSON], "{"), 400),
        (request("PUT", "/__stub/accounts/a/b/", &[JSON], "{}"), 404),
        (request("PUT", "/__stub/accounts/a", &[JSON], "{}"), 404),
        (request("DELETE", &path("nobody"), &[], ""), 404),
        (request("DELETE", &path("%FF"), &[], ""), 400),
    ] {
        assert_eq!(server.send(bytes).status, status);
    }
    assert_eq!(accounts_of(&server), before);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
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
fn other_paths_and_methods_are_refused_as_in_the_rest_of_the_api() {
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
    for (path, methods) in STUB_CALLS.iter().chain(&[("/", &["GET", "HEAD"][..])]) {
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
    for (path, methods) in STUB_CALLS {
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
