//! The npm package, with the real npm and Node.
//!
//! `deploy/npm/check` installs it in a fresh directory and runs deploy/npm/test there. Other modules come from where `.ci/run`
//! puts them; `CHROMIUM` names another browser than Debian's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::release_file;
use crate::harness::Place;
use crate::harness::process::PROGRAM;

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Packs this program; gives the package's path.
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
fn the_npm_package_passes_its_tests_where_it_is_installed() {
    let output = Command::new(checkout().join("deploy/npm/check"))
        .arg(release_file("thanos-login-", ".tgz"))
        .arg(checkout().join("target/ci/browser/node_modules"))
        .arg(checkout().join("target/ci/clients/node_modules"))
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
fn the_npm_package_of_the_same_program_is_the_same_file() {
    let place = Place::new();
    let (one, other) = (pack(&place, "one"), pack(&place, "other"));
    assert_eq!(
        one.file_name().unwrap().to_str(),
        Some(concat!("thanos-login-", env!("CARGO_PKG_VERSION"), ".tgz"))
    );
    assert!(fs::read(one).unwrap() == fs::read(other).unwrap());
}
