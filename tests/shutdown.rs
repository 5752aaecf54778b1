//! Signals, and what an ended server leaves behind.

use std::fs::{self, OpenOptions};

use rustix::process::Signal;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Place, Server, request};

/// Ten logins of this cost end well within the time that a stopping server gives them.
const MODERATE_COST: [&str; 2] = ["--bcrypt-cost", "10"];

#[test]
fn a_signal_in_the_middle_of_ten_logins_answers_all_ten_and_exits_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Place::new().serve_demo(&accounts::leisurely(), &MODERATE_COST);
        let mut logins = server.start_logins(10, JWEIR, PASSWORD);
        server.answers_something_else();
        server.signal(signal);
        for login in &mut logins {
            login.answer().token();
        }
        server.wait().succeeded();
    }
}

#[test]
fn logins_answered_after_the_signal_are_on_disk() {
    let place = Place::seeded(&accounts::leisurely());
    let mut server = place.serve(&MODERATE_COST);
    let mut logins = server.start_logins(4, JWEIR, PASSWORD);
    server.answers_something_else();
    server.signal(Signal::TERM);
    let tokens: Vec<String> = logins
        .iter_mut()
        .map(|login| login.answer().token())
        .collect();
    server.wait().succeeded();
    if place.url().is_none() {
        assert_eq!(place.files(""), ["accounts.json", Place::DATABASE, "tmp"]);
    }
    assert!(tokens.iter().all(|token| place.holds_token(token)));
}

#[test]
fn logins_that_wait_for_a_lock_until_the_grace_period_ends_are_answered_503() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let mut server = place.serve(&[]);
    let lock = place.lock();
    let mut logins = server.start_logins(20, JWEIR, PASSWORD);
    server.answers_something_else();
    server.signal(Signal::TERM);
    for login in &mut logins {
        assert_eq!(login.answer().status, 503);
    }
    server.wait().succeeded();
    drop(lock);
}

#[test]
fn a_second_signal_ends_at_once_with_1() {
    let mut server = Place::new().serve_demo(&accounts::slowest(), &[]);
    let logins = server.start_logins(64, JWEIR, PASSWORD);
    server.answers_something_else();
    // Two signals of one kind could be delivered as one.
    server.signal(Signal::TERM);
    server.signal(Signal::INT);
    assert_eq!(server.wait().code, Some(1));
    drop(logins);
}

#[test]
fn an_idle_connection_is_closed_and_does_not_hold_up_the_end() {
    let mut server = Server::demo();
    let mut connection = server.connect();
    connection.send(request("GET", "/nothing-here/", &[], ""));
    assert_eq!(connection.answer().status, 404);
    let mut silent = server.connect();
    server.answers_something_else();
    server.signal(Signal::TERM);
    assert!(connection.answer_or_end().is_none());
    assert!(silent.answer_or_end().is_none());
    server.wait().succeeded();
}

#[test]
fn a_hangup_does_nothing() {
    let server = Server::demo();
    for _ in 0..3 {
        server.signal(Signal::HUP);
        server.login(JWEIR, PASSWORD).token();
    }
    server.stop();
}

/// A shell command that runs the program through another command.
fn run_by(command: &str) -> String {
    format!("exec {command} \"$0\" \"$@\"; true")
}

#[test]
fn signals_that_a_caller_has_blocked_still_end_the_program() {
    let place = Place::new();
    let blocked = run_by("env --block-signal=HUP,INT,TERM");
    let demo = place.program(&["serve", "--demo"]).after(&blocked);
    demo.start().stop();

    let fifo = place.path("accounts.json");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, 0o600.into()).unwrap();
    let seed = place.program(&["seed", "accounts.json"]).after(&blocked);
    let mut seed = seed.spawn();
    // Opening the pipe waits until the program opens it too.
    let _input = OpenOptions::new().write(true).open(fifo).unwrap();
    seed.signal(Signal::TERM);
    assert_eq!(seed.wait().code, None);
}

/// strace delivers the signal at the first system call of the program itself.
#[test]
#[ignore = "needs strace"]
fn a_signal_that_arrives_before_it_is_caught_stops_the_server_once_it_has_started() {
    let place = Place::new();
    let traced = run_by("strace -o calls -e trace=rt_sigaction");
    place
        .program(&["--version"])
        .after(&traced)
        .finish()
        .succeeded();
    let calls = fs::read_to_string(place.path("calls")).unwrap();
    let when = calls.lines().position(|call| call.contains("SIGXFSZ"));
    let when = when.unwrap() + 1;
    for signal in ["TERM", "INT"] {
        let inject = format!("-e inject=rt_sigaction:signal={signal}:when={when}");
        let traced = run_by(&format!("strace -o calls -e trace=rt_sigaction {inject}"));
        let demo = place.program(&["serve", "--demo"]).after(&traced);
        let ended = demo.spawn().wait().succeeded();
        assert!(ended.stdout.starts_with("listening on "), "{ended:#?}");
    }
}

#[test]
fn a_server_that_stopped_refuses_connections() {
    let server = Server::demo();
    let address = server.address();
    server.stop();
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn a_demo_leaves_nothing_behind() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = Server::demo();
        server.login(JWEIR, PASSWORD).token();
        server.signal(signal);
        server.wait().succeeded();
        assert_eq!(server.place.files("tmp"), [""; 0]);
        assert_eq!(server.place.files(""), ["tmp"]);
    }
}

#[test]
fn the_leftovers_of_a_demo_ended_by_a_second_signal_are_removed_by_the_next_one() {
    let place = Place::new();
    let mut server = place.serve_demo(&accounts::slowest(), &[]);
    let logins = server.start_logins(16, JWEIR, PASSWORD);
    server.signal(Signal::TERM);
    server.signal(Signal::INT);
    assert_eq!(server.wait().code, Some(1));
    place.program(&["serve", "--demo"]).start().stop();
    assert_eq!(place.files("tmp"), [""; 0]);
    drop(logins);
}

#[test]
fn the_leftovers_of_a_killed_demo_are_removed_by_the_next_one_and_the_files_of_a_running_one_are_not()
 {
    let place = Place::new();
    let demo = || place.program(&["serve", "--demo"]).start();
    let living = demo();
    let killed = demo();
    killed.login(JWEIR, PASSWORD).token();
    killed.kill();
    let next = demo();
    living.login(JWEIR, PASSWORD).token();
    next.login(JWEIR, PASSWORD).token();
    living.stop();
    next.stop();
    assert_eq!(place.files("tmp"), [""; 0]);
}
