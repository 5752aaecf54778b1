//! The command line: usage, help, environment, exit codes, and what goes to standard output.

use std::net::TcpListener;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::server::{address_in, send_over_unix_socket};
use crate::harness::{Connection, JSON, LOGIN, Place, Server, login_body, only_in_a_file, request};

#[test]
fn help_and_version_go_to_standard_output_and_succeed() {
    let place = Place::new();
    let version = place.run(&["--version"]).succeeded();
    assert_eq!(
        version.stdout,
        concat!("thanos-login ", env!("CARGO_PKG_VERSION"), "\n")
    );
    assert_eq!(version.stderr, "");
    for args in [
        &["--help"][..],
        &["serve", "--help"],
        &["init", "--help"],
        &["seed", "--help"],
    ] {
        let help = place.run(args).succeeded();
        assert!(
            help.stdout.contains("Usage: thanos-login"),
            "{args:?}: {help:?}"
        );
        assert_eq!(help.stderr, "", "{args:?}");
    }
    for args in [&["serve", "--version"][..], &["seed", "--version"]] {
        assert!(
            place
                .run(args)
                .succeeded()
                .stdout
                .contains(env!("CARGO_PKG_VERSION")),
            "{args:?}"
        );
    }
    assert_eq!(place.files(""), ["tmp"]);
}

#[test]
fn the_help_of_serve_names_every_flag_with_its_variable() {
    let help = Place::new().run(&["serve", "--help"]).succeeded().stdout;
    for flag in [
        "listen",
        "db",
        "demo",
        "fixture",
        "allow-remote-demo",
        "token-ttl",
        "max-tokens-per-user",
        "bcrypt-cost",
        "hash-queue",
        "hash-wait",
    ] {
        assert!(help.contains(&format!("--{flag}")), "{flag}: {help}");
        let variable = format!("THANOS_LOGIN_{}", flag.to_uppercase().replace('-', "_"));
        assert!(help.contains(&variable), "{variable}: {help}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_touches_nothing() {
    only_in_a_file();
    let rows: &[(&str, &[&str])] = &[
        ("no command", &[]),
        ("unknown command", &["server"]),
        ("unknown flag", &["serve", "--colour"]),
        ("an argument too many", &["serve", "now"]),
        ("two fixtures", &["seed", "a.json", "b.json"]),
        (
            "a fixture without a demo",
            &["serve", "--fixture", "accounts.json"],
        ),
        (
            "a demo with a database",
            &["serve", "--demo", "--db", "x.db"],
        ),
        ("a mode with a 9", &["serve", "--socket-mode", "0690"]),
        ("a mode that is more", &["serve", "--socket-mode", "1600"]),
        ("no address", &["serve", "--listen", ""]),
        (
            "an address without a port",
            &["serve", "--listen", "127.0.0.1"],
        ),
        ("a port without an address", &["serve", "--listen", ":8080"]),
        ("a port alone", &["serve", "--listen", "8080"]),
        (
            "localhost without a port",
            &["serve", "--listen", "localhost"],
        ),
        ("another name", &["serve", "--listen", "example.com:8080"]),
        (
            "a port that is none",
            &["serve", "--listen", "127.0.0.1:65536"],
        ),
        (
            "a port that is a word",
            &["serve", "--listen", "localhost:http"],
        ),
        (
            "an IPv6 address without brackets",
            &["serve", "--listen", "::1:8080"],
        ),
        ("a URL", &["serve", "--listen", "http://127.0.0.1:8080"]),
        ("a socket without a path", &["serve", "--listen", "unix:"]),
        (
            "one good and one bad address",
            &["serve", "--listen", "127.0.0.1:0", "--listen", "x"],
        ),
        (
            "a cheap hash in a real server",
            &["serve", "--bcrypt-cost", "9"],
        ),
        (
            "a cheap hash in a real database",
            &["seed", "--bcrypt-cost", "4"],
        ),
        (
            "a cost that bcrypt does not know",
            &["serve", "--demo", "--bcrypt-cost", "3"],
        ),
        (
            "a cost that would stop a server",
            &["serve", "--demo", "--bcrypt-cost", "16"],
        ),
        (
            "a cost that is no number",
            &["serve", "--bcrypt-cost", "high"],
        ),
        ("a duration without a unit", &["serve", "--token-ttl", "10"]),
        (
            "a duration with an unknown unit",
            &["serve", "--token-ttl", "1y"],
        ),
        ("a duration below nothing", &["serve", "--token-ttl=-5s"]),
        ("no duration", &["serve", "--token-ttl", ""]),
        ("a unit alone", &["serve", "--token-ttl", "s"]),
        (
            "a duration beyond all numbers",
            &["serve", "--token-ttl", "99999999999999999999h"],
        ),
        (
            "a number that is none",
            &["serve", "--max-tokens-per-user", "many"],
        ),
        (
            "a number below nothing",
            &["serve", "--max-tokens-per-user=-1"],
        ),
    ];
    for (label, args) in rows {
        let place = Place::new();
        place.run(args).was_wrong_usage(label);
        assert_eq!(place.files(""), ["tmp"], "{label}");
        assert_eq!(place.files("tmp"), [""; 0], "{label}");
    }
}

#[test]
fn a_wrong_variable_is_wrong_usage_too() {
    for (name, value) in [
        ("THANOS_LOGIN_LISTEN", "nowhere"),
        ("THANOS_LOGIN_TOKEN_TTL", "10"),
        ("THANOS_LOGIN_BCRYPT_COST", "9"),
        ("THANOS_LOGIN_FIXTURE", "accounts.json"),
    ] {
        let place = Place::new();
        place
            .program(&["serve"])
            .env(name, value)
            .finish()
            .was_wrong_usage(name);
        assert_eq!(place.files(""), ["tmp"], "{name}");
    }
}

#[test]
fn every_form_of_address_serves_and_is_printed() {
    let server = Place::new()
        .program(&["serve", "--demo", "--listen", "localhost:0"])
        .start();
    assert_eq!(server.address().ip().to_string(), "127.0.0.1");
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);

    let server = Place::new()
        .program(&["serve", "--demo", "--listen", "127.0.0.2:0"])
        .start();
    assert_eq!(server.address().ip().to_string(), "127.0.0.2");
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);

    if TcpListener::bind("[::1]:0").is_ok() {
        let server = Place::new()
            .program(&["serve", "--demo", "--listen", "[::1]:0"])
            .start();
        assert!(
            server.ready_line.starts_with("listening on http://[::1]:"),
            "{}",
            server.ready_line
        );
        assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    }

    let server = Place::new()
        .program(&["serve", "--demo", "--listen", "unix:login.sock"])
        .start();
    assert_eq!(server.ready_line, "listening on unix:login.sock");
    let bytes = request("POST", LOGIN, &[JSON], login_body(JWEIR, PASSWORD));
    assert_eq!(
        send_over_unix_socket(&server, "login.sock", bytes).status,
        200
    );
}

