//! Tests of `cargo package` and `cargo install` in the checkout.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::printed_by;
use crate::harness::Place;

/// The limit of crates.io for a compressed package.
const MAX_BYTES: u64 = 10_000_000;

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command
        .args(args)
        .args(["--offline", "--locked"])
        .current_dir(checkout());
    command
}

/// Adds the files below a directory, by their paths relative to the checkout, without the caches of Python.
fn files_below(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("__pycache__") {
                files_below(&path, found);
            }
        } else {
            let path = path.strip_prefix(checkout()).unwrap();
            found.insert(path.to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn a_package_contains_all_sources_of_the_program_and_its_tests_and_is_small() {
    if checkout().join("Cargo.toml.orig").exists() {
        // The checkout is an unpacked package, from which cargo cannot create another.
        return;
    }
    let listed = printed_by(&mut cargo(&["package", "--list", "--allow-dirty"]));
    let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();

    let mut needed: BTreeSet<String> = [
        "Cargo.lock",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        "README.md",
        "schema.sql",
    ]
    .map(str::to_owned)
    .into();
    for directory in ["benches", "deploy", "docs", "fixtures", "src", "tests"] {
        files_below(&checkout().join(directory), &mut needed);
    }
    let missing: Vec<_> = needed.difference(&listed).collect();
    assert!(missing.is_empty(), "{missing:?}");

    let bytes: u64 = listed
        .iter()
        .filter_map(|path| fs::metadata(checkout().join(path)).ok())
        .map(|metadata| metadata.len())
        .sum();
    assert!(bytes < MAX_BYTES, "{bytes} bytes");
}

/// A separate target directory: in the usual one, builds of other directories would replace those of the checkout.
fn separate_target() -> PathBuf {
    checkout().join("target/packages")
}

#[test]
#[ignore = "takes minutes"]
fn a_package_compiles_with_its_tests_outside_of_the_checkout() {
    let place = Place::new();
    let target = separate_target();
    let mut package = cargo(&["package", "--allow-dirty", "--no-verify"]);
    printed_by(package.arg("--target-dir").arg(&target));
    let name = concat!("thanos-login-", env!("CARGO_PKG_VERSION"));
    // All files of a package have the same date, so cargo would not notice that they have changed.
    printed_by(
        Command::new("tar")
            .args(["--extract", "--touch", "--file"])
            .arg(target.join("package").join(format!("{name}.crate")))
            .arg("--directory")
            .arg(place.path("")),
    );
    let mut check = cargo(&["check", "--all-targets", "--features", "postgres"]);
    check.arg("--target-dir").arg(&target);
    printed_by(check.current_dir(place.path(name)));
}

#[test]
#[ignore = "takes minutes"]
fn cargo_installs_the_program_from_the_checkout() {
    let place = Place::new();
    let mut install = cargo(&["install", "--path", ".", "--debug", "--no-track"]);
    install
        .arg("--root")
        .arg(place.path("root"))
        .arg("--target-dir")
        .arg(separate_target())
        .env("CARGO_PROFILE_DEV_DEBUG", "false")
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", "0");
    printed_by(&mut install);
    assert_eq!(place.files("root/bin"), ["thanos-login"]);
    let version = printed_by(Command::new(place.path("root/bin/thanos-login")).arg("--version"));
    assert_eq!(
        version,
        concat!("thanos-login ", env!("CARGO_PKG_VERSION"), "\n")
    );
}
