//! The features that only `serve --demo` has, and CORS, which a real server can have too.

mod accounts_and_reset;
mod browser;
mod clock;
mod cors;
mod delays_and_faults;
mod described;
mod forced;
mod hosts;
mod lifetime;
mod next;
mod presented;
mod requests;
mod waiting;

use serde_json::Value;

use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{Answer, JSON, LOGIN, Server, login_body, request};

/// A login of the published user with these additional headers.
#[track_caller]
pub fn login_with(server: &Server, fields: &[(&str, &str)]) -> Answer {
    server.send(login_request(fields))
}

pub fn login_request(fields: &[(&str, &str)]) -> Vec<u8> {
    let fields = [&[JSON], fields].concat();
    request("POST", LOGIN, &fields, login_body(JWEIR, PASSWORD))
}

#[track_caller]
pub fn get(server: &Server, path: &str) -> Answer {
    server.send(request("GET", path, &[], ""))
}

/// Sends a call below `/__stub/` with a JSON body.
#[track_caller]
pub fn steer(server: &Server, method: &str, path: &str, body: &str) -> Answer {
    server.send(request(method, path, &[JSON], body))
}

#[track_caller]
pub fn put_next(server: &Server, body: &str) -> Value {
    let answer = steer(server, "PUT", "/__stub/next/", body);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// The entries of the journal.
#[track_caller]
pub fn requests(server: &Server) -> Vec<Value> {
    let answer = get(server, "/__stub/requests/");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["requests"].as_array().unwrap().clone()
}

/// Every path below `/__stub/` with its methods.
pub const STUB_CALLS: &[(&str, &[&str])] = &[
    ("/__stub/next/", &["GET", "HEAD", "PUT", "DELETE"]),
    ("/__stub/requests/", &["GET", "HEAD", "DELETE"]),
    ("/__stub/clock/", &["GET", "HEAD", "POST"]),
    ("/__stub/accounts/", &["GET", "HEAD"]),
    ("/__stub/accounts/somebody/", &["PUT", "DELETE"]),
    ("/__stub/reset/", &["POST"]),
];
