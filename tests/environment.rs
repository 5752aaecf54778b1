//! Variables instead of flags: an empty one counts as unset, and a message about a value names the variable it came from.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::process::{Command, Output};

use serde_json::json;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::process::PROGRAM;
use crate::harness::{Place, only_in_a_file};

/// Every variable that the help of these commands names.
fn variables(place: &Place, commands: &[&[&str]]) -> Vec<String> {
    let mut names = Vec::new();
    for command in commands {
        let help = place.run(&[command, &["--help"][..]].concat()).succeeded();
        let named = help.stdout.split("[env: ").skip(1);
        names.extend(named.map(|text| text.split_once('=').unwrap().0.to_owned()));
    }
    names.sort();
    names.dedup();
    names
}

#[test]
fn empty_variables_count_as_unset_for_every_command() {
    only_in_a_file();
    // The cost of the server is that of the hash: a rehash could be lost when the server stops.
    let hash = bcrypt::hash(PASSWORD, 10).unwrap();
    let user = json!({"username": JWEIR, "password_hash": hash});
    let place = Place::seeded(&accounts::retailer([user]));
    let commands: [&[&str]; 4] = [&["serve"], &["seed"], &["calibrate"], &["user", "add"]];
    let variables = variables(&place, &commands);
    assert!(variables.len() > 30, "{variables:?}");
    let empty = |args: &[&str]| {
        let names = variables.iter().map(String::as_str);
        names
            .chain(["RUST_LOG", "NO_COLOR"])
            .fold(place.program(args), |program, name| program.env(name, ""))
    };
    let flags = ["serve", "--listen", "127.0.0.1:0", "--bcrypt-cost", "10"];
    let server = empty(&flags).start();
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    let log = server.stop().stderr;
    assert!(log.contains("listening"), "{log}");
    for args in [
        &["user", "list"][..],
        &["token", "purge"],
        &["seed", "accounts.json"],
        &["check", "--bcrypt-cost", "10"],
        &["backup", "copy.db"],
        &["calibrate", "--hash-lanes", "1"],
    ] {
        let finished = empty(args).finish();
        assert_eq!(finished.code, Some(0), "{args:?}: {finished:?}");
    }
    let asked = empty(&["healthcheck"]).finish();
    asked.failed_naming("nobody answers", "127.0.0.1:8080");

    let help = empty(&["serve", "--help"]).finish().succeeded().stdout;
    let usual = place.run(&["serve", "--help"]).succeeded().stdout;
    assert_eq!(help, usual);
}

#[test]
fn a_wrong_value_is_refused_with_the_name_of_its_variable() {
    let rows = [
        ("THANOS_LOGIN_LISTEN", "nowhere", "nowhere"),
        ("THANOS_LOGIN_LISTEN", "127.0.0.1:0,", "comma"),
        ("THANOS_LOGIN_LISTEN", "127.0.0.1:0,,127.0.0.2:0", "comma"),
        ("THANOS_LOGIN_TRUSTED_PROXY", "10.0.0.0/8,", "comma"),
        ("THANOS_LOGIN_CORS_ORIGIN", ",https://shop.example", "comma"),
        ("THANOS_LOGIN_TLS_SELF_SIGNED", "localhost,,a", "comma"),
        ("THANOS_LOGIN_SOCKET_MODE", "0690", "0690"),
        ("THANOS_LOGIN_DEMO", "maybe", "maybe"),
        ("THANOS_LOGIN_METRICS", "maybe", "maybe"),
        ("THANOS_LOGIN_TOKEN_TTL", "10", "10"),
        ("THANOS_LOGIN_MAX_TOKENS_PER_USER", "0", "0"),
        ("THANOS_LOGIN_HASH_LANES", "11", "11"),
        ("THANOS_LOGIN_HASH_THREADS", "99999999", "4096"),
        ("THANOS_LOGIN_LOG_FORMAT", "xml", "xml"),
        ("THANOS_LOGIN_LOG_LEVEL", "loud", "loud"),
        ("THANOS_LOGIN_METRICS_LISTEN", "9464", "9464"),
        ("THANOS_LOGIN_BCRYPT_COST", "high", "high"),
        ("THANOS_LOGIN_BCRYPT_COST", "9", "below 10"),
        ("THANOS_LOGIN_FIXTURE", "accounts.json", "--demo"),
        ("THANOS_LOGIN_TLS_CERT", "cert.pem", "--tls-key"),
        ("THANOS_LOGIN_TLS_KEY", "key.pem", "--tls-cert"),
        ("RUST_LOG", "x=y=z", "x=y=z"),
    ];
    for (name, value, named) in rows {
        let place = Place::new();
        let refused = place.program(&["serve"]).env(name, value).finish();
        refused.was_wrong_usage(name);
        assert!(refused.stderr.contains(name), "{name}: {refused:?}");
        assert!(refused.stderr.contains(named), "{name}: {refused:?}");
        assert_eq!(place.files(""), ["tmp"], "{name}");
    }
}

