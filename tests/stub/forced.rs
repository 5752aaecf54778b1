//! `Prefer: code=…`: documented answers on request.

use serde_json::Value;

use super::{get, login_request, login_with, requests};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{JSON, LOGIN, Place, Server, login_body, request};

const UUID: &str = "3a7acb28-ab13-437e-8c35-46cf4f0bea49";

#[test]
fn every_documented_answer_of_every_call_can_be_forced() {
    let server = Server::demo();
    let description = get(&server, "/openapi.json").json();
    let mut forced = 0;
    for (template, item) in description["paths"].as_object().unwrap() {
        if !template.starts_with("/api/") {
            continue;
        }
        let path = template.replace("{user_uuid}", UUID);
        for method in ["get", "post"] {
            let Some(responses) = item[method]["responses"].as_object() else {
                continue;
            };
            for (code, response) in responses {
                let prefer = format!("code={code}");
                let answer = server.send(request(
                    &method.to_uppercase(),
                    &path,
                    &[("Prefer", &prefer)],
                    "",
                ));
                let label = format!("{method} {path} {code}: {answer:?}");
                assert_eq!(answer.status.to_string(), *code, "{label}");
                assert_eq!(
                    answer.header("preference-applied"),
                    Some(&*prefer),
                    "{label}"
                );
                if let Some(examples) =
                    response["content"]["application/json"]["examples"].as_object()
                {
                    let is_example = |example: &Value| example["value"] == answer.json();
                    assert!(examples.values().any(is_example), "{label}");
                    assert!(!answer.text().contains(": "), "{label}");
                } else {
                    assert_eq!(answer.text(), "", "{label}");
                    assert_eq!(answer.header("content-type"), None, "{label}");
                }
                for name in response["headers"]
                    .as_object()
                    .into_iter()
                    .flat_map(|all| all.keys())
                {
                    assert!(answer.header(name).is_some(), "{name} of {label}");
                }
                forced += 1;
            }
        }
    }
    assert!(forced > 40, "{forced}");
}

#[test]
fn a_forced_login_has_the_published_body_and_a_forced_refusal_its_headers() {
    let server = Server::demo();
    let published = server.login(JWEIR, PASSWORD);
    let forced = login_with(&server, &[("Prefer", "code=200")]);
    assert_eq!(forced.text(), published.text());
    for (code, name, value, text) in [
        (
            400,
            "preference-applied",
            "code=400",
            r#"{"username":["This field is required."],"password":["This field is required."]}"#,
        ),
        (
            401,
            "www-authenticate",
            "Token",
            r#"{"detail":"Unable to log in with provided credentials."}"#,
        ),
        (
            405,
            "allow",
            "POST",
            r#"{"detail":"Method \"GET\" not allowed."}"#,
        ),
        (
            429,
            "retry-after",
            "1",
            r#"{"detail":"Request was throttled. Expected available in 1 second."}"#,
        ),
        (
            503,
            "retry-after",
            "1",
            r#"{"detail":"Service temporarily unavailable, try again later."}"#,
        ),
    ] {
        let answer = login_with(&server, &[("Prefer", &format!("code={code}"))]);
        assert_eq!(answer.status, code);
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
        assert_eq!(answer.text(), text);
    }
}

#[test]
fn a_code_is_found_among_other_preferences_and_nothing_else_is_looked_at() {
    let server = Server::demo();
    for prefer in [
        "respond-async, code=503",
        "Code=\"503\"; x=y, wait=10",
        "code=503, code=200",
    ] {
        let answer = login_with(&server, &[("Prefer", prefer)]);
        assert_eq!(answer.status, 503, "{prefer}");
        assert_eq!(answer.header("preference-applied"), Some("code=503"));
    }
    let answer = login_with(&server, &[("Prefer", "dynamic=true, return=minimal")]);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("preference-applied"), None);
}

