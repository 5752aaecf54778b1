//! docs/container.md: its commands, with a `docker` and a `kubectl` that run the program itself, and its table of variables.
//!
//! `packages::container` runs the program in the image.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::examples::checkout;
use super::{Page, code};
use crate::harness::Place;
use crate::packages::container;

/// Runs the words after the name of the image or the container; a server only checks its settings.
const RUNTIME: &str = r#"#!/bin/sh
set -eu
case $1 in
    run | exec) ;;
    # Its server makes the database.
    apply) exec thanos-login init --quiet ;;
    *) exit 0 ;;
esac
while [ "$1" != thanos-login ]; do
    if [ "$1" = --env ]; then
        case $2 in *=*) export "$2" ;; esac
    fi
    shift
done
shift
case ${1-serve} in
    serve)
        # There is no such server here.
        case ${THANOS_LOGIN_DB-} in postgres:*) exit 0 ;; esac
        [ $# -gt 0 ] || thanos-login init --quiet
        [ $# -gt 0 ] || set serve
        case $* in *--demo*) unset THANOS_LOGIN_DB THANOS_LOGIN_CREATE ;; esac
        exec thanos-login "$@" --check-config
        ;;
    *) exec thanos-login "$@" ;;
esac
"#;

fn runtimes() -> Place {
    let place = checkout();
    fs::create_dir(place.path("data")).unwrap();
    for name in ["bin/docker", "bin/kubectl"] {
        place.write(name, RUNTIME);
        fs::set_permissions(place.path(name), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let accounts = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/demo.json");
    fs::copy(accounts, place.path("accounts.json")).unwrap();
    place
}

/// The variables of the image, `NAME=VALUE`.
fn variables() -> Vec<String> {
    let settings = container::settings();
    let variables = settings["Env"].as_array().unwrap();
    let text = |variable: &serde_json::Value| variable.as_str().unwrap().to_owned();
    variables.iter().map(text).collect()
}

#[test]
fn every_command_of_the_page_about_containers_is_one_of_the_program() {
    let variables = variables();
    let mut count = 0;
    let mut heading = String::new();
    let mut place = runtimes();
    for (block, _) in Page::read("docs/container.md").examples() {
        if block.text.starts_with("deploy/") {
            // `packages` builds the image.
            continue;
        }
        if block.heading != heading {
            heading = block.heading;
            place = runtimes();
        }
        let data = place.path("data").display().to_string();
        let here = |text: &str| {
            text.replace("/data", &data)
                .replace(" /accounts.json", " accounts.json")
        };
        let mut command = Command::new("sh");
        command.args(["-euc", &here(&block.text)]);
        let image = variables.iter().map(|variable| here(variable));
        for variable in image.filter(|variable| variable.starts_with("THANOS_LOGIN_")) {
            let (name, value) = variable.split_once('=').unwrap();
            command.env(name, value);
        }
        let path = format!(
            "{}:{}",
            place.path("bin").display(),
            std::env::var("PATH").unwrap()
        );
        let output = command
            .env("PATH", path)
            .env("TMPDIR", place.path("tmp"))
            .current_dir(place.path(""))
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}\n{errors}", block.text);
        count += 1;
    }
    assert!(count >= 8, "only {count} blocks were found");
}

#[test]
fn the_table_of_the_images_variables_has_all_with_their_values() {
    let page = Page::read("docs/container.md");
    let rows = page.rows(&["variable", "in the image"]);
    let shown = rows
        .iter()
        .map(|cells| [code(cells[0])[0], code(cells[1])[0]].join("="));
    let variables: BTreeSet<_> = variables().into_iter().collect();
    assert_eq!(shown.collect::<BTreeSet<_>>(), variables);
}
