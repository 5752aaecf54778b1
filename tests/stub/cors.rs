//! CORS: web pages of other origins that call a demo or a real server.

use super::{STUB_CALLS, login_request, login_with};
use crate::harness::accounts::{self, JWEIR};
use crate::harness::{Answer, JSON, LOGIN, Place, Server, request};

const PAGE: &str = "http://localhost:3000";

fn preflight(server: &Server, path: &str, origin: &str) -> Answer {
    preflight_for(server, path, origin, "POST", "content-type")
}

fn preflight_for(server: &Server, path: &str, origin: &str, method: &str, headers: &str) -> Answer {
    let fields = [
        ("Origin", origin),
        ("Access-Control-Request-Method", method),
        ("Access-Control-Request-Headers", headers),
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
        Some("true"),
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
fn pages_of_other_origins_may_make_no_call_and_no_page_may_make_others_than_api_calls() {
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
    for path in ["/healthz", "/openapi.json", "/"] {
        assert_not_allowed(&preflight(&server, path, PAGE));
        assert_not_allowed(&server.send(request("GET", path, &[("Origin", PAGE)], "")));
    }
    // OPTIONS without `Access-Control-Request-Method` is not a preflight.
    let answer = server.send(request("OPTIONS", LOGIN, &[("Origin", PAGE)], ""));
    assert_eq!(answer.status, 405);
    for path in [&LOGIN[..LOGIN.len() - 1], "/nothing-here", "/__stub/clock/"] {
        for method in ["OPTIONS", "GET"] {
            let fields = [
                ("Origin", "https://evil.example"),
                ("Access-Control-Request-Method", "POST"),
            ];
            assert_not_allowed(&server.send(request(method, path, &fields, "")));
        }
    }
}

#[test]
fn a_page_may_send_any_headers_that_its_preflight_names() {
    let place = Place::seeded(&accounts::retailer([]));
    let real = place.serve(&["--cors-origin", PAGE]);
    let asked = "traceparent,x-requested-with, X-CSRF-Token,content-type";
    for (server, known) in [
        (
            Server::demo(),
            "Authorization, Content-Type, Prefer, X-Stub-Delay, X-Stub-Fault",
        ),
        (real, "Authorization, Content-Type"),
    ] {
        let answer = preflight_for(&server, LOGIN, PAGE, "POST", asked);
        assert_allowed(&answer, PAGE);
        let expected = format!("{known}, traceparent, x-requested-with, X-CSRF-Token");
        assert_eq!(
            answer.header("access-control-allow-headers"),
            Some(&*expected)
        );
    }
}

#[test]
fn a_page_sees_that_a_path_or_a_method_is_not_there() {
    let place = Place::seeded(&accounts::retailer([]));
    let real = place.serve(&["--cors-origin", PAGE]);
    let without_slash = &LOGIN[..LOGIN.len() - 1];
    for server in [Server::demo(), real] {
        for (method, path, status, methods) in [
            ("POST", without_slash, 404, "POST"),
            ("PUT", "/api/nothing/", 404, "PUT"),
            ("POST", "/nothing-here", 404, "POST"),
            ("POST", "/__stub/nothing/", 404, "POST"),
            ("PATCH", LOGIN, 405, "POST, PATCH"),
        ] {
            let answer = preflight_for(&server, path, PAGE, method, "content-type");
            assert_eq!(answer.status, 204, "{path}");
            assert_allowed(&answer, PAGE);
            let allowed = answer.header("access-control-allow-methods");
            assert_eq!(allowed, Some(methods), "{path}");
            let answer = server.send(request(method, path, &[("Origin", PAGE), JSON], "{}"));
            assert_eq!(answer.status, status, "{path}");
            assert_allowed(&answer, PAGE);
        }
    }
}

#[test]
fn a_page_of_this_machine_or_of_an_allowed_host_may_steer() {
    let server = Server::demo_with(&["--allow-host", "host.docker.internal"]);
    for origin in [
        PAGE,
        "http://app.localhost",
        "http://host.docker.internal:3000",
    ] {
        for (path, methods) in STUB_CALLS {
            for method in *methods {
                let answer = preflight_for(&server, path, origin, method, "content-type");
                assert_eq!(answer.status, 204, "{method} {path}");
                assert_allowed(&answer, origin);
                let allowed = answer.header("access-control-allow-methods");
                assert_eq!(allowed, Some(&*methods.join(", ")), "{path}");
            }
        }
        let fields = [("Origin", origin), JSON];
        let clock = request("POST", "/__stub/clock/", &fields, r#"{"advance":"1m"}"#);
        let answer = server.send(clock);
        assert_eq!(answer.status, 200, "{origin}");
        assert_allowed(&answer, origin);
        let answer = server.send(request("POST", "/__stub/clock/", &fields, "{}"));
        assert_eq!(answer.status, 400, "{origin}");
        assert_allowed(&answer, origin);
        assert_allowed(&login_with(&server, &[("Origin", origin)]), origin);
    }
}

#[test]
fn an_origin_that_is_only_listed_may_call_and_reads_why_it_may_not_steer() {
    let shop = "https://shop.example";
    let server = Server::demo_with(&["--cors-origin", shop]);
    assert_allowed(&login_with(&server, &[("Origin", shop)]), shop);
    let clock = request("POST", "/__stub/clock/", &[("Origin", shop), JSON], "{}");
    let answer = server.send(clock);
    assert_eq!(answer.status, 403);
    assert_allowed(&answer, shop);
    let advanced = &super::get(&server, "/__stub/clock/").json()["advanced_seconds"];
    assert_eq!(*advanced, 0);
}

#[test]
fn the_origins_of_apps_and_sandboxes_may_be_listed_for_a_demo_alone() {
    let origins = [
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "null",
    ];
    let server = Server::demo_with(&["--cors-origin", &origins.join(",")]);
    let place = Place::new();
    for origin in origins {
        assert_eq!(preflight(&server, LOGIN, origin).status, 204, "{origin}");
        assert_allowed(&login_with(&server, &[("Origin", origin)]), origin);
        let steering = request("GET", "/__stub/clock/", &[("Origin", origin)], "");
        assert_eq!(server.send(steering).status, 403, "{origin}");
        let run = place.run(&["serve", "--cors-origin", origin]);
        run.was_wrong_usage(origin);
        assert!(run.stderr.contains("requires --demo"), "{run:?}");
        assert_not_allowed(&login_with(&Server::demo(), &[("Origin", origin)]));
    }
}

#[test]
fn a_real_server_allows_the_configured_origins() {
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
fn a_value_that_no_browser_would_send_is_not_an_origin() {
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
