//! Pages of other origins, in a demo and in a real server.

use super::{login_request, login_with};
use crate::harness::accounts::{self, JWEIR};
use crate::harness::{Answer, LOGIN, Place, Server, request};

const PAGE: &str = "http://localhost:3000";

fn preflight(server: &Server, path: &str, origin: &str) -> Answer {
    let fields = [
        ("Origin", origin),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
    ];
    server.send(request("OPTIONS", path, &fields, ""))
}

#[track_caller]
fn assert_allowed(answer: &Answer, origin: &str) {
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some(origin),
        "{answer:?}"
    );
    assert_eq!(answer.header("vary"), Some("Origin"), "{answer:?}");
    assert_eq!(
        answer.header("access-control-allow-credentials"),
        None,
        "{answer:?}"
    );
    let exposed = answer.header("access-control-expose-headers").unwrap();
    for name in ["Retry-After", "WWW-Authenticate"] {
        assert!(exposed.contains(name), "{answer:?}");
    }
}

#[track_caller]
fn assert_not_allowed(answer: &Answer) {
    for (name, _) in &answer.headers {
        assert!(
            !name.to_ascii_lowercase().starts_with("access-control"),
            "{answer:?}"
        );
    }
}

#[test]
fn pages_of_this_machine_may_call_a_demo() {
    let server = Server::demo();
    for origin in [
        PAGE,
        "https://localhost",
        "http://127.0.0.1:8080",
        "https://[::1]:1",
        "http://app.localhost:3000",
        "http://[::1]:80",
    ] {
        let answer = preflight(&server, LOGIN, origin);
        assert_eq!((answer.status, answer.text()), (204, ""), "{answer:?}");
        assert_allowed(&answer, origin);
        assert_eq!(answer.header("access-control-allow-methods"), Some("POST"));
        let headers = answer.header("access-control-allow-headers").unwrap();
        for name in [
            "Authorization",
            "Content-Type",
            "Prefer",
            "X-Stub-Delay",
            "X-Stub-Fault",
        ] {
            assert!(headers.contains(name), "{headers}");
        }
        let forced = login_with(&server, &[("Origin", origin), ("Prefer", "code=429")]);
        assert_eq!(forced.status, 429);
        assert_allowed(&forced, origin);
        let exposed = forced.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("Preference-Applied"), "{exposed}");
    }
    for (label, bytes, status) in [
        ("login", login_request(&[("Origin", PAGE)]), 200),
        (
            "no such path",
            request("GET", "/api/x/", &[("Origin", PAGE)], ""),
            404,
        ),
        (
            "no such method",
            request("GET", LOGIN, &[("Origin", PAGE)], ""),
            405,
        ),
        (
            "wrong header",
            login_request(&[("Origin", PAGE), ("X-Stub-Delay", "x")]),
            400,
        ),
    ] {
        let answer = server.send(bytes);
        assert_eq!(answer.status, status, "{label}");
        assert_allowed(&answer, PAGE);
    }
}

#[test]
fn pages_of_elsewhere_may_not_and_neither_is_what_is_no_api_call_for_them() {
    let server = Server::demo();
    for origin in [
        "https://evil.example",
        "null",
        "http://localhost.evil.example",
        "http://evillocalhost:3000",
        "http://localhost:65536",
        "http://localhost:03000",
        "http://localhost:",
        "",
    ] {
        let answer = preflight(&server, LOGIN, origin);
        assert_eq!(answer.status, 405, "{origin}");
        assert_not_allowed(&answer);
        let answer = login_with(&server, &[("Origin", origin)]);
        assert_eq!(answer.status, 200, "{origin}");
        assert_not_allowed(&answer);
    }
    for path in ["/__stub/clock/", "/healthz", "/openapi.json", "/"] {
        assert_not_allowed(&preflight(&server, path, PAGE));
        assert_not_allowed(&server.send(request("GET", path, &[("Origin", PAGE)], "")));
    }
    // OPTIONS that asks for nothing is no preflight.
    let answer = server.send(request("OPTIONS", LOGIN, &[("Origin", PAGE)], ""));
    assert_eq!(answer.status, 405);
    assert_eq!(preflight(&server, "/api/nothing/", PAGE).status, 404);
}

#[test]
fn a_real_server_lets_in_the_origins_that_it_is_told() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let shops = ["https://shop.example", "http://localhost:8081"];
    let server = place.serve(&["--cors-origin", shops[0], "--cors-origin", shops[1]]);
    for origin in shops {
        let answer = preflight(&server, LOGIN, origin);
        assert_eq!(answer.status, 204);
        assert_allowed(&answer, origin);
        let answer = server.send(login_request(&[("Origin", origin)]));
        assert_eq!(answer.status, 200);
        assert_allowed(&answer, origin);
    }
    for origin in [
        "https://shop.example:444",
        "http://shop.example",
        "https://SHOP.example",
        PAGE,
    ] {
        assert_eq!(preflight(&server, LOGIN, origin).status, 405, "{origin}");
        assert_not_allowed(&server.send(login_request(&[("Origin", origin)])));
    }
    let off = place.serve(&[]);
    assert_eq!(preflight(&off, LOGIN, shops[0]).status, 405);
    assert_not_allowed(&off.send(login_request(&[("Origin", shops[0])])));
}

#[test]
fn what_no_browser_would_send_is_no_origin() {
    let place = Place::new();
    for origin in [
        "*",
        "null",
        "",
        "https://shop.example/",
        "https://shop.example/path",
        "shop.example",
        "https://shop.example:65536",
        "https://shop.example:08443",
        "https://shop.example:443",
    ] {
        let run = place.run(&["serve", "--cors-origin", origin]);
        run.was_wrong_usage(origin);
    }
}
