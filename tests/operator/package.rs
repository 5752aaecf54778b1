//! The Debian package, with the real dpkg.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::machine::{Machine, traces};
use crate::harness::process::PROGRAM;
use crate::harness::{Answer, Connection, Place, request};

const ENVIRONMENT: &str = "/etc/default/thanos-login";
const DATABASE: &str = "/var/lib/thanos-login/thanos-login.db";

/// The variables that systemd would set.
fn parse_environment_file(text: &str) -> BTreeMap<&str, &str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .filter(|(name, _)| !name.contains(' '))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect()
}

#[test]
fn uncommenting_every_line_of_the_environment_file_starts_a_server_with_the_defaults() {
    let text = include_str!("../../deploy/debian/thanos-login.default");
    assert!(parse_environment_file(text).is_empty());
    let uncommented: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix('#').unwrap_or(line))
        .collect();
    let uncommented = uncommented.join("\n");
    let mut variables = parse_environment_file(&uncommented);
    assert!(variables.len() > 25, "{variables:?}");
    // The usual port may be in use.
    assert!(variables.remove("THANOS_LOGIN_LISTEN").is_some());

    let start = |place: &Place| {
        let program = place.program(&["serve"]);
        let program = variables
            .iter()
            .fold(program, |program, (name, value)| program.env(name, value));
        program.start()
    };
    let fresh = Place::new();
    start(&fresh).stop();
    assert!(fresh.path(Place::DATABASE).exists());

    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = start(&place);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    let metrics = server.send(request("GET", "/metrics", &[], ""));
    assert_eq!(metrics.status, 404);
    server.stop();
}

/// The mode, owner and group of a file.
#[track_caller]
fn permissions(machine: &Machine, path: &str) -> String {
    let said = machine.run("stat", &["--format", "%a %U %G", path]);
    said.trim().to_owned()
}

fn uid_of(process: u32) -> u32 {
    fs::metadata(format!("/proc/{process}")).unwrap().uid()
}

#[test]
#[ignore = "needs root, dpkg, cargo-deb and minutes for deploy/static"]
fn the_package_is_installed_upgraded_removed_and_purged() {
    let machine = Machine::take();
    let [first, second] = ["1", "2"].map(|revision| machine.build(revision));

    machine.run("dpkg", &["--install", &first]);
    assert_eq!(machine.run("dpkg", &["--verify", "thanos-login"]), "");
    for (path, expected) in [
        ("/usr/bin/thanos-login", "755 root root"),
        (
            "/usr/lib/systemd/system/thanos-login.service",
            "644 root root",
        ),
        (ENVIRONMENT, "644 root root"),
        ("/var/lib/thanos-login", "700 thanos-login thanos-login"),
        ("/usr/share/man/man1/thanos-login.1.gz", "644 root root"),
        (
            "/usr/share/man/man1/thanos-login-user-import.1.gz",
            "644 root root",
        ),
        ("/usr/share/doc/thanos-login/licences", "644 root root"),
        (
            "/usr/share/doc/thanos-login/examples/nginx.conf",
            "644 root root",
        ),
    ] {
        assert_eq!(permissions(&machine, path), expected, "{path}");
    }
    for (shell, path) in [
        (
            "bash",
            "/usr/share/bash-completion/completions/thanos-login",
        ),
        ("zsh", "/usr/share/zsh/vendor-completions/_thanos-login"),
        (
            "fish",
            "/usr/share/fish/vendor_completions.d/thanos-login.fish",
        ),
    ] {
        let script = machine.run(PROGRAM, &["completions", shell]);
        assert_eq!(fs::read_to_string(path).unwrap(), script, "{path}");
    }
    assert_eq!(machine.server(), None, "nothing starts by itself");

    let mut environment = OpenOptions::new().append(true).open(ENVIRONMENT).unwrap();
    write!(
        environment,
        "THANOS_LOGIN_LISTEN=127.0.0.1:0\nTHANOS_LOGIN_BCRYPT_COST=10\n"
    )
    .unwrap();
    let environment = fs::read(ENVIRONMENT).unwrap();
    machine.run("systemctl", &["enable", "--now", "thanos-login"]);
    // Commands that root runs on the server's files leave them to the server's user.
    let fixture = accounts::retailer([accounts::user(JWEIR)]).to_string();
    machine.place.write("accounts.json", fixture);
    machine.run("thanos-login", &["seed", "accounts.json", "--db", DATABASE]);
    let token = machine.login(JWEIR, PASSWORD).token();
    let old = machine.server().unwrap();
    assert_eq!(uid_of(old), owner_of("/var/lib/thanos-login"));
    assert_ne!(uid_of(old), 0);
    machine.systemctl_calls();

    machine.run("dpkg", &["--install", &second]);
    assert_eq!(
        machine.systemctl_calls(),
        ["daemon-reload", "try-restart thanos-login.service"]
    );
    assert_ne!(machine.server(), Some(old));
    assert_eq!(fs::read(ENVIRONMENT).unwrap(), environment);
    assert_eq!(verify(&machine, &token).status, 200);
    assert_eq!(machine.login(JWEIR, PASSWORD).status, 200);

    machine.run("dpkg", &["--remove", "thanos-login"]);
    assert_eq!(
        machine.systemctl_calls(),
        ["disable --now thanos-login.service", "daemon-reload"]
    );
    assert_eq!(machine.server(), None);
    assert!(!Path::new("/usr/bin/thanos-login").exists());
    assert_eq!(fs::read(ENVIRONMENT).unwrap(), environment);
    assert_eq!(
        permissions(&machine, DATABASE),
        "600 thanos-login thanos-login"
    );

    machine.run("dpkg", &["--install", &second]);
    machine.run("systemctl", &["start", "thanos-login"]);
    assert_eq!(verify(&machine, &token).status, 200);

    machine.run("dpkg", &["--purge", "thanos-login"]);
    assert_eq!(traces(), [""; 0]);
}

