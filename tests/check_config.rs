//! `serve --check-config`: each setting, its source, and the warnings and errors of a start.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};

use crate::harness::accounts::{self, JWEIR};
use crate::harness::{Finished, Place, only_in_a_file};

/// The flag, the value and the source in each line.
#[track_caller]
fn settings(finished: &Finished) -> Vec<[String; 3]> {
    let mut lines = finished.stdout.lines();
    let head = lines.next().unwrap();
    let columns = ["FLAG", "VALUE", "FROM"].map(|name| head.find(name).unwrap());
    let [_, value, from] = columns;
    lines
        .map(|line| [&line[..value], &line[value..from], &line[from..]])
        .map(|cells| cells.map(|cell| cell.trim().to_owned()))
        .collect()
}

#[track_caller]
fn assert_setting(finished: &Finished, expected: [&str; 3]) {
    let settings = settings(finished);
    let found = settings.iter().find(|setting| setting[0] == expected[0]);
    assert_eq!(found.unwrap(), &expected.map(str::to_owned));
}

#[test]
fn every_setting_is_printed_with_its_value_and_where_it_came_from() {
    only_in_a_file();
    let place = Place::new();
    let args = [
        "serve",
        "--check-config",
        "--listen",
        "127.0.0.1:0",
        "--metrics",
        "--listen=unix:a.sock",
    ];
    let checked = place
        .program(&args)
        .env("THANOS_LOGIN_TOKEN_TTL", "90m")
        .env("THANOS_LOGIN_TRUSTED_PROXY", "10.0.0.0/8,::1")
        .env("THANOS_LOGIN_LISTEN", "127.0.0.2:1")
        .env("THANOS_LOGIN_DB", "")
        .finish()
        .succeeded();
    assert_eq!(checked.stderr, "");
    for expected in [
        ["--listen", "127.0.0.1:0,unix:a.sock", "flag"],
        ["--metrics", "true", "flag"],
        ["--token-ttl", "90m", "THANOS_LOGIN_TOKEN_TTL"],
        [
            "--trusted-proxy",
            "10.0.0.0/8,::1",
            "THANOS_LOGIN_TRUSTED_PROXY",
        ],
        ["--db", Place::DATABASE, "default"],
        ["--create", "false", "default"],
        ["--tls-cert", "-", "default"],
        ["--hash-threads", "one per core", "default"],
        ["--failed-logins-per-user", "10, with --demo 0", "default"],
        ["--log-level", "info", "default"],
    ] {
        assert_setting(&checked, expected);
    }
    assert_eq!(place.files(""), ["tmp"]);
    assert_eq!(place.files("tmp"), [""; 0]);

    let by_module = place.program(&["serve", "--check-config"]);
    let by_module = by_module.env("RUST_LOG", "warn,thanos_login=debug");
    let expected = ["--log-level", "warn,thanos_login=debug", "RUST_LOG"];
    assert_setting(&by_module.finish().succeeded(), expected);
}

#[test]
fn every_flag_of_serve_is_among_the_printed_settings() {
    let help = Place::new().run(&["serve", "-h"]).succeeded().stdout;
    let flags = help.split("\n      --").skip(1);
    let flags = flags.map(|text| format!("--{}", text.split_whitespace().next().unwrap()));
    let flags: Vec<String> = flags.filter(|flag| flag != "--check-config").collect();
    assert!(flags.len() > 30, "{flags:?}");
    let checked = Place::new().run(&["serve", "--check-config"]).succeeded();
    let printed: Vec<String> = settings(&checked)
        .into_iter()
        .map(|[flag, ..]| flag)
        .collect();
    assert_eq!(printed, flags);
}

fn write_certificate(place: &Place, name: &str) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let pem = params.self_signed(&key).unwrap().pem();
    place.write(&format!("{name}.pem"), pem);
    place.write(&format!("{name}.key"), key.serialize_pem());
}