#[test]
fn several_addresses_are_printed_in_their_order_and_all_serve() {
    let args = [
        "serve",
        "--demo",
        "--listen",
        "127.0.0.2:0",
        "--listen",
        "unix:login.sock",
        "--listen",
        "127.0.0.1:0",
    ];
    let server = Place::new().program(&args).start();
    assert_eq!(server.address().ip().to_string(), "127.0.0.2");
    assert_eq!(server.next_ready_line(), "listening on unix:login.sock");
    let third = address_in(&server.next_ready_line());
    assert_eq!(third.ip().to_string(), "127.0.0.1");

    let bytes = request("POST", LOGIN, &[JSON], login_body(JWEIR, PASSWORD));
    assert_eq!(server.send(&bytes).status, 200);
    assert_eq!(
        send_over_unix_socket(&server, "login.sock", &bytes).status,
        200
    );
    let mut connection = Connection::to(third);
    connection.send(&bytes);
    assert_eq!(connection.answer().status, 200);
}

#[test]
fn standard_output_has_nothing_but_the_ready_line() {
    let server = Server::demo();
    server.login(JWEIR, PASSWORD).token();
    server.login(JWEIR, "wrong");
    server.answers_something_else();
    assert_eq!(server.stop().stdout, "");
}

#[test]
fn an_address_in_use_is_named_and_no_ready_line_is_printed() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let place = Place::new();
    for args in [
        &["serve", "--listen", &address][..],
        &["serve", "--listen", "127.0.0.1:0", "--listen", &address],
        &["serve", "--demo", "--listen", &address],
    ] {
        place
            .run(args)
            .failed_naming(&format!("{args:?}"), &address);
        assert_eq!(place.files("tmp"), [""; 0], "{args:?}");
    }
    let args = ["serve", "--listen", "unix:nowhere/login.sock"];
    place
        .run(&args)
        .failed_naming("a socket in no directory", "nowhere/login.sock");
}

