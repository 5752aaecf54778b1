//! README's lines that install a file of a release and start a demo, each by a shell in a directory of its own.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::{printed_by, release_file};
use crate::harness::Place;
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::page::examples;

/// The example that begins so.
fn line(begin: &str) -> String {
    let found = examples(include_str!("../../README.md"))
        .into_iter()
        .map(|(block, _)| block.text)
        .find(|text| text.starts_with(begin));
    found.unwrap_or_else(|| panic!("README has no block that begins with {begin:?}"))
}

/// Runs a line beside a file of the release; the last command becomes the server. `directory` is searched for programs first.
#[track_caller]
fn a_demo_starts_by(line: &str, file: &Path, place: &Place, directory: &str) {
    fs::copy(file, place.path("").join(file.file_name().unwrap())).unwrap();
    let (before, last) = line.rsplit_once(" && ").unwrap_or(("true", line));
    let directory = place.path(directory);
    let script = format!(
        "PATH={}:$PATH; {before} && exec {last}",
        directory.display()
    );
    let mut server = place
        .program(&[])
        .under(&["sh", "-euc", &script])
        .env("THANOS_LOGIN_LISTEN", "127.0.0.1:0")
        // The first line on standard output is the server's then, and nobody is asked.
        .env("PIP_QUIET", "1")
        .env("npm_config_yes", "true")
        .start();
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    server.signal(Signal::TERM);
    server.wait();
}

#[test]
#[ignore = "needs target/release-files and pip"]
fn pip_installs_a_wheel_whose_command_is_a_stub() {
    let place = Place::new();
    printed_by(
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(place.path("venv")),
    );
    let wheel = release_file("thanos_login-", ".whl");
    a_demo_starts_by(&line("pip install "), &wheel, &place, "venv/bin");
}

#[test]
#[ignore = "needs target/release-files and npm"]
fn npx_runs_a_package_that_is_a_stub() {
    let package = release_file("thanos-login-", ".tgz");
    a_demo_starts_by(&line("npx "), &package, &Place::new(), "bin");
}

/// Nothing here runs containers; `container` runs what is loaded.
#[test]
#[ignore = "needs target/release-files"]
fn docker_loads_an_image_that_has_the_name_that_is_run() {
    let line = line("docker load ");
    let (load, run) = line.split_once(" && ").unwrap();
    assert_eq!(load, "docker load --input thanos-login-*-docker.tar");
    let image = release_file("thanos-login-", "-docker.tar");
    let place = Place::new();
    printed_by(
        Command::new("tar")
            .arg("-xf")
            .arg(&image)
            .arg("-C")
            .arg(place.path("")),
    );
    let manifest: Value =
        serde_json::from_slice(&fs::read(place.path("manifest.json")).unwrap()).unwrap();
    let tags = manifest[0]["RepoTags"].as_array().unwrap();
    assert!(tags.contains(&"thanos-login:latest".into()), "{manifest}");
    assert!(run.ends_with(" thanos-login serve --demo\n"), "{run}");
}
