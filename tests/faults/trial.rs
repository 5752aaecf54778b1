//! Runs one operation while something fails, and checks everything that must hold then.

use std::fs;

use rustix::process::Signal;

use super::operations::{self, Operation};
use crate::harness::{Finished, Place};

/// The outcomes that are allowed besides success and a failure with one line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    Reported,
    /// It may leave a file that it could not remove; the next run must remove it.
    Littered,
    /// It may end by SIGABRT with a message about the lack of memory.
    Aborted,
    /// It may end by the SIGKILL that the trial sent.
    Killed,
}

/// An operation that was carried out once without failures, as a reference.
pub struct Trial {
    operation: &'static Operation,
    /// The files and the database before the operation.
    template: Place,
    /// The state after the operation.
    after: Place,
    stdout: String,
    states: [Vec<String>; 2],
}

impl Trial {
    #[track_caller]
    pub fn of(operation: &'static Operation) -> Self {
        let template = Place::new();
        (operation.prepare)(&template);
        let after = template.copy();
        let stdout = run(operation, &after, &[], Ending::Reported)
            .succeeded()
            .stdout;
        // Opening a database changes its journal mode.
        let states = [&template, &after].map(|place| state(operation, &place.copy()));
        let trial = Self {
            operation,
            template,
            after,
            stdout,
            states,
        };
        trial.check_done(&trial.after);
        let names = trial.after.files("");
        let is_left = |name: &&String| {
            ["-journal", "-shm", "-wal", ".partial"]
                .iter()
                .any(|end| name.ends_with(end))
        };
        assert_eq!(names.iter().find(is_left), None);
        trial.check_files(&trial.after);
        trial
    }

    pub fn name(&self) -> String {
        self.operation.args.join(" ")
    }

    /// A new directory in which the operation can be carried out.
    pub fn place(&self) -> Place {
        self.template.copy()
    }

    /// Carries out the operation under a wrapper that makes something fail, and again after `relieve` has been called.
    #[track_caller]
    pub fn survives(&self, place: &Place, wrapper: &[String], ending: Ending, relieve: impl Fn()) {
        let operation = self.operation;
        let finished = run(operation, place, wrapper, ending);
        assert_ended(operation, &finished, ending);
        relieve();
        if finished.code == Some(0) {
            let is_same = operation.serve.is_some() || finished.stdout == self.stdout;
            assert!(is_same, "{finished:#?}");
            self.check_done(place);
        } else {
            for (number, now) in state(operation, &place.copy()).iter().enumerate() {
                let known = self.states.iter().any(|state| state[number] == *now);
                assert!(known, "neither old nor new: {now}, after {finished:#?}");
            }
        }
        // A user cannot be added twice, even if all that failed was the message about the first time.
        let may_be_refused = operation.serve.is_none() && (operation.is_done)(&place.copy());
        let again = run(operation, place, &[], Ending::Reported);
        if again.code != Some(0) {
            assert!(
                may_be_refused,
                "refused afterwards: {again:#?}, after {finished:#?}"
            );
            assert_eq!(state(operation, place), self.states[1], "{again:#?}");
        }
        self.check_done(place);
        if again.code == Some(0) || ending != Ending::Littered {
            self.check_files(place);
        }
    }

    #[track_caller]
    fn check_done(&self, place: &Place) {
        assert!((self.operation.is_done)(place), "it is not done");
        let header = operations::header(place);
        let modes = [operations::header(&self.after), Some([2, 2])];
        assert!(modes.contains(&header), "the journal mode is {header:?}");
        if header.is_some() {
            assert_eq!(place.integrity(), "ok");
        }
    }

    #[track_caller]
    fn check_files(&self, place: &Place) {
        assert_eq!(place.files(""), self.after.files(""), "the files");
        assert_eq!(place.files("tmp"), [""; 0], "temporary files");
    }
}

/// Runs a command to its end, or a server until it has answered its requests and is stopped.
#[track_caller]
pub fn run(operation: &Operation, place: &Place, wrapper: &[String], ending: Ending) -> Finished {
    let mut launch = place
        .program(operation.args)
        .env("THANOS_LOGIN_BCRYPT_COST", "10")
        .under(wrapper);
    if !operation.input.is_empty() {
        launch = launch.input(operation.input);
    }
    let Some(serve) = operation.serve else {
        return launch.finish();
    };
    let mut server = match launch.try_start() {
        Ok(server) => server,
        Err(finished) => return finished,
    };
    // A server that may be killed at any moment is only started and stopped.
    let tokens = if ending == Ending::Killed {
        Vec::new()
    } else {
        serve(&server)
    };
    server.signal(Signal::TERM);
    let finished = server.wait();
    // The caller decides whether it may end in another way.
    assert_ne!(finished.code, Some(1), "it was ready: {finished:#?}");
    for token in tokens {
        assert!(place.holds_token(&token), "a token was lost: {finished:#?}");
    }
    finished
}

#[track_caller]
fn assert_ended(operation: &Operation, finished: &Finished, ending: Ending) {
    let lines = finished.stderr.lines();
    let lines = lines.filter(|line| !line.contains(" WARN ")).count();
    assert!(!finished.stderr.contains("panicked"), "{finished:#?}");
    let is_expected = match (finished.code, finished.signal) {
        (Some(0), _) => lines == 0 || operation.serve.is_some(),
        // `check` prints a line for each finding.
        (Some(1), _) if operation.args[0] == "check" => lines > 0,
        (Some(1), _) => lines == 1,
        (_, Some(signal)) if signal == Signal::ABORT.as_raw() => {
            ending == Ending::Aborted && lines > 0
        }
        (_, Some(signal)) if signal == Signal::KILL.as_raw() => ending == Ending::Killed,
        _ => false,
    };
    assert!(is_expected, "{finished:#?}");
}

/// What later commands see: the users in the database, and the content of the operation's other files.
fn state(operation: &Operation, place: &Place) -> Vec<String> {
    let names = [Place::DATABASE]
        .into_iter()
        .chain(operation.files.iter().copied());
    names
        .map(|name| match name.strip_suffix(".db") {
            Some(_) => users(place, name),
            None => fs::read_to_string(place.path(name)).unwrap_or_default(),
        })
        .collect()
}

/// The users in a database; empty if the database does not exist or has no tables yet.
fn users(place: &Place, database: &str) -> String {
    let listed = place.run(&["user", "list", "--json", "--db", database]);
    let user = |line: &str| {
        let user: serde_json::Value = serde_json::from_str(line).unwrap();
        format!("{} {}", user["username"], user["tokens_live"])
    };
    listed
        .stdout
        .lines()
        .map(user)
        .collect::<Vec<_>>()
        .join(", ")
}
