//! The events that are recorded about logins, and what is not recorded.

use std::fs;
use std::time::Instant;

use rusqlite::types::Value as SqlValue;
use serde_json::{Value, json};

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{JSON, LOGIN, Place, Server, eventually, login_body, only_in_a_file, request};

const NOBODY: &str = "a-password-as-username";

fn place() -> Place {
    let mut inactive = accounts::user("inactive");
    inactive["status"] = "DEACTIVATED".into();
    Place::seeded(&accounts::retailer([accounts::user(JWEIR), inactive]))
}

/// The login events in the database, the oldest first.
fn logins(place: &Place) -> Vec<(String, String, i64)> {
    let query = "SELECT outcome, object, times FROM events
         JOIN users ON users.uuid = user_uuid AND users.username = object
         JOIN organizations ON organizations.uuid = org_uuid
         WHERE action = 'login' AND address = '127.0.0.1' AND actor IS NULL AND before IS NULL AND after IS NULL
         ORDER BY events.id";
    let rows = place.sql().rows(query, &[]);
    let read = |row: Vec<SqlValue>| {
        let [
            SqlValue::Text(outcome),
            SqlValue::Text(object),
            SqlValue::Integer(times),
        ] = &row[..]
        else {
            panic!("{row:?}");
        };
        (outcome.clone(), object.clone(), *times)
    };
    rows.into_iter().map(read).collect()
}

fn user_uuid(place: &Place, username: &str) -> String {
    let query = "SELECT uuid FROM users WHERE username = ?1";
    place.sql().one(query, &[&username])
}

/// The lines of a JSON log with this message.
fn lines(log: &str, message: &str) -> Vec<Value> {
    let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
    lines
        .filter(|line: &Value| line["message"] == message)
        .collect()
}

#[test]
fn each_login_of_a_user_is_an_event_with_its_outcome() {
    let place = place();
    let server = place.serve(&["--failed-logins-per-user", "2"]);
    server.login(&JWEIR.to_uppercase(), PASSWORD).token();
    for (username, password, status) in [
        (JWEIR, "wrong", 401),
        ("inactive", PASSWORD, 403),
        (JWEIR, "wrong", 401),
        (JWEIR, PASSWORD, 429),
    ] {
        assert_eq!(server.login(username, password).status, status);
    }
    server.stop();
    let expected = [
        ("succeeded", JWEIR),
        ("failed", JWEIR),
        ("inactive", "inactive"),
        ("failed", JWEIR),
        ("throttled", JWEIR),
    ];
    let expected = expected.map(|(outcome, username)| (outcome.into(), username.into(), 1));
    assert_eq!(logins(&place), expected);
}

#[test]
fn an_unknown_username_is_counted_and_neither_stored_nor_logged() {
    let place = place();
    let server = place
        .program(&[
            "serve",
            "--bcrypt-cost",
            "10",
            "--failed-logins-per-user",
            "2",
        ])
        .env("RUST_LOG", "trace")
        .start();
    for status in [401, 401, 429] {
        assert_eq!(server.login(NOBODY, "wrong").status, status);
        let stored = place.stored();
        assert!(
            !String::from_utf8_lossy(&stored).contains(NOBODY),
            "{status}"
        );
    }
    let log = server.stop().stderr;
    assert!(!log.contains(NOBODY), "{log}");
    assert!(!String::from_utf8_lossy(&place.stored()).contains(NOBODY));
    let logins = "SELECT count(*) FROM events WHERE action = 'login'";
    assert_eq!(place.number(logins), 0);
    let counted = "SELECT count(*) FROM failed_logins WHERE failures = 2 AND user_uuid IS NULL";
    assert_eq!(place.number(counted), 3);
}

#[test]
fn throttled_logins_in_quick_succession_are_few_rows_that_say_how_many() {
    let place = place();
    let server = place.serve(&["--failed-logins-per-user", "1"]);
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    let start = Instant::now();
    let mut connection = server.connect();
    for _ in 0..300 {
        let login = login_body(JWEIR, PASSWORD);
        connection.send(request("POST", LOGIN, &[JSON], login));
        assert_eq!(connection.answer().status, 429);
    }
    server.stop();
    let most = start.elapsed().as_secs() / 2 + 1;
    let throttled = "FROM events WHERE outcome = 'throttled'";
    let rows = place.number(&format!("SELECT count(*) {throttled}"));
    assert!((1..=most).contains(&rows.unsigned_abs()), "{rows}");
    assert_eq!(place.number(&format!("SELECT sum(times) {throttled}")), 300);
}

#[test]
fn a_user_has_at_most_a_thousand_login_events_and_they_evict_no_changes() {
    let place = place();
    let add = |count: i64, action: &str, outcome: &str, number: &str| {
        place
            .sql()
            .execute_batch(&format!(
                "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
                 INSERT INTO events (time, action, outcome, user_uuid, number)
                 SELECT unixepoch() * 1000000, '{action}', {outcome}, uuid, {number} FROM users, numbers
                 WHERE username = '{JWEIR}'"
            ))
            .unwrap();
    };
    add(5, "user set-status", "NULL", "NULL");
    add(1_200, "login", "'failed'", "n");
    let server = place.serve(&[]);
    server.login(JWEIR, PASSWORD).token();
    server.login(JWEIR, "wrong");
    server.stop();
    let of = |condition| format!("SELECT count(*) FROM events WHERE {condition}");
    assert_eq!(place.number(&of("action = 'login'")), 1_000);
    assert_eq!(place.number(&of("outcome = 'succeeded'")), 1);
    assert_eq!(place.number(&of("action = 'user set-status'")), 5);
}

