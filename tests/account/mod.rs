//! Calls with a token: accounts, logout, guarding other services; and the monitoring of the server.

mod authorization;
mod calls;
mod described;
mod guarding;
mod healthcheck;
mod lists;
mod logout;
mod metrics;
mod probes;
mod token_verify;

use serde_json::Value;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, Place, Server, request};

const ORGANIZATION: &str = "/api/organizations/";
const ALL_USERS: &str = "/api/organizations/users/all/";
const DETAIL: &str = "/api/organizations/users/detail/3a7acb28-ab13-437e-8c35-46cf4f0bea49/";
const VERIFY: &str = "/api/organizations/token-verify/";
const LOGOUT: &str = "/api/organizations/user-logout/";
const LOGOUT_ALL: &str = "/api/organizations/user-logout-all/";

/// The pinned token of a demo user.
const JWEIRS_TOKEN: &str = "a0f17278bed479ee719ea890b8caf0329e1f3e5b";
const JWEIRS_UUID: &str = "3a7acb28-ab13-437e-8c35-46cf4f0bea49";

const INVALID: &str = r#"{"detail":"Invalid token."}"#;

/// The calls that take a token, each with its method.
const CALLS: &[(&str, &str)] = &[
    ("GET", ORGANIZATION),
    ("GET", ALL_USERS),
    ("GET", DETAIL),
    ("GET", VERIFY),
    ("POST", LOGOUT),
    ("POST", LOGOUT_ALL),
];

fn one_user() -> Place {
    Place::seeded(&accounts::retailer([accounts::user(JWEIR)]))
}

/// Logs [`JWEIR`] in and returns the token.
#[track_caller]
fn log_in(server: &Server) -> String {
    server.login(JWEIR, PASSWORD).token()
}

pub fn call(method: &str, path: &str, token: &str) -> Vec<u8> {
    let authorization = format!("Token {token}");
    request(method, path, &[("Authorization", &authorization)], "")
}

#[track_caller]
fn get(server: &Server, path: &str, token: &str) -> Answer {
    server.send(call("GET", path, token))
}

/// The JSON answer to a GET that must succeed.
#[track_caller]
fn get_json(server: &Server, path: &str, token: &str) -> Value {
    let answer = get(server, path, token);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// Checks that the token is valid.
#[track_caller]
pub fn assert_good(server: &Server, token: &str) {
    let answer = get(server, VERIFY, token);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// Checks that no call accepts the token any more.
#[track_caller]
fn assert_ended(server: &Server, token: &str) {
    for (method, path) in CALLS {
        let answer = server.send(call(method, path, token));
        assert_eq!(answer.status, 401, "{path}: {answer:?}");
        assert_eq!(answer.text(), INVALID, "{path}");
        assert_eq!(answer.header("www-authenticate"), Some("Token"), "{path}");
    }
}
