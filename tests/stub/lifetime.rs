//! `--exit-with-parent`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::thread;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::harness::{Place, Server};

const FLAG: &str = "--exit-with-parent";
const COMMAND: [&str; 3] = ["serve", "--demo", FLAG];

/// A stub whose standard input is a pipe, and the writing end of the pipe.
fn with_piped_input(args: &[&str]) -> (Server, File) {
    let place = Place::new();
    let pipe = place.path("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    // Opening one end of a named pipe waits for the other.
    let opening = thread::spawn(move || OpenOptions::new().write(true).open(pipe).unwrap());
    let server = place.program(args).after("exec < pipe").start();
    (server, opening.join().unwrap())
}

#[test]
fn a_stub_ends_with_its_standard_input() {
    let (mut server, mut input) = with_piped_input(&COMMAND);
    input.write_all(&[b'x'; 10_000]).unwrap();
    server.answers_something_else();
    drop(input);
    let finished = server.wait().succeeded();
    assert!(finished.stderr.contains("stopped"), "{finished:?}");
}

#[test]
fn a_stub_ends_with_the_process_that_started_it() {
    // A shell starts the stub in the background, with /dev/null as standard input.
    let place = Place::new();
    let words = ["sh", "-c", "\"$0\" \"$@\" & wait"];
    let mut server = place.program(&COMMAND).under(&words).start();
    server.answers_something_else();
    server.signal(Signal::KILL);
    // Every process that has standard output open has ended too.
    let finished = server.wait();
    assert_eq!(finished.signal, Some(9));
    assert_eq!(finished.stdout, "");
}

#[test]
fn a_stub_without_a_pipe_keeps_running_while_its_parent_lives() {
    for after in ["exec < /dev/null", "exec < /dev/zero", "exec <&-"] {
        let server = Place::new().program(&COMMAND).after(after).start();
        server.answers_something_else();
        server.stop();
    }
    let server = Place::new()
        .program(&["serve", "--demo"])
        .env("THANOS_LOGIN_EXIT_WITH_PARENT", "true")
        .start();
    server.answers_something_else();
    server.stop();
}

#[test]
fn without_the_flag_only_a_signal_ends_a_stub() {
    let (server, input) = with_piped_input(&["serve", "--demo"]);
    drop(input);
    server.answers_something_else();
    server.stop();
}