#[test]
fn conflicting_flags_and_variables_are_named_as_they_were_given() {
    only_in_a_file();
    let rows = [
        (
            "serve --tls-cert a --tls-key b",
            "THANOS_LOGIN_TLS_SELF_SIGNED",
            "localhost",
            "--tls-cert",
        ),
        (
            "serve --tls-self-signed localhost --tls-key b",
            "THANOS_LOGIN_TLS_CERT",
            "a",
            "--tls-self-signed",
        ),
        ("serve --db x.db", "THANOS_LOGIN_DEMO", "true", "--db"),
        (
            "serve --demo",
            "THANOS_LOGIN_LISTEN",
            "0.0.0.0:0",
            "--allow-remote-demo",
        ),
    ];
    for (words, name, value, other) in rows {
        let args: Vec<&str> = words.split(' ').collect();
        let refused = Place::new().program(&args).env(name, value).finish();
        refused.was_wrong_usage(words);
        assert!(refused.stderr.contains(name), "{name}: {refused:?}");
        assert!(refused.stderr.contains(other), "{other}: {refused:?}");
    }
}

#[test]
fn a_variable_that_a_flag_overrides_is_not_named() {
    let refused = Place::new()
        .program(&["serve", "--listen=nowhere"])
        .env("THANOS_LOGIN_LISTEN", "127.0.0.1:0")
        .finish();
    refused.was_wrong_usage("a flag");
    assert!(
        !refused.stderr.contains("THANOS_LOGIN_LISTEN"),
        "{refused:?}"
    );
}

#[test]
fn a_failure_about_a_value_names_its_variable() {
    only_in_a_file();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let localhost = format!("localhost:{}", taken.local_addr().unwrap().port());
    let rows = [
        ("user list", "THANOS_LOGIN_DB", "nowhere.db"),
        ("check", "THANOS_LOGIN_DB", "nowhere.db"),
        ("backup x.db", "THANOS_LOGIN_DB", "no/where.db"),
        ("serve", "THANOS_LOGIN_LISTEN", &address),
        ("serve --demo", "THANOS_LOGIN_LISTEN", &localhost),
        ("serve", "THANOS_LOGIN_METRICS_LISTEN", &address),
        (
            "serve --log-format json",
            "THANOS_LOGIN_LISTEN",
            "unix:nowhere/login.sock",
        ),
        (
            "serve --tls-key key.pem",
            "THANOS_LOGIN_TLS_CERT",
            "nowhere.pem",
        ),
        ("serve --demo", "THANOS_LOGIN_FIXTURE", "nowhere.json"),
        ("serve", "THANOS_LOGIN_TLS_SELF_SIGNED", "*"),
        ("healthcheck", "THANOS_LOGIN_LISTEN", "unix:nowhere.sock"),
    ];
    for (words, name, value) in rows {
        let args: Vec<&str> = words.split(' ').collect();
        let failed = Place::new().program(&args).env(name, value).finish();
        failed.failed_naming(words, &format!("(from {name})"));
    }
}