fn owner_of(path: &str) -> u32 {
    fs::metadata(path).unwrap().uid()
}

#[track_caller]
fn verify(machine: &Machine, token: &str) -> Answer {
    let authorization = format!("Token {token}");
    let mut connection = Connection::to(machine.address());
    connection.send(request(
        "GET",
        "/api/organizations/token-verify/",
        &[("Authorization", &authorization)],
        "",
    ));
    connection.answer()
}

#[test]
fn the_package_has_the_licence_of_each_crate_that_is_linked() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/debian/licences");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let (list, texts) = text.split_once("\n\n---").unwrap();
    let listed: Vec<&str> = list
        .lines()
        .skip_while(|line| !line.is_empty())
        .skip(1)
        .filter_map(|line| Some(line.split_once(": ")?.0))
        .collect();
    let text_of = |owner: &str| texts.lines().any(|line| line == owner);
    for owner in &listed {
        // This crate is in the public domain.
        assert!(text_of(owner) != (*owner == "SQLite"), "{owner}");
    }
    for linked in [
        "libsqlite3-sys v",
        "ring v",
        "rustls v",
        "nix v",
        "tiny_http v",
        "tokio-postgres v",
    ] {
        let is_listed = listed.iter().any(|owner| owner.starts_with(linked));
        assert!(is_listed, "{linked}: {list}");
    }
    for other in ["proptest v", "tempfile v", "windows", "thanos-login v"] {
        assert!(!list.contains(other), "{other}");
    }
    for phrase in [
        "Permission is hereby granted, free of charge",
        "Apache License",
        "Copyright notices for The Rust Standard Library",
        "fiat-crypto",
    ] {
        assert!(texts.contains(phrase), "{phrase}");
    }
}

#[test]
fn the_environment_file_of_the_package_has_every_flag_of_a_real_server_with_its_default() {
    let text = include_str!("../../deploy/debian/thanos-login.default");
    let listed: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .filter(|(variable, _)| variable.starts_with("THANOS_LOGIN_"))
        .collect();
    let help = Place::new().run(&["serve", "-h"]).succeeded().stdout;
    let mut known = Vec::new();
    for text in help.split("[env: ").skip(1) {
        let (variable, rest) = text.split_once('=').unwrap();
        let only_by_hand = ["_DEMO", "_FIXTURE", "_ALLOW_HOST", "_CHECK_CONFIG"];
        if only_by_hand.iter().any(|end| variable.ends_with(end)) {
            assert!(!listed.contains_key(variable), "{variable}");
            continue;
        }
        let listed = listed.get(variable);
        let listed = listed.unwrap_or_else(|| panic!("{variable} is not in the file"));
        let this_flag = rest.split("\n      --").next().unwrap();
        if let Some((_, default)) = this_flag.split_once("[default: ") {
            let (default, _) = default.split_once([']', ',']).unwrap();
            // Some defaults are described in words; the file has an example or no value for them.
            assert!(default.contains(' ') || *listed == default, "{variable}");
        }
        known.push(variable);
    }
    assert_eq!(listed.len(), known.len(), "{listed:?}\n{known:?}");
}
