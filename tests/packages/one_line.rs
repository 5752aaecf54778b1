//! Runs the lines of README that install a file of a release and start a demo, each by a shell in an empty directory.

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::{printed_by, release_file};
use crate::harness::Place;
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::page::examples;

/// The example in README that starts with this text.
fn line(start: &str) -> String {
    let found = examples(include_str!("../../README.md"))
        .into_iter()
        .map(|(block, _)| block.text)
        .find(|text| text.starts_with(start));
    found.unwrap_or_else(|| panic!("README has no block that starts with {start:?}"))
}

/// Runs a line in a directory that contains a file of the release. The last command of the line becomes the server. `directory`
/// comes first in `PATH`.
#[track_caller]
fn assert_starts_a_demo(line: &str, file: &Path, place: &Place, directory: &str) {
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
        // Without these, pip prints to standard output, where the harness expects the server's line, and npm asks a question.
        .env("PIP_QUIET", "1")
        .env("npm_config_yes", "true")
        .start();
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    server.signal(Signal::TERM);
    server.wait();
}

#[test]
#[ignore = "needs target/release-files and pip"]
fn pip_installs_the_wheel_and_its_command_starts_a_demo() {
    let place = Place::new();
    printed_by(
        Command::new("python3")
            .args(["-m", "venv"])
            .arg(place.path("venv")),
    );
    let wheel = release_file("thanos_login-", ".whl");
    assert_starts_a_demo(&line("pip install "), &wheel, &place, "venv/bin");
}

#[test]
#[ignore = "needs target/release-files and npm"]
fn npx_starts_a_demo_from_the_package() {
    let package = release_file("thanos-login-", ".tgz");
    assert_starts_a_demo(&line("npx "), &package, &Place::new(), "bin");
}

/// Docker itself is not run here. The module `container` runs the image.
#[test]
#[ignore = "needs target/release-files"]
fn the_image_that_docker_loads_has_the_name_that_docker_runs() {
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
