//! What is logged, and what is never logged.

use serde_json::Value;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{JSON, LOGIN, Place, Server, login_body, only_in_a_file, request};

/// The log of a demo with these flags after `work` has run.
fn log_after(flags: &[&str], work: impl FnOnce(&Server)) -> String {
    let server = Server::demo_with(flags);
    work(&server);
    server.stop().stderr
}

fn json_lines(log: &str) -> Vec<Value> {
    log.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}")))
        .collect()
}

#[test]
fn every_request_is_one_line_with_its_client_its_call_and_its_outcome() {
    let log = log_after(&[], |server| {
        server.login(JWEIR, PASSWORD).token();
        server.login("nobody", "wrong");
        server.send(request("GET", "/nothing-here/", &[], ""));
        server.send(request("DELETE", &format!("{LOGIN}?next=secret"), &[], ""));
    });
    let user_uuid = "3a7acb28-ab13-437e-8c35-46cf4f0bea49";
    for (method, path, status, user) in [
        ("POST", LOGIN, "200", Some(user_uuid)),
        ("POST", LOGIN, "401", None),
        ("GET", "/nothing-here/", "404", None),
        ("DELETE", LOGIN, "405", None),
    ] {
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| {
                // A time or a duration may contain the digits of the status.
                let status = format!("status={status} ");
                [method, path, &status]
                    .iter()
                    .all(|part| line.contains(part))
            })
            .collect();
        assert_eq!(lines.len(), 1, "{method} {path} {status}: {log}");
        assert!(lines[0].contains("127.0.0.1"), "{}", lines[0]);
        assert_eq!(lines[0].contains(user_uuid), user.is_some(), "{}", lines[0]);
    }
    assert!(!log.contains("next=") && !log.contains('?'), "{log}");
}

/// The events of a start that name a database.
fn opened(log: &str) -> Vec<Value> {
    let lines = json_lines(log).into_iter();
    lines.filter(|line| line.get("created").is_some()).collect()
}

#[test]
fn a_start_logs_which_database_it_serves_and_what_is_in_it() {
    only_in_a_file();
    let place = Place::new();
    let json = ["serve", "--log-format", "json", "--bcrypt-cost", "10"];
    let start = |flags: &[&str]| {
        let log = place
            .program(&[&json, flags].concat())
            .start()
            .stop()
            .stderr;
        let events = opened(&log);
        assert_eq!(events.len(), 1, "{log}");
        events[0].clone()
    };
    let path = place.path(Place::DATABASE).canonicalize().err();
    assert!(path.is_some(), "it is not there yet");
    let first = start(&[]);
    let path = place.path(Place::DATABASE).canonicalize().unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(first["level"], "INFO");
    assert_eq!(first["database"], path);
    assert_eq!(first["created"], true);
    assert_eq!(
        (&first["organizations"], &first["users"]),
        (&0.into(), &0.into())
    );
    assert!(first["message"].as_str().unwrap().contains(path), "{first}");

    place.seed(&accounts::crowded()).succeeded();
    std::os::unix::fs::symlink(path, place.path("link.db")).unwrap();
    let second = start(&["--db", "./link.db"]);
    assert_eq!(second["database"], path);
    assert_eq!(second["created"], false);
    assert_eq!(
        (&second["organizations"], &second["users"]),
        (&1.into(), &64.into())
    );
    assert!(
        second.get("from").is_none() && second.get("to").is_none(),
        "{second}"
    );

    let old = include_str!("../src/store/engine/sqlite/migrations/1.sql");
    let file = rusqlite::Connection::open(place.path("old.db")).unwrap();
    file.execute_batch(old).unwrap();
    file.pragma_update(None, "user_version", 1).unwrap();
    drop(file);
    let third = start(&["--db", "old.db"]);
    assert_eq!(
        (&third["created"], &third["from"]),
        (&false.into(), &1.into())
    );
    assert!(third["to"].as_i64() > Some(1), "{third}");

    let demo = start(&["--demo"]);
    assert_eq!(
        (&demo["created"], &demo["users"]),
        (&true.into(), &5.into())
    );
    assert!(demo.get("database").is_none(), "{demo}");

    let text = place.serve(&[]).stop().stderr;
    let line = text
        .lines()
        .find(|line| line.contains("serving the database"));
    assert!(line.unwrap().contains(path), "{text}");
}

