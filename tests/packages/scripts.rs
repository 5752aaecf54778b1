//! Tests of what the scripts in deploy/ require, and of the errors without it. They compile nothing.

use std::env;
use std::process::{Command, Output};

use super::{install, printed_by, write_program};
use crate::harness::Place;
use crate::harness::process::PROGRAM;

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");

#[track_caller]
fn error_of(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_missing_program_is_named_and_nothing_is_written() {
    let place = Place::new();
    for package in ["container", "debian", "npm", "python"] {
        let script = format!("{DEPLOY}/{package}/build");
        for binary in ["missing", "."] {
            let mut build = Command::new(&script);
            build.args([binary, "built"]).current_dir(place.path(""));
            let expected = format!("{script}: {binary}: not a program; deploy/static builds one\n");
            assert_eq!(error_of(&build.output().unwrap()), expected);
        }
    }
    assert!(!place.path("built").exists());
}

#[test]
fn a_program_for_another_processor_is_refused() {
    let place = Place::new();
    write_program(
        &place,
        "script",
        &format!("#!/bin/sh\nexec {PROGRAM} \"$@\"\n"),
    );
    let mut build = Command::new(format!("{DEPLOY}/npm/build"));
    build.args(["script", "built"]).current_dir(place.path(""));
    // Found before npm is used.
    write_program(&place, "npm", "#!/bin/sh\nexit 3\n");
    let path = env::var("PATH").unwrap();
    build.env("PATH", format!("{}:{path}", place.path("").display()));
    let error = error_of(&build.output().unwrap());
    assert!(
        error.ends_with(": not an x86-64 or AArch64 program\n"),
        "{error}"
    );
}

#[test]
fn the_date_is_a_setting_or_that_of_the_commit() {
    let place = Place::new();
    install(format!("{DEPLOY}/date"), place.path("date"));
    let date = |epoch| {
        let mut date = Command::new(place.path("date"));
        date.env("SOURCE_DATE_EPOCH", epoch);
        // A directory above may be a checkout.
        date.env("GIT_CEILING_DIRECTORIES", place.path("").parent().unwrap());
        date.output().unwrap()
    };
    assert_eq!(date("1700000000").stdout, b"1700000000\n");
    let error = error_of(&date(""));
    assert!(
        error.ends_with("no commit to take the date of: set SOURCE_DATE_EPOCH\n"),
        "{error}"
    );
}

#[test]
fn the_debian_package_is_not_built_after_a_failed_build_of_the_program() {
    let place = Place::new();
    let script = place.path("deploy/debian/build");
    install(format!("{DEPLOY}/debian/build"), &script);
    write_program(
        &place,
        "deploy/static",
        "#!/bin/sh\necho no compiler >&2\nexit 1\n",
    );
    let output = Command::new(script).output().unwrap();
    assert_eq!(error_of(&output), "no compiler\n");
    assert!(!place.path("target").exists());
}

#[test]
fn a_release_of_changes_that_are_not_committed_starts_with_a_warning() {
    let place = Place::new();
    let script = place.path("deploy/release");
    install(format!("{DEPLOY}/release"), &script);
    printed_by(
        Command::new("git")
            .args(["init", "--quiet"])
            .arg(place.path("")),
    );
    // It goes on, and fails without the other scripts.
    let output = Command::new(script).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        error.starts_with(
            "deploy/release: warning: the release contains changes that are not committed\n"
        ),
        "{error}"
    );
}
