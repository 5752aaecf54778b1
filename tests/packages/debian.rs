//! Tests of the Debian package of the release with Debian's tools. tests/operator/package.rs installs a package.

use std::fs;
use std::process::{Command, Output};

use super::{printed_by, release_file, write_program};
use crate::harness::Place;

fn build(args: &[&str], place: &Place) -> Output {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/debian/build");
    let mut command = Command::new(script);
    command.args(args).current_dir(place.path(""));
    command.output().unwrap()
}

#[test]
fn a_binary_of_another_version_is_refused() {
    let place = Place::new();
    write_program(&place, "other", "#!/bin/sh\necho thanos-login 99.9.9\n");
    let output = build(&["other", "built"], &place);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("reports \"thanos-login 99.9.9\""), "{error}");
    assert_eq!(place.files("built"), [""; 0]);
}

#[test]
fn unknown_arguments_are_refused() {
    let place = Place::new();
    for args in [
        &["binary"][..],
        &["--deb-revision"],
        &["--deb-revision", "2", "binary"],
        &["binary", "built", "--deb-revision", "2"],
    ] {
        let output = build(args, &place);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(error.starts_with("usage: "), "{error}");
    }
    assert!(!place.path("built").exists());
}

#[track_caller]
fn released() -> String {
    release_file("thanos-login_", ".deb").display().to_string()
}

#[test]
#[ignore = "needs lintian and deploy/release"]
fn lintian_reports_no_errors_and_warnings() {
    let found = printed_by(Command::new("lintian").args([
        "--fail-on",
        "error,warning",
        "--display-info",
        &released(),
    ]));
    assert!(!found.contains("unused-override"), "{found}");
}

#[test]
#[ignore = "needs dpkg and deploy/release"]
fn the_program_is_the_same_as_in_the_archive_and_depends_on_no_library() {
    let place = Place::new();
    let archive = release_file("thanos-login-", "-linux.tar.gz");
    printed_by(
        Command::new("tar")
            .args(["--extract", "--strip-components=1", "--file"])
            .arg(archive)
            .arg("--directory")
            .arg(place.path("")),
    );
    let package = released();
    printed_by(
        Command::new("dpkg-deb")
            .args(["--extract", &package])
            .arg(place.path("package")),
    );
    let [packaged, archived] = ["package/usr/bin/thanos-login", "thanos-login"]
        .map(|path| fs::read(place.path(path)).unwrap());
    assert!(packaged == archived, "they differ");
    let depends = printed_by(Command::new("dpkg-deb").args(["--field", &package, "Depends"]));
    assert_eq!(depends, "passwd\n");
}