#[test]
fn the_log_is_json_when_asked_for() {
    let log = log_after(&["--log-format", "json"], |server| {
        server.login(JWEIR, PASSWORD).token();
        server.send(request("GET", "/nothing-here/", &[], ""));
    });
    let lines = json_lines(&log);
    assert!(lines.len() >= 2, "{log}");
    let text = |value: &Value| value.to_string();
    for (path, status) in [(LOGIN, "200"), ("/nothing-here/", "404")] {
        let found = lines
            .iter()
            .filter(|line| text(line).contains(path) && text(line).contains(status))
            .count();
        assert_eq!(found, 1, "{path}: {log}");
    }
}

#[test]
fn characters_that_reorder_or_hide_text_are_escaped_and_mean_the_same() {
    only_in_a_file();
    let path = "no\u{202E}\u{3164}\u{9B}directory/accounts.db";
    let failed = Place::new().run(&["serve", "--db", path, "--log-format", "json"]);
    assert_eq!(failed.code, Some(1), "{failed:#?}");
    assert!(failed.stderr.is_ascii(), "{failed:#?}");
    let message = json_lines(&failed.stderr)[0]["message"].clone();
    assert!(message.as_str().unwrap().contains(path), "{failed:#?}");
}

#[test]
fn the_level_determines_how_much_is_logged() {
    let requests = |server: &Server| {
        server.login(JWEIR, PASSWORD).token();
        server.answers_something_else();
    };
    for flags in [&["--log-level", "warn"][..], &["--log-level", "error"]] {
        assert_eq!(log_after(flags, requests), "", "{flags:?}");
    }
    let info = log_after(&["--log-level", "info"], requests);
    assert_eq!(
        info.lines().count(),
        log_after(&[], requests).lines().count()
    );
    assert!(log_after(&["--log-level", "trace"], requests).len() >= info.len());

    let server = Place::new()
        .program(&["serve", "--demo"])
        .env("RUST_LOG", "warn")
        .start();
    requests(&server);
    assert_eq!(server.stop().stderr, "");
}

#[test]
fn an_unknown_level_or_format_is_wrong_usage() {
    for flags in [["--log-level", "loud"], ["--log-format", "xml"]] {
        let args = [&["serve", "--demo"][..], &flags].concat();
        Place::new().run(&args).was_wrong_usage(flags[1]);
    }
}

