//! Each operation with one system call that fails, or at which the process is killed: every call if there are few of a name,
//! otherwise a selection from the first to the last.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::{fmt, fs};

use tempfile::NamedTempFile;

use super::all;
use super::operations::{self, Operation};
use super::strace::{self, Trace};
use super::trial::{Ending, Trial, run};
use crate::harness::Place;

const KILL: &str = "signal=KILL";

/// The injections into calls on the operation's own files: system call, effect.
const ON_FILES: [(&str, &str); 20] = [
    ("openat", "error=EMFILE"),
    ("newfstatat", "error=EIO"),
    ("statx", "error=EIO"),
    ("read", "error=EIO"),
    ("pread64", "error=EIO"),
    ("write", "error=ENOSPC"),
    ("pwrite64", "error=ENOSPC"),
    ("fsync", "error=EIO"),
    ("fdatasync", "error=EIO"),
    ("ftruncate", "error=EIO"),
    ("fcntl", "error=EIO"),
    ("flock", "error=ENOLCK"),
    ("fchmod", "error=EPERM"),
    ("mmap", "error=ENOMEM"),
    ("rename", "error=EIO"),
    ("renameat2", "error=EIO"),
    ("linkat", "error=EIO"),
    ("unlink", "error=EIO"),
    ("bind", "error=ENOSPC"),
    ("chmod", "error=EPERM"),
];

/// The injections into calls on any file or on none: system call, effect.
const ANYWHERE: [(&str, &str); 21] = [
    ("openat", "error=EMFILE"),
    ("read", "error=EIO"),
    ("write", "error=ENOSPC"),
    ("fsync", "error=EIO"),
    ("mkdir", "error=ENOSPC"),
    ("unlinkat", "error=EIO"),
    ("getdents64", "error=EIO"),
    ("flock", "error=ENOLCK"),
    ("mmap", "error=ENOMEM"),
    ("clone3", "error=EAGAIN"),
    ("getrandom", "error=ENOSYS"),
    ("sched_getaffinity", "error=EPERM"),
    ("socket", "error=EMFILE"),
    ("socketpair", "error=EMFILE"),
    ("bind", "error=EADDRINUSE"),
    ("listen", "error=EADDRINUSE"),
    ("connect", "error=EAGAIN"),
    ("accept4", "error=EMFILE"),
    ("poll", "error=ENOMEM"),
    ("fcntl", "error=EMFILE"),
    ("setsockopt", "error=ENOMEM"),
];

/// The calls on the operation's own files at which the process is killed.
const KILLED_AT: [&str; 10] = [
    "openat",
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "ftruncate",
    "fchmod",
    "rename",
    "renameat2",
    "unlink",
];

/// An injection at one call of each thread.
struct Injection {
    call: &'static str,
    what: &'static str,
    number: usize,
    /// Whether only calls on the operation's own files are counted.
    on_files: bool,
}

/// Carries out an operation repeatedly, each time with another failing call.
#[track_caller]
fn survives(operation: &'static Operation) {
    let trial = Trial::of(operation);
    let (files, injections) = injections(operation, &trial);
    let (met, count) = (Cell::new(0), injections.len());
    all(injections.into_iter().map(|injection| {
        let (trial, files, met) = (&trial, &files, &met);
        let label = format!("{} {injection}", operation.args.join(" "));
        (label, move || {
            met.set(met.get() + injection.try_on(trial, files))
        })
    }));
    assert!(
        2 * met.get() >= count,
        "only {} of {count} calls failed",
        met.get()
    );
}

/// The files of the operation and the injections to try.
fn injections(operation: &Operation, trial: &Trial) -> (BTreeSet<String>, Vec<Injection>) {
    let output = NamedTempFile::new().unwrap();
    let trace = |place: &Place, files: &[String]| {
        let wrapper = strace::watching("all", files, output.path());
        run(operation, place, &wrapper, Ending::Reported).succeeded();
        Trace::read(output.path())
    };
    // Calls before `main` are not the program's.
    let version = Place::new().program(&["--version"]);
    let version = version.under(&strace::watching("all", &[], output.path()));
    version.finish().succeeded();
    let at_start = Trace::read(output.path());
    let place = trial.place();
    let anywhere = trace(&place, &[]);
    let files = anywhere.files(&place.path("."));
    let mut injections = Vec::new();
    // Without any file, strace would watch all files.
    if !files.is_empty() {
        let place = trial.place();
        let on_files = trace(&place, &paths(&place, &files));
        for (call, what) in ON_FILES
            .into_iter()
            .chain(KILLED_AT.map(|call| (call, KILL)))
        {
            injections.extend(Injection::some(operation, (call, what), 0, &on_files, true));
        }
    }
    for (call, what) in ANYWHERE {
        let before = at_start.count(call);
        injections.extend(Injection::some(
            operation,
            (call, what),
            before,
            &anywhere,
            false,
        ));
    }
    (files, injections)
}

