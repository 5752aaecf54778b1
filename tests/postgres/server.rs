//! A server whose database does not answer, and what servers and `check` report about a database.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;

use super::{seeded, serve};
use crate::harness::accounts::{JWEIR, PASSWORD, retailer, user};
use crate::harness::postgres::{PostgresServer, psql};
use crate::harness::{
    Connection, Finished, JSON, LOGIN, Place, Server, eventually, login_body, request,
};

const HEALTH: &str = "/healthz";

/// The number of concurrent requests of each call.
const CROWD: usize = 64;

fn health(server: &Server) -> u16 {
    server.send(request("GET", HEALTH, &[], "")).status
}

/// Every call that uses the database.
fn calls(token: &str) -> Vec<Vec<u8>> {
    let authorization = format!("Token {token}");
    let header = ("Authorization", authorization.as_str());
    let with_token = [
        ("GET", "/api/organizations/"),
        ("GET", "/api/organizations/users/all/"),
        (
            "GET",
            "/api/organizations/users/detail/3a7acb28-ab13-437e-8c35-46cf4f0bea49/",
        ),
        ("GET", "/api/organizations/token-verify/"),
        ("POST", "/api/organizations/user-logout/"),
        ("POST", "/api/organizations/user-logout-all/"),
    ];
    let with_token = with_token.map(|(method, path)| request(method, path, &[header], ""));
    let login = request("POST", LOGIN, &[JSON], login_body(JWEIR, PASSWORD));
    let ready = request("GET", "/readyz", &[], "");
    [with_token.to_vec(), vec![login, ready]].concat()
}

/// Sends [`CROWD`] requests of each call.
fn send_all(server: &Server, calls: &[Vec<u8>]) -> Vec<Connection> {
    let crowd = calls.iter().flat_map(|call| [call; CROWD]);
    let send = |call| {
        let mut connection = server.connect();
        connection.send(call);
        connection
    };
    crowd.map(send).collect()
}

