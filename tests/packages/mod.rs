//! The files of a release, each installed with its own tools.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod cargo_package;
pub mod container;
mod debian;
mod manifests;
mod npm;
mod one_line;
mod python;
mod release;
mod static_binary;

/// The one file in `target/release-files/` with such a name.
fn release_file(begins: &str, ends: &str) -> PathBuf {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/target/release-files");
    let entries = fs::read_dir(directory)
        .unwrap_or_else(|error| panic!("{directory}: {error}; run deploy/release first"));
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with(begins) && name.ends_with(ends)
        })
        .collect();
    assert_eq!(
        found.len(),
        1,
        "{directory} should have one {begins}…{ends}: run deploy/release; {found:?}"
    );
    found.remove(0)
}

/// The one that all of them are made around.
#[track_caller]
fn static_binary() -> PathBuf {
    let host = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let path = format!("target/static/{host}/release/thanos-login");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    assert!(path.exists(), "{path:?} is missing: run deploy/release");
    path
}

/// What another program prints; it must succeed.
#[track_caller]
fn printed_by(command: &mut Command) -> String {
    let output = command.output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