#[test]
fn old_events_are_removed_and_0_removes_all_of_them_but_no_counter() {
    let place = place();
    let add = |age: &str| {
        place
            .sql()
            .execute_batch(&format!(
                "INSERT INTO events (time, action) VALUES ((unixepoch() - {age}) * 1000000, 'user set-status')"
            ))
            .unwrap();
    };
    let count = || place.number("SELECT count(*) FROM events WHERE action <> 'seed'");
    // An event with a wrong date in the future does not keep others from being removed.
    add("-86400 * 365");
    for age in ["86400 * 91", "86400 * 89", "86400 * 91", "0"] {
        add(age);
    }
    let server = place.serve(&[]);
    eventually("the old ones are gone", || count() == 3);
    server.stop();

    let server = place.serve(&["--keep-events", "0"]);
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    eventually("all are gone", || count() == 0);
    server.login(JWEIR, PASSWORD).token();
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    let log = server.stop().stderr;
    assert_eq!(count(), 0);
    assert!(!log.contains("outcome="), "{log}");
    let counted = "SELECT failures FROM failed_logins WHERE kind = 'account'";
    assert_eq!(place.number(counted), 2);
}

#[test]
fn the_log_names_the_user_of_a_failed_login_and_has_each_event_once() {
    let place = place();
    let server = place.serve(&["--log-format", "json", "--failed-logins-per-user", "1"]);
    for username in [JWEIR, NOBODY] {
        for status in [401, 429] {
            assert_eq!(server.login(username, "wrong").status, status);
        }
    }
    assert_eq!(server.login("inactive", PASSWORD).status, 403);
    place
        .sql()
        .execute_batch(
            "INSERT INTO events (time, action, actor, object, before, after)
             VALUES (1, 'user set-status', 'alice', 'bob', 'ACTIVE', 'DEACTIVATED')",
        )
        .unwrap();
    eventually("the change is logged", || server.log().contains("alice"));
    let log = server.stop().stderr;
    let (jweir, inactive) = (user_uuid(&place, JWEIR), user_uuid(&place, "inactive"));
    let users: Vec<Value> = lines(&log, "request")
        .iter()
        .map(|line| json!([line["status"], line["user"]]))
        .collect();
    let expected = json!([
        [401, jweir],
        [429, jweir],
        [401, null],
        [429, null],
        [403, inactive]
    ]);
    assert_eq!(json!(users), expected);
    let throttled: Vec<Value> = lines(&log, "failed logins are throttled")
        .iter()
        .map(|line| json!([line["limit"], line["user"]]))
        .collect();
    assert_eq!(json!(throttled), json!([["User", jweir], ["User", null]]));

    let mut events = lines(&log, "event");
    for event in &mut events {
        let event = event.as_object_mut().unwrap();
        for name in ["timestamp", "level", "target", "message", "org_uuid"] {
            event.remove(name);
        }
    }
    events.sort_by_key(|event| event["outcome"].to_string() + &event["action"].to_string());
    let login = |outcome: &str, user: &str, object: &str| {
        json!({"action": "login", "outcome": outcome, "times": 1, "address": "127.0.0.1",
               "user_uuid": user, "object": object})
    };
    let change = json!({"action": "user set-status", "times": 1, "actor": "alice", "object": "bob",
                        "before": "ACTIVE", "after": "DEACTIVATED"});
    let expected = [
        login("failed", &jweir, JWEIR),
        login("inactive", &inactive, "inactive"),
        login("throttled", &jweir, JWEIR),
        change,
    ];
    assert_eq!(json!(events), json!(expected));
}

#[test]
fn an_unwritable_database_answers_failed_logins_and_warns_once() {
    // On servers a failed login is counted in the database before it is answered.
    only_in_a_file();
    let place = place();
    let server = place.serve(&[]);
    let lock = place.lock();
    for _ in 0..3 {
        assert_eq!(server.login(JWEIR, "wrong").status, 401);
    }
    let warning = "cannot record logins";
    eventually("that is noticed", || server.log().contains(warning));
    for _ in 0..3 {
        assert_eq!(server.login(JWEIR, "wrong").status, 401);
    }
    drop(lock);
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    eventually("it is written again", || {
        place.number("SELECT coalesce(max(failures), 0) FROM failed_logins") == 7
    });
    let log = server.stop().stderr;
    assert_eq!(log.matches(warning).count(), 1, "{log}");
}

#[test]
fn a_reset_of_a_demo_forgets_its_events_and_failed_logins() {
    let server = Server::demo_with(&["--failed-logins-per-user", "5"]);
    let tmp = server.place.path("tmp");
    let mut directories = fs::read_dir(tmp).unwrap();
    let database = directories.find_map(|entry| {
        let path = entry.unwrap().path().join("demo/demo.db");
        path.exists().then_some(path)
    });
    let database = rusqlite::Connection::open(database.unwrap()).unwrap();
    let rows = || -> i64 {
        let query = "SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM failed_logins)";
        database.query_row(query, [], |row| row.get(0)).unwrap()
    };
    server.login(JWEIR, PASSWORD).token();
    server.login(JWEIR, "wrong");
    eventually("both are recorded", || rows() == 3);
    let reset = request("POST", "/__stub/reset/", &[], "");
    assert_eq!(server.send(reset).status, 204);
    assert_eq!(rows(), 0);
}
