//! Tests of the archive and the digests of a release, and of its reproducibility.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{printed_by, release_file, static_binary};
use crate::harness::Place;

const CHECKOUT: &str = env!("CARGO_MANIFEST_DIR");
const VERSION: &str = env!("CARGO_PKG_VERSION");

#[test]
#[ignore = "needs deploy/release"]
fn every_file_has_a_digest() {
    let directory = Path::new(CHECKOUT).join("target/release-files");
    let mut check = Command::new("sha256sum");
    check.args(["--check", "--strict", "SHA256SUMS"]);
    let checked = printed_by(check.current_dir(&directory));
    let mut checked: Vec<&str> = checked
        .lines()
        .map(|line| line.split_once(": ").unwrap().0)
        .collect();
    checked.sort_unstable();
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "SHA256SUMS")
        .collect();
    names.sort_unstable();
    assert_eq!(checked, names);
    for (prefix, suffix) in [
        ("thanos-login-", "-linux.tar.gz"),
        ("thanos-login-", ".tgz"),
        ("thanos-login-", "-docker.tar"),
        ("thanos-login-", "-oci.tar"),
        ("thanos-login_", ".deb"),
        ("thanos_login-", ".whl"),
    ] {
        let name = release_file(prefix, suffix);
        assert!(name.to_str().unwrap().contains(VERSION), "{name:?}");
    }
    assert_eq!(names.len(), 6, "{names:?}");
}

#[test]
#[ignore = "needs deploy/release"]
fn the_archive_belongs_to_root_and_contains_the_program_its_manual_pages_completions_and_licences()
{
    let place = Place::new();
    let archive = release_file("thanos-login-", "-linux.tar.gz");
    let mut list = Command::new("tar");
    list.args(["--list", "--verbose", "--numeric-owner", "--file"]);
    for line in printed_by(list.arg(&archive)).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let mode = match words[5].ends_with('/') {
            true => "drwxr-xr-x",
            false if words[5].ends_with("/thanos-login") => "-rwxr-xr-x",
            false => "-rw-r--r--",
        };
        assert_eq!(words[..2], [mode, "0/0"], "{line}");
    }

    let mut extract = Command::new("tar");
    extract.args(["--extract", "--file"]).arg(&archive);
    printed_by(extract.arg("--directory").arg(place.path("")));
    let name = archive.file_name().unwrap().to_str().unwrap();
    let name = name.strip_suffix(".tar.gz").unwrap();
    assert_eq!(
        name,
        format!("thanos-login-{VERSION}-{}-linux", env::consts::ARCH)
    );
    assert_eq!(
        place.files(name),
        [
            "LICENSE-APACHE",
            "LICENSE-MIT",
            "README.md",
            "THIRD-PARTY-LICENSES",
            "completions",
            "docs",
            "man",
            "thanos-login"
        ]
    );
    let program = place.path(name).join("thanos-login");
    assert!(fs::read(&program).unwrap() == fs::read(static_binary()).unwrap());
    assert_eq!(
        place.files(&format!("{name}/completions")),
        ["_thanos-login", "thanos-login.bash", "thanos-login.fish"]
    );
    let page = place.path(name).join("man/man1/thanos-login-user-import.1");
    assert!(fs::read_to_string(page).unwrap().contains(".TH"));
    let licences = place.path(name).join("THIRD-PARTY-LICENSES");
    let licences = fs::read_to_string(licences).unwrap();
    for part in [
        "rustls",
        "GNU C Library",
        "GNU LESSER GENERAL PUBLIC LICENSE",
    ] {
        assert!(licences.contains(part), "{part}");
    }
}

#[test]
#[ignore = "needs deploy/release"]
fn the_binary_contains_no_paths_of_the_machine() {
    let binary = fs::read(static_binary()).unwrap();
    let sysroot = printed_by(Command::new("rustc").args(["--print", "sysroot"]));
    let home = env::var("HOME").unwrap();
    let cargo = env::var("CARGO_HOME").unwrap_or(format!("{home}/.cargo"));
    for path in [CHECKOUT, sysroot.trim(), &cargo] {
        let found = binary
            .windows(path.len())
            .any(|bytes| bytes == path.as_bytes());
        assert!(!found, "{path}");
    }
}

#[test]
#[ignore = "needs deploy/release and takes minutes: builds a second release of the same commit"]
fn another_checkout_of_the_same_commit_produces_the_same_bytes() {
    let place = Place::new();
    let other = place.path("another directory");
    let mut clone = Command::new("git");
    printed_by(clone.args(["clone", "--quiet", CHECKOUT]).arg(&other));
    let mut build = Command::new("sh");
    build.args(["-c", "umask 077 && exec deploy/release"]);
    // The locale and the time zone must not change the result.
    build.env("LC_ALL", "C.UTF-8").env("TZ", "Asia/Tokyo");
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_") && name != "CARGO_HOME" {
            build.env_remove(name);
        }
    }
    let digests = printed_by(build.current_dir(&other));
    let expected = Path::new(CHECKOUT).join("target/release-files/SHA256SUMS");
    assert_eq!(digests, fs::read_to_string(expected).unwrap());
}
