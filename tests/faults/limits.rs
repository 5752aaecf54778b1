//! Resource limits of the process, each at values from where nothing works to where everything does.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use super::all;
use super::operations::{self, Operation, all_log_in, soon, start_logins};
use super::trial::{Ending, Trial};
use crate::harness::{Place, Server, eventually};

const COMMANDS: [Operation; 8] = [
    operations::INIT,
    operations::SEED,
    operations::ADD_USER,
    operations::IMPORT,
    operations::EXPORT_AGAIN,
    operations::BACK_UP,
    operations::RESTORE,
    operations::CHECK,
];

const SERVERS: [Operation; 4] = [
    operations::SERVE_FIRST,
    operations::SERVE_A_BACKUP,
    operations::SERVE_AFTER_A_KILL,
    operations::SERVE_OWN_AUTHORITY,
];

/// A server that runs into its limits, which are then lifted.
const LIFTED: Operation = Operation {
    args: &["serve", "--max-tokens-per-user", "1000"],
    serve: Some(|server| {
        let mut logins = start_logins(server);
        eventually("the limit has an effect", || {
            let mut connections = logins.iter_mut().flatten();
            let has_effect = server.log().contains(" WARN ") || server.has_ended();
            has_effect || connections.any(|connection| connection.is_answered())
        });
        lift_limits(server);
        drop(logins);
        soon("all log in", || server.has_ended() || all_log_in(server));
        Vec::new()
    }),
    ..operations::SERVE_AGAIN
};

/// Lifts the limits as the server's user: another user would need more rights.
fn lift_limits(server: &Server) {
    if server.has_ended() {
        return;
    }
    let directory = format!("/proc/{}", server.pid());
    let user = fs::metadata(&directory).unwrap().uid();
    let limits = fs::read_to_string(format!("{directory}/limits")).unwrap();
    for (title, name) in [("Max address space", "as"), ("Max processes", "nproc")] {
        let values = limits
            .lines()
            .find_map(|line| line.strip_prefix(title))
            .unwrap();
        let highest = values.split_whitespace().nth(1).unwrap();
        let limit = format!("--{name}={highest}:");
        let pid = server.pid().to_string();
        let mut words = vec!["prlimit", "--pid", &pid, &limit];
        if user == LONELY_USER {
            words = [&AS_LONELY_USER[..], &words].concat();
        }
        let status = Command::new(words[0]).args(&words[1..]).status();
        // The process may have ended meanwhile.
        assert!(status.unwrap().success() || server.has_ended());
    }
}

/// The id of a user that runs nothing else, so that the limit of processes counts only those of one test.
const LONELY_USER: u32 = 64_987;

const AS_LONELY_USER: [&str; 4] = [
    "setpriv",
    "--reuid=64987",
    "--regid=64987",
    "--clear-groups",
];

#[track_caller]
fn survive(operations: &'static [Operation], limit: &str, values: &[String], ending: Ending) {
    let trials: Vec<Trial> = operations.iter().map(Trial::of).collect();
    all(trials.iter().flat_map(|trial| {
        values.iter().map(move |value| {
            let wrapper = ["prlimit".to_owned(), format!("--{limit}={value}")];
            let label = format!("{} with {limit} {value}", trial.name());
            let run = move || trial.survives(&trial.place(), &wrapper, ending, || {});
            (label, run)
        })
    }));
}

fn values<const N: usize>(values: [u64; N]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

#[test]
fn commands_survive_any_limit_of_descriptors() {
    let values = values([4, 5, 6, 7, 8, 9, 10, 12, 16]);
    survive(&COMMANDS, "nofile", &values, Ending::Reported);
}

#[test]
fn servers_survive_any_limit_of_descriptors() {
    let values = values([4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48, 64]);
    survive(&SERVERS, "nofile", &values, Ending::Reported);
}

#[test]
fn commands_survive_any_limit_of_file_sizes() {
    let values = values([
        0, 1, 512, 4096, 4097, 20_000, 40_000, 65_536, 90_000, 200_000,
    ]);
    survive(&COMMANDS, "fsize", &values, Ending::Reported);
}

#[test]
fn servers_survive_limits_of_file_sizes_that_let_them_start_or_do_not() {
    // Between these values, a server has enough space for its start, but not for logins.
    let values = values([0, 512, 4096, 20_000, 1_000_000]);
    survive(&SERVERS, "fsize", &values, Ending::Reported);
}

/// Soft limits of memory, which can be lifted, from the lowest with which the program reaches its own code.
fn limits_of_memory(count: u64, step: u64) -> Vec<String> {
    let place = Place::new();
    let starts = |megabytes: &u64| {
        let limit = format!("--as={}", megabytes << 20);
        let version = place.program(&["--version"]).under(&["prlimit", &limit]);
        version.finish().code == Some(0)
    };
    let least = (1..1000).find(starts).unwrap();
    let limit = |number| format!("{}:", (least + number * step) << 20);
    (0..count).map(limit).collect()
}

#[test]
fn commands_without_memory_report_it_or_abort_with_a_message() {
    survive(&COMMANDS, "as", &limits_of_memory(6, 1), Ending::Aborted);
}

#[test]
fn servers_without_memory_report_it_or_abort_with_a_message_or_answer_once_they_have_some() {
    survive(&[LIFTED], "as", &limits_of_memory(16, 4), Ending::Aborted);
}

#[test]
#[ignore = "needs root"]
fn servers_without_threads_report_it_or_answer_once_they_have_some() {
    let trial = Trial::of(&LIFTED);
    all((1..=24).map(|threads| {
        let trial = &trial;
        let run = move || {
            let place = trial.place();
            place.give_to(LONELY_USER);
            let mut wrapper = vec!["prlimit".to_owned(), format!("--nproc={threads}:")];
            wrapper.extend(AS_LONELY_USER.map(String::from));
            let relieve = || place.give_to(0);
            trial.survives(&place, &wrapper, Ending::Reported, relieve);
        };
        (format!("serve with {threads} threads"), run)
    }));
}
