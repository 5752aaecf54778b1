//! Tests of the files of a release, each with the tools that install it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::Place;

mod cargo_package;
pub mod container;
mod debian;
mod manifests;
mod npm;
mod one_line;
mod python;
mod release;
mod scripts;
mod static_binary;

/// The file in `target/release-files/` whose name has this prefix and suffix. Panics unless there is exactly one.
fn release_file(prefix: &str, suffix: &str) -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/target/release-files");
    let entries = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{directory}: {error}; run deploy/release first"));
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(prefix) && name.ends_with(suffix)
        })
        .collect();
    assert_eq!(
        found.len(),
        1,
        "{directory} should have one {prefix}…{suffix}: run deploy/release; {found:?}"
    );
    found.remove(0)
}

/// The binary that all files of the release contain.
#[track_caller]
fn static_binary() -> PathBuf {
    let host = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let path = format!("target/static/{host}/release/thanos-login");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(path.exists(), "{path:?} is missing: run deploy/release");
    path
}

/// Runs another program, which must succeed, and returns what it prints.
#[track_caller]
fn printed_by(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Copies a program, by another process: a file that this one has open for writing cannot be executed, and a child that
/// another test has just started may keep it open.
#[track_caller]
fn install(program: impl AsRef<Path>, to: impl AsRef<Path>) {
    let mut install = Command::new("install");
    install.args(["-D", "-m", "755"]);
    printed_by(install.arg(program.as_ref()).arg(to.as_ref()));
}

/// Writes a program as [`install`] does.
#[track_caller]
fn write_program(place: &Place, name: &str, content: &str) {
    place.write("content", content);
    install(place.path("content"), place.path(name));
    fs::remove_file(place.path("content")).unwrap();
}
