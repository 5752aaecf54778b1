//! Tests of the npm package with the real npm and Node.
//!
//! `deploy/npm/check` installs the package in an empty directory and runs the tests of deploy/npm/test there. `.ci/run` installs
//! the other modules. The variable `CHROMIUM` selects the browser, by default Debian's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::release_file;
use crate::harness::Place;
use crate::harness::process::PROGRAM;

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Builds a package around this program; returns its path.
fn pack(place: &Place, directory: &str) -> PathBuf {
    let output = Command::new(checkout().join("deploy/npm/build"))
        .arg(PROGRAM)
        .arg(place.path(directory))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
}

#[test]
#[ignore = "needs target/release-files, Node, npm, chromium, playwright-core and TypeScript"]
fn the_installed_npm_package_passes_its_tests() {
    let output = Command::new(checkout().join("deploy/npm/check"))
        .arg(release_file("thanos-login-", ".tgz"))
        .arg(checkout().join("target/ci/browser/node_modules"))
        .arg(checkout().join("target/ci/clients/node_modules"))
        .arg(checkout().join("target/ci/typescript-4.9/node_modules"))
        .output()
        .unwrap();
    let (tests, errors) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{tests}\n{errors}");
}

#[test]
#[ignore = "needs npm"]
fn the_same_program_produces_the_same_npm_package() {
    let place = Place::new();
    let (one, other) = (pack(&place, "one"), pack(&place, "other"));
    assert_eq!(
        one.file_name().unwrap().to_str(),
        Some(concat!("thanos-login-", env!("CARGO_PKG_VERSION"), ".tgz"))
    );
    assert!(fs::read(one).unwrap() == fs::read(other).unwrap());
}
