//! The cost of the gate: the whole server compared with a bare tiny_http loop with four workers, both answering 404, with
//! and without a log line per request (to `/dev/null`); a lone login compared with one that bypasses the gate; memory.
//!
//! `cargo bench --bench gate`, which needs `wrk`. Only the ratios are meaningful, since `wrk` uses a share of the machine.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use common::client::{Client, get, login_with};
use common::process::{NOT_FOUND, Process};
use common::rate::{median, print_ratio};
use common::server::{PASSWORD, address, bare_loop};
use common::{is_wanted, machine};

const ROUNDS: usize = 4;
/// The number of clients, and the goal for the ratio of elapsed times. The goal by processor time is 0.5 with 32 clients.
const CLIENTS: [(usize, f64); 4] = [(1, 0.75), (16, 0.85), (32, 0.55), (256, 0.48)];

fn main() {
    if env::args().any(|arg| arg == "bare") {
        return serve_bare();
    }
    machine::print();
    for (log, flags) in [("", &[][..]), (" without log", &["--log-level", "warn"])] {
        for (clients, goal) in CLIENTS {
            let label = format!(
                "404{log} with {clients} clients, relative to a bare tiny_http loop with 4 workers"
            );
            if is_wanted(&label) {
                compare(
                    &label,
                    flags,
                    clients,
                    Some(goal).filter(|_| log.is_empty()),
                );
            }
        }
    }
    if is_wanted("lone login") {
        lone_login();
    }
    if is_wanted("memory") {
        memory();
    }
}

/// Runs the bare loop: this bench starts itself as a second program, so that the loop has its own process too.
fn serve_bare() {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    println!("listening on http://{}", server.server_addr());
    bare_loop(server);
    loop {
        thread::park();
    }
}

fn demo(flags: &[&str]) -> Process {
    Process::serve(&[&["--demo"], flags].concat())
}

fn compare(label: &str, flags: &[&str], clients: usize, goal: Option<f64>) {
    let bare = Process::start(Command::new(env::current_exe().unwrap()).arg("bare"));
    let gated = demo(flags);
    let [bare, gated] = [&bare, &gated].map(|server| move || server.load(NOT_FOUND, clients, None));
    print_ratio(label, goal, ROUNDS, bare, gated);
}

/// Compares a login through the gate with one that is sent to the private socket in the form that the gate would send.
fn lone_login() {
    let server = demo(&[]);
    let mut gated = Client::connect(address(&server.url));
    let socket = private_socket(server.directory.path()).expect("the server has a private socket");
    let mut direct = Client::over(UnixStream::connect(socket).unwrap());
    let (mut through_gate, mut directly) = (Vec::new(), Vec::new());
    for _ in 0..500 {
        through_gate.push(time_login(&mut gated, "Host: localhost"));
        directly.push(time_login(&mut direct, "X-Gate-Peer: 127.0.0.1"));
    }
    let [gated, direct] = [through_gate, directly].map(|times| median(times.into_iter()));
    println!(
        "lone login\n  {gated:.3} ms, direct {direct:.3} ms; {:.3} ms more (goal at most 1.000)",
        gated - direct
    );
}

fn private_socket(directory: &Path) -> Option<PathBuf> {
    let mut paths = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    paths.find_map(|path| match path.is_dir() {
        true => private_socket(&path),
        false => Some(path).filter(|path| path.extension().is_some_and(|end| end == "sock")),
    })
}

/// The duration of a login, in milliseconds.
fn time_login(client: &mut Client<impl Read + Write>, field: &str) -> f64 {
    let request = login_with(field, "jweir@projectthanos.com", PASSWORD);
    let started = Instant::now();
    assert_eq!(client.exchange(&request), 200);
    started.elapsed().as_secs_f64() * 1000.0
}

/// Prints the memory use without clients, and with idle clients that have all been answered once.
fn memory() {
    const IDLE: usize = 500;
    let server = demo(&["--max-connections-per-client", "0"]);
    thread::sleep(Duration::from_millis(500));
    let alone = server.resident_kib();
    let clients: Vec<_> = (0..IDLE)
        .map(|_| {
            let mut client = Client::connect(address(&server.url));
            client.exchange(&get(NOT_FOUND));
            client
        })
        .collect();
    println!(
        "memory\n  {:.1} MiB resident (goal at most 12.0), {:.1} KiB for each idle connection (goal at most 16.0)",
        alone / 1024.0,
        (server.resident_kib() - alone) / clients.len() as f64
    );
}