#[test]
fn a_code_that_the_call_does_not_have_is_refused_with_those_it_has() {
    let server = Server::demo();
    for code in ["204", "418", "", "abc", "2000000", "-200", "503x"] {
        let answer = login_with(&server, &[("Prefer", &format!("code={code}"))]);
        assert_eq!(answer.status, 400, "{code}: {answer:?}");
        assert_eq!(answer.header("preference-applied"), None);
        let detail = answer.field("detail");
        for known in [
            "200", "400", "401", "403", "404", "405", "413", "415", "429", "500", "503",
        ] {
            assert!(detail.contains(known), "{known} in {detail}");
        }
    }
    let answer = server.send(request(
        "GET",
        "/api/organizations/",
        &[("Prefer", "code=404")],
        "",
    ));
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[test]
fn every_documented_example_can_be_chosen() {
    let server = Server::demo();
    let description = get(&server, "/openapi.json").json();
    let responses = &description["paths"][LOGIN]["post"]["responses"];
    for (code, response) in responses.as_object().unwrap() {
        let examples = &response["content"]["application/json"]["examples"];
        for (name, example) in examples.as_object().unwrap() {
            let prefer = format!("code={code}, example={name}");
            let answer = login_with(&server, &[("Prefer", &prefer)]);
            assert_eq!(answer.status.to_string(), *code, "{prefer}");
            assert_eq!(answer.json(), example["value"], "{prefer}");
            assert_eq!(answer.header("preference-applied"), Some(&*prefer));
        }
    }
    for (prefer, applied, body) in [
        (
            "example=\"null\"",
            "code=400, example=null",
            r#"{"username":["This field may not be null."],"password":["This field may not be null."]}"#,
        ),
        (
            "respond-async; x=y, Example=not_a_dictionary",
            "code=400, example=not_a_dictionary",
            r#"{"non_field_errors":["Invalid data. Expected a dictionary, but got str."]}"#,
        ),
        (
            "example=default",
            "code=401, example=default",
            r#"{"detail":"Unable to log in with provided credentials."}"#,
        ),
    ] {
        let answer = login_with(&server, &[("Prefer", prefer)]);
        assert_eq!(answer.header("preference-applied"), Some(applied));
        assert_eq!(answer.text(), body);
    }
    let fields = [("Prefer", "code=401, example=missing")];
    let answer = server.send(request("GET", "/api/organizations/", &fields, ""));
    assert_eq!(
        (answer.status, answer.header("www-authenticate")),
        (401, Some("Token"))
    );
}

#[test]
fn an_example_that_the_call_does_not_have_is_refused_with_those_it_has() {
    let server = Server::demo();
    for (prefer, listed, not_listed) in [
        (
            "example=x",
            "published (200), required (400), blank (400)",
            "missing",
        ),
        ("example=", "default (401)", "missing"),
        (
            "code=400, example=published",
            "required (400)",
            "published (200)",
        ),
        ("code=401, example=blank", "has: default (401).", "400"),
    ] {
        let answer = login_with(&server, &[("Prefer", prefer)]);
        assert_eq!(answer.status, 400, "{prefer}: {answer:?}");
        assert_eq!(answer.header("preference-applied"), None);
        let detail = answer.field("detail");
        assert!(detail.starts_with("Prefer: "), "{detail}");
        assert!(detail.contains(listed), "{listed} in {detail}");
        assert!(!detail.contains(not_listed), "{not_listed} in {detail}");
    }
    let answer = login_with(&server, &[("Prefer", "code=418, example=blank")]);
    assert!(answer.field("detail").contains("a code that this call has"));
}

#[test]
fn path_and_method_are_checked_before_and_everything_else_after() {
    let server = Server::demo();
    let prefer = [("Prefer", "code=503")];
    assert_eq!(
        server
            .send(request("POST", "/api/nothing/", &prefer, ""))
            .status,
        404
    );
    assert_eq!(server.send(request("GET", LOGIN, &prefer, "")).status, 405);
    assert_eq!(
        server.send(request("GET", "/healthz", &prefer, "")).status,
        200
    );
    for (label, bytes) in [
        (
            "no media type, no body",
            request("POST", LOGIN, &prefer, ""),
        ),
        ("not JSON", request("POST", LOGIN, &[JSON, prefer[0]], "{")),
        (
            "too long",
            request("POST", LOGIN, &[JSON, prefer[0]], "x".repeat(20_000)),
        ),
    ] {
        assert_eq!(server.send(bytes).status, 503, "{label}");
    }
}

#[test]
fn a_forced_answer_counts_nothing_and_stores_nothing() {
    let fixture = accounts::retailer([accounts::user(JWEIR)]);
    let server = Place::new().serve_demo(
        &fixture,
        &[
            "--failed-logins-per-user",
            "1",
            "--max-tokens-per-user",
            "1",
        ],
    );
    let token = server.login(JWEIR, PASSWORD).token();
    for code in ["401", "401", "429", "200"] {
        let body = login_body(JWEIR, "wrong");
        let fields = [JSON, ("Prefer", &format!("code={code}"))];
        assert_eq!(
            server
                .send(request("POST", LOGIN, &fields, body))
                .status
                .to_string(),
            code
        );
    }
    // The user may have one token, and it is still the first one; one failed login is allowed, and none has been counted.
    let authorization = format!("Token {token}");
    let fields = [("Authorization", &*authorization)];
    assert_eq!(
        server
            .send(request("GET", "/api/organizations/", &fields, ""))
            .status,
        200
    );
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    assert_eq!(server.login(JWEIR, "wrong").status, 429);
}

#[test]
fn a_forced_answer_to_head_is_that_to_get_without_its_body() {
    let server = Server::demo();
    let prefer = [("Prefer", "code=200")];
    let path = "/api/organizations/";
    let expected = server.send(request("GET", path, &prefer, ""));
    let mut connection = server.connect();
    connection.send(request("HEAD", path, &prefer, ""));
    let answer = connection.answer_to_head();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-length"),
        expected.header("content-length")
    );
}

#[test]
fn a_real_server_forces_no_answer() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&[]);
    for (path, methods) in super::STUB_CALLS.iter().chain(&[("/", &["GET"][..])]) {
        for method in *methods {
            let mut connection = server.connect();
            connection.send(request(method, path, &[], ""));
            let answer = match *method {
                "HEAD" => connection.answer_to_head(),
                _ => connection.answer(),
            };
            assert_eq!(answer.status, 404, "{method} {path}");
        }
    }
    let steering = [
        ("Prefer", "code=503"),
        ("X-Stub-Delay", "60000"),
        ("X-Stub-Fault", "reset"),
        ("X-Gate-Delay", "60000"),
        ("X-Gate-Fault", "reset"),
        ("Origin", "http://localhost:3000"),
    ];
    let answer = server.send(login_request(&steering));
    assert_eq!(answer.status, 200);
    for name in ["preference-applied", "access-control-allow-origin", "vary"] {
        assert_eq!(answer.header(name), None, "{name}");
    }
}

#[test]
fn the_journal_has_the_forced_status() {
    let server = Server::demo();
    login_with(&server, &[("Prefer", "code=503")]);
    assert_eq!(requests(&server)[0]["status"], 503);
}
