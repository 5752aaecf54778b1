//! A database that cannot be written, a full queue, a defect: each has its own answer, and the server keeps running.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;

use crate::harness::accounts::{self, JWEIR, PASSWORD, crowd, crowded};
use crate::harness::{Answer, JSON, LOGIN, Place, Server, login_body, only_in_a_file, request};

fn one_user() -> Place {
    Place::seeded(&accounts::retailer([accounts::user(JWEIR)]))
}

#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds >= 1, "{answer:?}");
    assert_eq!(
        answer.json().as_object().map(serde_json::Map::len),
        Some(1),
        "{answer:?}"
    );
    assert_ne!(answer.field("detail"), "", "{answer:?}");
}

#[test]
fn a_locked_database_stops_logins_that_succeed_and_no_others() {
    // On servers a failed login is counted in the database before it is answered.
    only_in_a_file();
    let place = one_user();
    let server = place.serve(&[]);
    let lock = place.lock();
    let [mut waiting] = <[_; 1]>::try_from(server.start_logins(1, JWEIR, PASSWORD))
        .ok()
        .unwrap();
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    server.answers_something_else();
    assert!(!waiting.is_answered());
    assert_unavailable(&waiting.answer());
    drop(lock);
    assert_eq!(place.tokens_of(JWEIR), 0);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}

#[test]
fn a_lock_that_ends_in_time_is_waited_for() {
    let place = one_user();
    let server = place.serve(&[]);
    let lock = place.lock();
    let mut waiting = server.start_logins(4, JWEIR, PASSWORD);
    server.answers_something_else();
    drop(lock);
    for connection in &mut waiting {
        connection.answer().token();
    }
    assert_eq!(place.tokens_of(JWEIR), 4);
}

/// A shell command that limits the size of every file which the program writes to that of the database and `more` bytes. It
/// has the effect of a full disk.
fn file_size_limit(place: &Place, more: u64) -> String {
    let size = fs::metadata(place.path(Place::DATABASE)).map_or(0, |file| file.len());
    format!("ulimit -f {}", (size + more) / 512)
}

#[test]
fn a_full_disk_stops_logins_that_succeed_and_no_others() {
    only_in_a_file();
    let place = Place::seeded(&crowded());
    let limit = file_size_limit(&place, 32 * 1024);
    let args = ["serve", "--bcrypt-cost", "10"];
    let server = place.program(&args).after(&limit).start();
    let mut tokens = Vec::new();
    let refused = crowd().into_iter().cycle().take(1000).find(|username| {
        let answer = server.login(username, PASSWORD);
        if answer.status == 200 {
            tokens.push(answer.token());
            return false;
        }
        assert_unavailable(&answer);
        true
    });
    assert!(
        refused.is_some(),
        "{} logins and the disk is not full",
        tokens.len()
    );
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    server.answers_something_else();
    server.kill();

    let server = place.serve(&[]);
    assert_eq!(server.login(&crowd()[0], PASSWORD).status, 200);
    assert!(tokens.iter().all(|token| place.holds_token(token)));
    assert_eq!(place.integrity(), "ok");
}

#[test]
fn a_seed_on_a_full_disk_fails_and_changes_nothing() {
    only_in_a_file();
    let place = one_user();
    let before = place.dump();
    place.write("crowd.json", crowded().to_string());
    let seed = ["seed", "crowd.json", "--bcrypt-cost", "10"];
    let failed = place.program(&seed).after("ulimit -f 8").finish();
    failed.failed_naming("a full disk", Place::DATABASE);
    assert_eq!(place.dump(), before);
    place.run(&seed).succeeded();
    assert_eq!(place.number("SELECT count(*) FROM users"), 65);
}

#[test]
fn a_database_that_cannot_be_created_for_lack_of_space_can_be_created_later() {
    only_in_a_file();
    let commands: [&[&str]; 3] = [&["init"], &["seed", "crowd.json"], &["serve"]];
    for command in commands {
        let place = Place::new();
        place.write("crowd.json", crowded().to_string());
        let failed = place.program(command).after("ulimit -f 8").finish();
        failed.failed_naming(&format!("{command:?}"), Place::DATABASE);
        place.run(&["init"]).succeeded();
    }
}

#[test]
fn a_defect_costs_one_answer_and_neither_connection_nor_server() {
    let place = one_user();
    let server = place.serve(&[]);
    place
        .sql()
        .execute_batch("ALTER TABLE tokens RENAME TO elsewhere")
        .unwrap();
    let mut connection = server.connect();
    for _ in 0..2 {
        connection.send(request("POST", LOGIN, &[JSON], login_body(JWEIR, PASSWORD)));
        let answer = connection.answer();
        assert_eq!(answer.status, 500, "{answer:?}");
        assert_eq!(answer.text(), r#"{"detail":"A server error occurred."}"#);
    }
    server.answers_something_else();
    place
        .sql()
        .execute_batch("ALTER TABLE elsewhere RENAME TO tokens")
        .unwrap();
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}

#[test]
fn a_file_that_is_corrupted_under_the_server_is_a_server_error() {
    only_in_a_file();
    let place = Place::seeded(&crowded());
    let server = place.serve(&[]);
    let connection = place.file();
    // The commit makes the server drop its cached pages, from which it could still answer.
    connection
        .execute_batch("UPDATE users SET last_login = 1; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let page_size = u64::try_from(place.number("PRAGMA page_size")).unwrap();
    let file = OpenOptions::new()
        .write(true)
        .open(place.path(Place::DATABASE))
        .unwrap();
    for page in 1..file.metadata().unwrap().len() / page_size {
        file.write_all_at(&[0xa5; 512], page * page_size).unwrap();
    }
    let answer = server.login(&crowd()[7], PASSWORD);
    assert_eq!(answer.status, 500, "{answer:?}");
    assert_eq!(answer.text(), r#"{"detail":"A server error occurred."}"#);
    server.answers_something_else();
}

#[test]
fn logins_past_the_queue_are_answered_503_with_retry_after() {
    let place = one_user();
    let server = place.serve(&["--hash-queue", "2", "--metrics"]);
    let lock = place.lock();
    let mut logins = server.start_logins(2, JWEIR, PASSWORD);
    Server::wait_until_in_progress(2, server.address());
    assert_unavailable(&server.login(JWEIR, PASSWORD));
    drop(lock);
    for login in &mut logins {
        login.answer().token();
    }
    server.login(JWEIR, PASSWORD).token();
}

#[test]
fn a_login_that_waited_too_long_is_answered_503_with_retry_after() {
    // One login is hashed at a time, which takes far longer than the others may wait.
    let flags = [
        "--hash-wait",
        "1ms",
        "--hash-threads",
        "1",
        "--hash-lanes",
        "1",
    ];
    let flags = [&flags[..], &["--bcrypt-cost", "12"]].concat();
    let server = Place::new().serve_demo(&accounts::slow(), &flags);
    let answers: Vec<Answer> = server
        .start_logins(4, JWEIR, PASSWORD)
        .iter_mut()
        .map(|connection| connection.answer())
        .collect();
    let late: Vec<&Answer> = answers
        .iter()
        .filter(|answer| answer.status != 200)
        .collect();
    assert!(!late.is_empty());
    for answer in late {
        assert_unavailable(answer);
    }
    server.answers_something_else();
}