/// The relative and absolute paths by which the program or strace may name these files.
fn paths(place: &Place, files: &BTreeSet<String>) -> Vec<String> {
    let both = |name: &String| [name.clone(), place.path(name).display().to_string()];
    files.iter().flat_map(both).collect()
}

impl Injection {
    /// Injections at the traced calls after the first ones to skip: at all of them, or at a selection from the first to the
    /// last when there are too many.
    fn some(
        operation: &Operation,
        (call, what): (&'static str, &'static str),
        before: usize,
        trace: &Trace,
        on_files: bool,
    ) -> Vec<Self> {
        let numbers: Vec<usize> = (before + 1..=trace.count(call)).collect();
        let most = match operation.serve {
            // Only the first lock of each thread: SQLite would keep a lock for ever that it fails to release.
            Some(_) if call == "fcntl" => 1,
            Some(_) => 4,
            None => 6,
        };
        let chosen: Vec<usize> = if numbers.len() <= most {
            numbers
        } else {
            let step = |step| numbers[step * (numbers.len() - 1) / (most - 1).max(1)];
            (0..most).map(step).collect()
        };
        let injection = |number| Self {
            call,
            what,
            number,
            on_files,
        };
        chosen.into_iter().map(injection).collect()
    }

    /// Returns 1 if the injection happened, else 0: threads do not always make the same calls.
    #[track_caller]
    fn try_on(&self, trial: &Trial, files: &BTreeSet<String>) -> usize {
        let place = trial.place();
        let output = NamedTempFile::new().unwrap();
        let paths = if self.on_files {
            paths(&place, files)
        } else {
            Vec::new()
        };
        let mut wrapper = strace::watching(self.call, &paths, output.path());
        let Self {
            call, what, number, ..
        } = self;
        wrapper.extend([
            "-e".to_owned(),
            format!("inject={call}:{what}:when={number}"),
        ]);
        let ending = match self.call {
            _ if self.what == KILL => Ending::Killed,
            "mmap" => Ending::Aborted,
            "unlink" | "unlinkat" | "getdents64" => Ending::Littered,
            _ => Ending::Reported,
        };
        trial.survives(&place, &wrapper, ending, || {});
        let trace = fs::read_to_string(output.path()).unwrap();
        usize::from(trace.contains("(INJECTED)") || trace.contains("killed by SIGKILL"))
    }
}

impl fmt::Display for Injection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call, what, number, ..
        } = self;
        let scope = if self.on_files {
            "its files"
        } else {
            "anything"
        };
        write!(f, "with {call}:{what}:when={number} on {scope}")
    }
}

macro_rules! operations {
    ($($name:ident: $operation:ident,)*) => {
        $(
            #[test]
            #[ignore = "needs strace"]
            fn $name() {
                survives(&operations::$operation);
            }
        )*
    };
}

operations! {
    init: INIT,
    seed: SEED,
    org_add: ADD_ORGANIZATION,
    user_add: ADD_USER,
    user_passwd: CHANGE_PASSWORD,
    user_import: IMPORT,
    user_export: EXPORT,
    user_export_over_a_file: EXPORT_AGAIN,
    backup: BACK_UP,
    backup_over_a_file: BACK_UP_AGAIN,
    restore: RESTORE,
    restore_into_nothing: RESTORE_INTO_NOTHING,
    restore_a_plain_copy: RESTORE_A_PLAIN_COPY,
    token_purge: PURGE,
    token_revoke: REVOKE,
    check: CHECK,
    man: WRITE_MANUAL,
    completions: PRINT_COMPLETIONS,
    serve_for_the_first_time: SERVE_FIRST,
    serve_again: SERVE_AGAIN,
    serve_a_backup: SERVE_A_BACKUP,
    serve_after_a_kill: SERVE_AFTER_A_KILL,
    serve_over_a_unix_socket: SERVE_OVER_UNIX,
    serve_a_demo: SERVE_DEMO,
    serve_with_an_authority_of_its_own: SERVE_OWN_AUTHORITY,
}

#[test]
#[ignore = "needs strace"]
fn a_command_that_needs_a_thread_says_that_there_is_none() {
    let calibrate = ["calibrate", "--hash-threads", "3", "--hash-lanes", "1"];
    let healthcheck = ["healthcheck", "--listen", "127.0.0.1:1"];
    for (args, number) in [(&calibrate[..], 1), (&calibrate, 2), (&healthcheck, 1)] {
        let place = Place::new();
        let output = NamedTempFile::new().unwrap();
        let mut wrapper = strace::watching("clone3", &[], output.path());
        let inject = format!("inject=clone3:error=EAGAIN:when={number}");
        wrapper.extend(["-e".to_owned(), inject]);
        let finished = place.program(args).under(&wrapper).finish();
        finished.failed_naming(&format!("{args:?}"), "thread");
    }
}
