//! Single system calls that fail or kill the process, at every position in a run. These tests need strace.

use std::fs;
use std::process::{Command, Output, Stdio};

use crate::harness::Place;
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::process::PROGRAM;

const JOURNAL: &str = "thanos-login.db-journal";

fn with_copy() -> Place {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    place.run(&["backup", "copy.db"]).succeeded();
    place
}

/// Runs the program with an injection of strace into its system calls on the named files.
fn inject(place: &Place, files: &[&str], injected: &str, args: &[&str]) -> Output {
    // The time limit ends a server that the injection did not affect.
    let mut command = Command::new("timeout");
    command.args(["60", "strace", "-f", "-qq", "-o", "trace.txt"]);
    for file in files {
        command.arg("-P").arg(place.path(file));
    }
    command
        .args(["-e", &format!("inject={injected}"), PROGRAM])
        .args(args)
        .current_dir(place.path(""))
        .env("TMPDIR", place.path("tmp"))
        .stdin(Stdio::null())
        .output()
        .expect("strace is installed")
}

#[test]
#[ignore = "needs strace"]
fn a_journal_mode_that_cannot_be_set_refuses_the_start() {
    for (call, error) in [("fsync", "EIO"), ("pwrite64", "ENOSPC"), ("unlink", "EIO")] {
        for args in [&["serve", "--listen", "127.0.0.1:0"][..], &["init"]] {
            let place = with_copy();
            fs::rename(place.path("copy.db"), place.path(Place::DATABASE)).unwrap();
            let before = place.dump();
            let _ = fs::remove_file(place.path(JOURNAL));
            let injected = format!("{call}:error={error}:when=1");
            let output = inject(&place, &[JOURNAL], &injected, args);
            let log = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(1), "{call} {args:?}: {log}");
            assert_eq!(log.lines().count(), 1, "{call} {args:?}: {log}");
            assert!(log.contains(Place::DATABASE), "{call} {args:?}: {log}");
            let server = place.serve(&[]);
            assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
            server.stop();
            assert_eq!(
                fs::read(place.path(Place::DATABASE)).unwrap()[18..20],
                [2, 2]
            );
            assert_eq!(place.dump().len(), before.len() + 1);
        }
    }
}

/// Kills the program at the first, second, … call of each kind, until a run completes.
#[test]
#[ignore = "needs strace"]
fn a_kill_at_any_system_call_of_a_first_start_or_a_restore_leaves_a_database_that_opens() {
    let companions = [Place::DATABASE, JOURNAL, "thanos-login.db-wal"];
    let mut kills = 0;
    for kind in ["init", "restore into nothing", "restore over a backup"] {
        for call in [
            "openat",
            "pwrite64",
            "fdatasync",
            "fsync",
            "unlink",
            "ftruncate",
        ] {
            for number in 1.. {
                let origin = with_copy();
                let place = Place::new();
                fs::copy(origin.path("copy.db"), place.path("copy.db")).unwrap();
                if kind == "restore over a backup" {
                    let old = Place::seeded(&accounts::crowded());
                    old.run(&["backup", "old.db"]).succeeded();
                    fs::copy(old.path("old.db"), place.path(Place::DATABASE)).unwrap();
                }
                let args = if kind == "init" {
                    &["init"][..]
                } else {
                    &["restore", "copy.db", "--force"]
                };
                let injected = format!("{call}:signal=KILL:when={number}");
                let output = inject(&place, &companions, &injected, args);
                if output.status.success() {
                    break;
                }
                kills += 1;
                let label = format!("{kind}, killed at {call} {number}");
                let opened = place.run(&["init"]);
                assert_eq!(opened.code, Some(0), "{label}: {opened:?}");
                let users = place.number("SELECT count(*) FROM users");
                let whole = match kind {
                    "init" => [0, 0],
                    "restore into nothing" => [0, 1],
                    _ => [64, 1],
                };
                assert!(whole.contains(&users), "{label}: {users} users");
                assert_eq!(place.integrity(), "ok", "{label}");
                place.run(&["restore", "copy.db", "--force"]).succeeded();
                assert_eq!(place.number("SELECT count(*) FROM users"), 1, "{label}");
            }
        }
    }
    assert!(kills > 50, "{kills}");
}