#[test]
fn a_warning_of_a_start_is_a_warning_of_the_check_too() {
    let place = Place::new();
    write_certificate(&place, "old");
    fs::set_permissions(place.path("old.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let flags = [
        "--listen",
        "0.0.0.0:0",
        "--listen",
        "unix:a.sock",
        "--socket-mode",
        "0666",
    ];
    let tls = ["--tls-cert", "old.pem", "--tls-key", "old.key"];
    let args = [&["serve", "--check-config"], &flags[..], &tls].concat();
    let checked = place
        .program(&args)
        .env("THANOS_LOGIN_TRUSTED_PROXY", "0.0.0.0/0");
    let checked = checked.finish().succeeded();
    let lines: Vec<&str> = checked.stderr.lines().collect();
    for (line, named) in lines.iter().zip([
        "THANOS_LOGIN_TRUSTED_PROXY (--trusted-proxy)",
        "--socket-mode 0666",
        "old.key: every user",
        "old.pem: clients will refuse TLS",
    ]) {
        assert!(line.starts_with("thanos-login: warning: "), "{line}");
        assert!(line.contains(named), "{line}");
    }
    assert_eq!(lines.len(), 4, "{lines:?}");
}

#[test]
fn problems_of_the_environment_and_of_generated_files_are_warnings_of_the_check_too() {
    let place = Place::new();
    write_certificate(&place, "thanos-login-ca");
    let open_to_all = fs::Permissions::from_mode(0o644);
    fs::set_permissions(place.path("thanos-login-ca.key"), open_to_all).unwrap();
    let flags = ["serve", "--check-config", "--tls-self-signed", "localhost"];
    let checked = place.program(&flags).after("ulimit -n 100").finish();
    let stderr = checked.succeeded().stderr;
    for named in [
        "file descriptors",
        "thanos-login-ca.key: every user",
        "thanos-login-ca.pem: certificate 1 of 1 expired",
    ] {
        assert!(stderr.contains(named), "{named}: {stderr}");
    }
    assert_eq!(stderr.lines().count(), 3, "{stderr}");
    let before = place.files("");
    assert_eq!(
        before,
        ["thanos-login-ca.key", "thanos-login-ca.pem", "tmp"]
    );
}

#[test]
fn everything_that_would_make_a_start_fail_is_reported_at_once_and_nothing_is_created() {
    only_in_a_file();
    let place = Place::new();
    write_certificate(&place, "a");
    write_certificate(&place, "b");
    place.write("text", "no socket");
    let flags = [
        "--db",
        "typo.db",
        "--listen",
        "unix:text",
        "--listen",
        "unix:nowhere/a.sock",
    ];
    let tls = ["--tls-cert", "a.pem", "--tls-key", "b.key"];
    let before = place.files("");
    let checked = place.run(&[&["serve", "--check-config"], &flags[..], &tls].concat());
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert_setting(&checked, ["--db", "typo.db", "flag"]);
    for named in [
        "unix:text",
        "nowhere/a.sock",
        "typo.db` creates it",
        "b.key",
    ] {
        assert!(checked.stderr.contains(named), "{named}: {checked:?}");
    }
    assert_eq!(checked.stderr.lines().count(), 4, "{checked:?}");

    let alone: &[(&[&str], i32, &str)] = &[
        (&["--db", "text"], 1, "text"),
        (&["--db", "nowhere/a.db", "--create"], 1, "nowhere/a.db"),
        (&["--tls-self-signed", "no name"], 1, "no name"),
        (&["--demo", "--fixture", "text"], 1, "JSON"),
        (&["--bcrypt-cost", "9"], 2, "--bcrypt-cost"),
        (&["--tls-cert", "a.pem"], 2, "--tls-key"),
        (&["--tls-self-signed", "localhost"], 0, ""),
        (&["--demo", "--tls-self-signed", "localhost"], 0, ""),
        (&["--db", "new.db", "--create"], 0, ""),
    ];
    for (flags, code, named) in alone {
        let checked = place.run(&[&["serve", "--check-config"], *flags].concat());
        assert_eq!(checked.code, Some(*code), "{flags:?}: {checked:?}");
        assert!(checked.stderr.contains(named), "{flags:?}: {checked:?}");
        assert_eq!(
            checked.stderr.is_empty(),
            *code == 0,
            "{flags:?}: {checked:?}"
        );
    }
    assert_eq!(place.files(""), before);
    assert_eq!(place.files("tmp"), [""; 0]);
}

#[test]
fn a_running_server_with_the_same_settings_is_not_a_problem() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let flags = ["--listen", "unix:a.sock", "--tls-self-signed", "localhost"];
    let _server = place.serve(&flags);
    let before = place.files("");
    let checked = place.run(&[&["serve", "--check-config"], &flags[..]].concat());
    assert_eq!(checked.succeeded().stderr, "");
    assert_eq!(place.files(""), before);
}
