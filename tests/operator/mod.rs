//! Commands for operators: accounts, tokens, backups, checks.

mod accounts;
mod backups;
mod checks;
mod csv;
mod editing;
mod events;
mod exports;
mod flags;
mod hashes;
mod imports;
mod imports_beside_a_server;
mod locks;
mod names;
mod package;
mod passwords;
mod prompts;
mod removal;
mod seeding;
mod shells;
mod unlock;

use std::process::Command;

use rexpect::session::{PtySession, spawn_command};
use serde_json::Value;

use crate::harness::process::PROGRAM;
use crate::harness::{DEADLINE, Finished, Place};

/// Each line of standard output as JSON.
#[track_caller]
fn json_lines(finished: &Finished) -> Vec<Value> {
    let parse = |line: &str| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
    };
    finished.stdout.lines().map(parse).collect()
}

/// The single JSON object that a command printed.
#[track_caller]
fn json(finished: &Finished) -> Value {
    let mut lines = json_lines(finished);
    assert_eq!(lines.len(), 1, "{finished:#?}");
    lines.remove(0)
}

/// Runs a command that must succeed.
#[track_caller]
fn run(place: &Place, args: &[&str]) -> Finished {
    place.run(args).succeeded()
}

/// Runs a command that must fail with exactly this line.
#[track_caller]
fn fails_with(place: &Place, args: &[&str], line: &str) {
    let finished = place.run(args);
    finished.failed_naming(&args.join(" "), line);
}

/// Starts the program at a pseudo terminal.
fn at_a_terminal(place: &Place, args: &[&str]) -> PtySession {
    let mut command = Command::new(PROGRAM);
    command
        .args(args)
        .current_dir(place.path(""))
        .envs(place.variable());
    spawn_command(command, Some(DEADLINE.as_millis().try_into().unwrap())).unwrap()
}