#[test]
fn a_wrong_directory_for_temporary_files_is_named_with_its_variable() {
    only_in_a_file();
    for words in ["serve --demo", "seed --dry-run"] {
        let place = Place::new();
        let args: Vec<&str> = words.split(' ').collect();
        let failed = place.program(&args).env("TMPDIR", "/nowhere").finish();
        failed.failed_naming(words, "/nowhere");
        assert!(failed.stderr.contains("TMPDIR"), "{words}: {failed:?}");
    }
}

#[test]
fn a_variable_that_no_command_takes_is_reported_by_every_command_with_the_nearest_name() {
    only_in_a_file();
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let with_unknown = |args: &[&str]| {
        let program = place.program(args).env("THANOS_LOGIN_BCRYPT_COST", "10");
        let program = program.env("THANOS_LOGIN_LISTNE", "secret");
        program.env("THANOS_LOGIN_TLS_CERTIFICATE", "")
    };
    let reported = |label: &[&str], stderr: &str| {
        for (unknown, nearest) in [
            ("THANOS_LOGIN_LISTNE", "THANOS_LOGIN_LISTEN?"),
            ("THANOS_LOGIN_TLS_CERTIFICATE", "THANOS_LOGIN_TLS_CERT?"),
        ] {
            let lines: Vec<&str> = stderr
                .lines()
                .filter(|line| line.contains(unknown))
                .collect();
            assert_eq!(lines.len(), 1, "{label:?}: {stderr}");
            assert!(lines[0].contains(nearest), "{label:?}: {stderr}");
        }
        assert!(!stderr.contains("secret"), "{label:?}: {stderr}");
    };
    for (args, code) in [
        (&["init"][..], 0),
        (&["user", "list", "--json"], 0),
        (&["check"], 1),
        (&["completions", "bash"], 0),
        (&["user", "show", "nobody"], 1),
        (&["healthcheck", "--listen", "unix:nowhere.sock"], 1),
        (&["user", "lsit"], 2),
        (&["serve", "--listen", "nowhere"], 2),
        (&["serve", "--tls-cert", "cert.pem"], 2),
        (&["serve", "--db", "nowhere.db"], 1),
    ] {
        let finished = with_unknown(args).finish();
        assert_eq!(finished.code, Some(code), "{args:?}: {finished:?}");
        reported(args, &finished.stderr);
    }
    for format in ["text", "json"] {
        let args = ["serve", "--log-format", format];
        let server = with_unknown(&args).start();
        let log = server.stop().stderr;
        reported(&args, &log);
        if format == "json" {
            for line in log.lines() {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
    // Variables of other commands are known too.
    let known = place
        .program(&["serve"])
        .env("THANOS_LOGIN_HASH_LANES", "6");
    assert!(!known.start().stop().stderr.contains("WARN"));
}

/// Runs the program with a variable that need not be UTF-8; the harness accepts only text.
fn run_with(place: &Place, name: &str, value: &[u8], args: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(args)
        .current_dir(place.path(""))
        .env("TMPDIR", place.path("tmp"))
        .env(OsStr::new(name), OsString::from_vec(value.to_vec()))
        .output()
        .unwrap()
}

#[test]
fn a_value_that_is_not_utf_8_is_refused_with_the_name_of_its_variable() {
    only_in_a_file();
    let place = Place::new();
    for name in [
        "THANOS_LOGIN_LISTEN",
        "THANOS_LOGIN_TOKEN_TTL",
        "THANOS_LOGIN_DEMO",
        "RUST_LOG",
    ] {
        let refused = run_with(&place, name, b"a\xff", &["serve"]);
        assert_eq!(refused.status.code(), Some(2), "{name}: {refused:?}");
        let line = String::from_utf8(refused.stderr).unwrap();
        assert!(line.contains(name), "{name}: {line}");
    }
    let made = run_with(&place, "THANOS_LOGIN_DB", b"a\xff.db", &["init"]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
}