#[track_caller]
fn assert_unavailable(waiting: &mut [Connection]) {
    for connection in waiting {
        let answer = connection.answer();
        assert_eq!(answer.status, 503, "{answer:?}");
        let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!(seconds >= 1, "{answer:?}");
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn while_the_database_is_silent_health_is_answered_and_all_else_is_unavailable() {
    let postgres = PostgresServer::start(&[]);
    let url = postgres.create("accounts");
    let place = seeded(&url, &retailer([user(JWEIR)]));
    // All requests come from one client.
    let server = serve(&place, &url, &["--max-connections-per-client", "1000"]);
    let calls = calls(&server.login(JWEIR, PASSWORD).token());
    postgres.signal(Signal::STOP);
    let mut waiting = send_all(&server, &calls);
    assert_eq!(health(&server), 200);
    assert_unavailable(&mut waiting);
    let before = server.peak_memory();
    for _ in 0..2 {
        assert_unavailable(&mut send_all(&server, &calls));
    }
    let grown = server.peak_memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown}");
    postgres.signal(Signal::CONT);
    eventually("logins are answered again", || {
        server.login(JWEIR, PASSWORD).status == 200
    });
}

/// The log line that names the database of a server.
fn start_line(server: &Server) -> String {
    let line = |log: &str| {
        let mut lines = log.lines();
        let line = lines.find(|line| line.contains("serving the database"));
        line.map(str::to_owned)
    };
    let mut found = None;
    eventually("the start is logged", || {
        found = line(&server.log());
        found.is_some()
    });
    found.unwrap()
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_start_says_which_database_it_is_and_no_password() {
    let postgres = PostgresServer::start(&[]);
    let url = postgres
        .create("fresh")
        .replace("postgres@", "postgres:hidden@");
    let place = Place::new();
    for created in ["true", "false"] {
        let server = serve(&place, &url, &["--create"]);
        let line = start_line(&server);
        assert!(line.contains("/fresh"), "{line}");
        assert!(line.contains(&format!("created={created}")), "{line}");
        assert!(!server.log().contains("hidden"), "{}", server.log());
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn checking_the_configuration_looks_at_the_database_and_hides_the_password() {
    let postgres = PostgresServer::start(&[]);
    let url = postgres
        .create("accounts")
        .replace("postgres@", "postgres:hidden@");
    let place = Place::new();
    let check = |expected| {
        let checked = place
            .program(&["serve", "--check-config"])
            .env("THANOS_LOGIN_DB", &url)
            .finish();
        assert_eq!(checked.code, Some(expected), "{checked:?}");
        let said = checked.stdout + &checked.stderr;
        assert!(
            said.contains("/accounts") && !said.contains("hidden"),
            "{said}"
        );
        said
    };
    place.run(&["init", "--db", &url]).succeeded();
    check(0);
    psql(&url, "UPDATE thanos_login.schema_version SET version = 99");
    assert!(check(1).contains("newer"));
    postgres.stop("fast");
    check(1);
}

/// The names of the checks that have findings.
#[track_caller]
fn found(checked: &Finished) -> Vec<String> {
    let lines = checked.stdout.lines();
    lines
        .map(|line| {
            let finding: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(finding["message"].is_string(), "{line}");
            finding["check"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[test]
#[ignore = "needs PostgreSQL"]
fn check_reports_the_problems_of_a_database_on_servers() {
    let postgres = PostgresServer::start(&["fsync=on", "full_page_writes=on"]);
    let url = postgres.create("accounts");
    let place = seeded(&url, &retailer([user(JWEIR)]));
    let check = |cost: &str| place.run(&["check", "--json", "--bcrypt-cost", cost, "--db", &url]);
    psql(
        &url,
        "UPDATE thanos_login.users SET password_hash = replace(password_hash, '$04$', '$10$')",
    );
    let sound = check("10");
    assert_eq!(
        (sound.code, found(&sound)),
        (Some(0), Vec::new()),
        "{sound:?}"
    );
    assert_eq!(found(&check("11")), ["bcrypt_cost"]);
    psql(&url, "ALTER DATABASE accounts SET synchronous_commit = off");
    let unsafe_one = check("10");
    assert_eq!(unsafe_one.code, Some(1));
    assert_eq!(found(&unsafe_one), ["durability"]);
    psql(&url, "UPDATE thanos_login.schema_version SET version = 99");
    assert_eq!(found(&check("10")), ["schema"]);
    psql(&url, "DROP SCHEMA thanos_login CASCADE");
    assert_eq!(found(&check("10")), ["database"]);
    postgres.stop("fast");
    let away = check("10");
    assert_eq!(
        (away.code, found(&away)),
        (Some(1), vec!["database".to_owned()])
    );
}

fn server_log(postgres: &PostgresServer) -> String {
    let path: PathBuf = postgres.directory().join("data/log");
    fs::read_to_string(path).unwrap()
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_change_is_logged_that_becomes_visible_after_a_later_event() {
    let postgres = PostgresServer::start(&["log_statement=all"]);
    let url = postgres.create("accounts");
    let place = seeded(&url, &retailer([user(JWEIR)]));
    let server = serve(&place, &url, &[]);
    // These are the steps of a change of accounts, with a login in between.
    let change = "BEGIN; SELECT pg_advisory_xact_lock(x'54484e41'::bigint);
                  INSERT INTO thanos_login.events (time, action, times) VALUES (1, 'org add', 1);";
    let mut session = postgres.session("accounts");
    session.run(change);
    server.login(JWEIR, PASSWORD).token();
    let looks = || {
        server_log(&postgres)
            .matches("pg_try_advisory_xact_lock_shared")
            .count()
    };
    let before = looks();
    eventually("the server looks for changes", || looks() > before + 1);
    assert!(!server.log().contains("org add"), "{}", server.log());
    session.run("COMMIT;");
    eventually("the change is logged", || server.log().contains("org add"));
}