#[test]
fn no_password_token_or_unknown_username_is_logged_at_the_most_verbose_level() {
    let place = Place::new();
    let server = place
        .program(&["serve", "--demo", "--log-level", "trace"])
        .env("RUST_LOG", "trace")
        .start();
    let mut secrets = vec![
        "thanosrocks".to_string(),
        "thanossupplies".into(),
        "a0f17278bed479ee719ea890b8caf0329e1f3e5b".into(),
        "$2b$".into(),
    ];
    server.login(JWEIR, PASSWORD).token();
    secrets.push(
        server
            .login("supplier@projectthanos.com", "thanossupplies")
            .token(),
    );
    for (username, password) in [
        ("the-password-as-username", "x-wrong-password-1"),
        ("deactivated@projectthanos.com", "x-wrong-password-2"),
        (JWEIR, "x-wrong-password-3"),
    ] {
        server.login(username, password);
        secrets.push(password.into());
    }
    secrets.push("the-password-as-username".into());
    server.post(r#"{"username":"x-half","password":"x-wrong-password-4"#);
    server.post(r#"{"username":["x-list"],"password":"x-wrong-password-5"}"#);
    server.post(r#"["x-wrong-password-6"]"#);
    server.post(r#"{"username":"a","username":"x-doubled","password":"x-wrong-password-7"}"#);
    secrets.extend(["x-half", "x-list", "x-doubled"].map(String::from));
    secrets.extend((4..8).map(|number| format!("x-wrong-password-{number}")));
    let query = format!("{LOGIN}?password=x-in-the-query");
    server.send(request(
        "POST",
        &query,
        &[JSON],
        login_body(JWEIR, PASSWORD),
    ));
    let token = (
        "Authorization",
        "Token 00112233445566778899aabbccddeeff00112233",
    );
    server.send(request(
        "POST",
        LOGIN,
        &[JSON, token],
        login_body(JWEIR, PASSWORD),
    ));
    secrets
        .extend(["x-in-the-query", "00112233445566778899aabbccddeeff00112233"].map(String::from));

    let log = server.stop().stderr;
    assert!(log.contains(LOGIN), "{log}");
    for secret in secrets {
        assert!(!log.contains(&secret), "{secret} in {log}");
    }
}

#[test]
fn an_answer_never_repeats_what_was_sent_as_a_secret() {
    let server = Server::demo();
    for body in [
        r#"{"username":"a","password":"x-secret"#,
        r#"{"username":"a","password":"x-secret","password":"x-secret"}"#,
        r#"{"username":"a","password":"x-secret\ud800"}"#,
        r#"{"username":"a","password":["x-secret"]}"#,
        r#"{"username":"a","password":"x-secret\u0000"}"#,
        r#"["x-secret"]"#,
        r#""x-secret""#,
        "x-secret",
    ] {
        let answer = server.post(body);
        assert_eq!(answer.status, 400, "{body}");
        assert!(!answer.text().contains("x-secret"), "{answer:?}");
    }
}

#[test]
fn no_control_character_reaches_a_terminal() {
    for format in ["text", "json"] {
        let log = log_after(
            &[
                "--log-format",
                format,
                "--log-level",
                "trace",
                "--trusted-proxy",
                "127.0.0.1/32",
            ],
            |server| {
                for target in [
                    "/\u{1b}[31mred/",
                    "/a\u{7f}b/",
                    "/%1b%5b31m/",
                    "/\u{9b}31m/",
                ] {
                    let mut connection = server.connect();
                    connection.send(request("GET", target, &[], ""));
                    let _ = connection.answer_or_end();
                }
                for field in ["X-Forwarded-For", "User-Agent", "Content-Type"] {
                    let mut connection = server.connect();
                    connection.send(request(
                        "POST",
                        LOGIN,
                        &[JSON, (field, "\u{1b}]0;title\u{7}")],
                        "{}",
                    ));
                    let _ = connection.answer_or_end();
                }
                server.login("\u{1b}[2J", "\u{1b}c");
                server.answers_something_else();
            },
        );
        assert!(log.contains("/nothing-here/"), "{log}");
        let raw = |letter: &char| letter.is_control() && *letter != '\n';
        assert_eq!(log.chars().find(raw), None, "{log:?}");
    }
}

#[test]
fn a_start_and_a_stop_are_logged_and_nothing_before_the_server_is_ready() {
    let server = Server::demo();
    let address = server.address().to_string();
    let log = server.stop().stderr;
    let lines: Vec<&str> = log.lines().collect();
    assert!(lines.len() >= 2, "{log}");
    assert!(log.contains(&address), "{log}");
}

#[test]
fn throttling_is_logged_once_per_window_and_not_once_per_request() {
    let server = Server::demo_with(&["--failed-logins-per-user", "1", "--log-level", "warn"]);
    for _ in 0..10 {
        server.login(JWEIR, "wrong");
    }
    server.login("nobody", "wrong");
    server.login("nobody", "wrong");
    let log = server.stop().stderr;
    assert_eq!(log.lines().count(), 2, "{log}");
    assert!(!log.contains("nobody"), "{log}");
}

#[test]
fn a_refused_file_is_reported_once() {
    only_in_a_file();
    let place = Place::new();
    place.write(Place::DATABASE, "not a database");
    let args = ["serve", "--log-format", "json", "--log-level", "trace"];
    place.run(&args).failed_naming("a text", Place::DATABASE);
}

#[test]
fn a_start_that_fails_is_an_event_in_a_json_log() {
    only_in_a_file();
    let place = Place::new();
    place.write(
        "other.db",
        "not a database, but long enough to be one\n".repeat(100),
    );
    let flags = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--db",
        "other.db",
        "--log-format",
        "json",
    ];
    let finished = place.run(&flags);
    assert_eq!(finished.code, Some(1));
    assert_eq!(finished.stderr.lines().count(), 1, "{}", finished.stderr);
    let event: serde_json::Value = serde_json::from_str(&finished.stderr).unwrap();
    assert_eq!(event["level"], "ERROR");
    assert!(event["message"].as_str().unwrap().contains("other.db"));
}