#[test]
fn a_variable_has_the_effect_of_its_flag_and_the_flag_takes_precedence() {
    only_in_a_file();
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    std::fs::rename(place.path(Place::DATABASE), place.path("other.db")).unwrap();
    let server = place
        .program(&["serve"])
        .env("THANOS_LOGIN_DB", "other.db")
        .env("THANOS_LOGIN_LISTEN", "127.0.0.2:0,localhost:0")
        .env("THANOS_LOGIN_TOKEN_TTL", "0")
        .env("THANOS_LOGIN_BCRYPT_COST", "10")
        .start();
    assert_eq!(server.address().ip().to_string(), "127.0.0.2");
    assert_eq!(
        address_in(&server.next_ready_line()).ip().to_string(),
        "127.0.0.1"
    );
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    server.stop();
    std::fs::rename(place.path("other.db"), place.path(Place::DATABASE)).unwrap();
    assert_eq!(
        place.number("SELECT count(*) FROM tokens WHERE expires_at IS NULL"),
        1
    );

    let server = place
        .program(&[
            "serve",
            "--db",
            Place::DATABASE,
            "--listen",
            "127.0.0.1:0",
            "--token-ttl",
            "2h",
            "--bcrypt-cost",
            "10",
        ])
        .env("THANOS_LOGIN_DB", "other.db")
        .env("THANOS_LOGIN_LISTEN", "127.0.0.2:0")
        .env("THANOS_LOGIN_TOKEN_TTL", "0")
        .env("THANOS_LOGIN_BCRYPT_COST", "15")
        .start();
    assert_eq!(server.address().ip().to_string(), "127.0.0.1");
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    assert_eq!(
        place.number("SELECT count(*) FROM tokens WHERE expires_at IS NOT NULL"),
        1
    );
    assert!(!place.path("other.db").exists());
}

#[test]
fn the_database_is_where_the_flag_or_the_variable_says_for_every_command() {
    only_in_a_file();
    let place = Place::new();
    place.write("accounts.json", accounts::crowded().to_string());
    place.run(&["init", "--db", "one.db"]).succeeded();
    place
        .run(&["seed", "--db", "two.db", "accounts.json"])
        .succeeded();
    place
        .program(&["init"])
        .env("THANOS_LOGIN_DB", "three.db")
        .finish()
        .succeeded();
    place
        .program(&["seed", "accounts.json"])
        .env("THANOS_LOGIN_DB", "four.db")
        .finish()
        .succeeded();
    assert_eq!(
        place.files(""),
        [
            "accounts.json",
            "four.db",
            "one.db",
            "three.db",
            "tmp",
            "two.db"
        ]
    );
}

#[test]
fn a_demo_by_variable_ignores_the_database_and_leaves_no_file() {
    only_in_a_file();
    let place = Place::new();
    place.write(
        "accounts.json",
        accounts::retailer([accounts::user("somebody")]).to_string(),
    );
    let server = place
        .program(&["serve"])
        .env("THANOS_LOGIN_DEMO", "true")
        .env("THANOS_LOGIN_FIXTURE", "accounts.json")
        .env("THANOS_LOGIN_DB", "ignored.db")
        .start();
    assert_eq!(server.login("somebody", PASSWORD).status, 200);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 401);
    assert_eq!(place.files(""), ["accounts.json", "tmp"]);
}

#[test]
fn a_demo_that_other_machines_reach_is_refused_with_the_flag_that_allows_it() {
    let rows: [&[&str]; 3] = [
        &["--listen", "0.0.0.0:0"],
        &["--listen", "[::]:0"],
        &["--listen", "127.0.0.1:0", "--listen", "0.0.0.0:0"],
    ];
    for listen in rows {
        let place = Place::new();
        let refused = place.run(&[&["serve", "--demo"], listen].concat());
        assert_ne!(refused.code, Some(0), "{refused:?}");
        assert_eq!(refused.stdout, "", "{listen:?}");
        assert!(
            refused.stderr.contains("--allow-remote-demo"),
            "{refused:?}"
        );
        assert_eq!(place.files("tmp"), [""; 0], "{listen:?}");
    }
}

#[test]
fn a_demo_that_other_machines_reach_is_served_with_the_flag_that_allows_it() {
    let args = [
        "serve",
        "--demo",
        "--allow-remote-demo",
        "--listen",
        "0.0.0.0:0",
    ];
    let server = Place::new().program(&args).start();
    assert!(
        server
            .ready_line
            .starts_with("listening on http://0.0.0.0:"),
        "{}",
        server.ready_line
    );
    let mut connection = Connection::to(([127, 0, 0, 1], server.address().port()).into());
    connection.send(request("POST", LOGIN, &[JSON], login_body(JWEIR, PASSWORD)));
    assert_eq!(connection.answer().status, 200);
}

#[test]
fn a_real_server_listens_at_the_given_address() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&["--listen", "0.0.0.0:0"]);
    assert!(
        server
            .ready_line
            .starts_with("listening on http://0.0.0.0:"),
        "{}",
        server.ready_line
    );
}

#[test]
fn a_demo_fixture_that_is_refused_ends_the_start_with_its_findings() {
    let place = Place::new();
    place.write(
        "demo.json",
        r#"{"organizations":[{"name":"x","org_type":"BANK","users":[{}]}]}"#,
    );
    let finished = place.run(&["serve", "--demo", "--fixture", "demo.json"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(finished.stdout, "");
    assert!(
        finished.stderr.contains("organizations[0].org_type: "),
        "{finished:?}"
    );
    assert_eq!(place.files("tmp"), [""; 0]);

    place
        .run(&["serve", "--demo", "--fixture", "nowhere.json"])
        .failed_naming("no such fixture", "nowhere.json");
    assert_eq!(place.files("tmp"), [""; 0]);
}
