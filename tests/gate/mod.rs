//! The gate: which messages it accepts, how it answers the others, and that no client blocks others.

mod attacks;
mod certificates;
mod deploy;
mod fairness;
mod limits;
mod malformed;
mod refused;
mod shared;
mod sockets;
mod stop;
mod tls;
mod unusual;

use crate::harness::{Answer, Connection, JSON, LOGIN, Server, login_body, request};

use crate::harness::accounts::{JWEIR, PASSWORD};

/// The size of a receive buffer that is soon full.
const SMALL_BUFFER: usize = 4096;

/// A request that needs no work: it is answered 404.
fn not_found() -> Vec<u8> {
    request("GET", "/nothing-here/", &[], "")
}

fn login() -> Vec<u8> {
    request("POST", LOGIN, &[JSON], login_body(JWEIR, PASSWORD))
}

#[track_caller]
fn assert_logs_in(server: &Server) {
    server.login(JWEIR, PASSWORD).token();
}

/// Sends bytes on a new connection; returns all answers until the server closes it.
#[track_caller]
fn answers(server: &Server, bytes: &[u8]) -> Vec<Answer> {
    let mut connection = server.connect();
    connection.send(bytes);
    std::iter::from_fn(|| connection.answer_or_end()).collect()
}

/// Checks that an answer is a refusal by the gate: one sentence about the message, and the end of the connection.
#[track_caller]
fn assert_refusal(label: &str, answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{label}: {answer:?}");
    assert_eq!(answer.header("connection"), Some("close"), "{label}");
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{label}");
    }
    assert!(answer.header("date").is_some(), "{label}");
    let detail = answer.field("detail");
    assert!(detail.ends_with('.'), "{label}: {detail}");
    assert!(!detail.starts_with("JSON parse error"), "{label}: {detail}");
}

/// The peak resident memory of the server, in KiB.
#[track_caller]
fn peak_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1);
    number.unwrap().parse().unwrap()
}

/// A connection that has served a request, so that it has a slot and is idle.
#[track_caller]
fn kept(server: &Server) -> Connection {
    served(server.connect())
}

#[track_caller]
fn served(mut connection: Connection) -> Connection {
    connection.send(not_found());
    assert_eq!(connection.answer().status, 404);
    connection
}
