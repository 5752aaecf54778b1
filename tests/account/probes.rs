//! The probes: whether the process is up, and whether it can answer logins.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use super::one_user;
use crate::harness::accounts::{self, PASSWORD, crowd, crowded};
use crate::harness::{Answer, Place, Sql, eventually, only_in_a_file, request};

fn health() -> Vec<u8> {
    request("GET", "/healthz", &[], "")
}

fn ready() -> Vec<u8> {
    request("GET", "/readyz", &[], "")
}

#[track_caller]
fn assert_not_ready(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
    assert_ne!(answer.field("detail"), "");
}

#[test]
fn a_server_that_can_answer_logins_is_up_and_ready() {
    let place = one_user();
    let before = place.dump();
    let server = place.serve(&[]);
    assert_eq!(server.send(health()).text(), r#"{"status":"ok"}"#);
    assert_eq!(server.send(ready()).text(), r#"{"status":"ready"}"#);
    assert_eq!(place.dump(), before);
}

#[test]
fn a_locked_database_is_not_ready_and_the_process_is_up() {
    let place = one_user();
    let server = place.serve(&[]);
    let lock = place.lock();
    let mut probes: Vec<_> = (0..8)
        .map(|_| {
            let mut connection = server.connect();
            connection.send(ready());
            connection
        })
        .collect();
    // Probes that wait for the lock do not block others.
    assert_eq!(server.send(health()).status, 200);
    for probe in &mut probes {
        assert_not_ready(&probe.answer());
    }
    drop(lock);
    assert_eq!(server.send(ready()).status, 200);
}

#[test]
fn the_readiness_probe_writes_about_once_a_second_however_often_it_is_called() {
    only_in_a_file();
    let place = one_user();
    let server = place.serve(&[]);
    let log_bytes = || {
        let log = place.path(&format!("{}-wal", Place::DATABASE));
        std::fs::metadata(log).map_or(0, |metadata| metadata.len())
    };
    let (before, started) = (log_bytes(), Instant::now());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut connection = server.connect();
                for _ in 0..50 {
                    connection.send(ready());
                    assert_eq!(connection.answer().status, 200);
                }
            });
        }
    });
    let probes = started.elapsed().as_secs() + 1;
    // A page with its header in the write-ahead log, and once the header of that log.
    let bytes = log_bytes() - before;
    assert!(
        bytes <= probes * (4096 + 24) + 32,
        "{bytes} bytes, {probes} probes"
    );
}

#[test]
fn a_full_disk_is_not_ready_and_the_process_is_up() {
    only_in_a_file();
    let place = Place::seeded(&crowded());
    let size = std::fs::metadata(place.path(Place::DATABASE))
        .unwrap()
        .len();
    let limit = format!("ulimit -f {}", (size + 32 * 1024) / 512);
    let args = ["serve", "--bcrypt-cost", "10"];
    let server = place.program(&args).after(&limit).start();
    assert_eq!(server.send(ready()).status, 200);
    let mut users = crowd().into_iter().cycle().take(1000);
    assert!(users.any(|username| server.login(&username, PASSWORD).status == 503));
    // The probe writes one page and a login several, so there may still be space for a few probes.
    let mut answer = server.send(ready());
    eventually("the probe finds the disk full", || {
        answer = server.send(ready());
        answer.status != 200
    });
    assert_not_ready(&answer);
    assert_eq!(server.send(health()).status, 200);
}

/// Overwrites the start of the file, which identifies it as a database, below a running server. On PostgreSQL, drops the
/// schema.
pub(super) fn ruin(place: &Place) {
    // The commit makes the server drop its cached pages, from which it could still answer.
    let file = match place.sql() {
        Sql::File(file) => file,
        servers @ Sql::Postgres(_) => {
            let remove = "DROP SCHEMA thanos_login CASCADE";
            return servers.execute_batch(remove).unwrap();
        }
    };
    file.execute_batch("UPDATE users SET last_login = 1; PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    let file = OpenOptions::new()
        .write(true)
        .open(place.path(Place::DATABASE))
        .unwrap();
    file.write_all_at(&[0xa5; 100], 0).unwrap();
}

#[test]
fn a_server_whose_database_is_corrupted_is_not_ready_and_the_process_is_up() {
    let place = Place::seeded(&accounts::retailer([accounts::user("zoe")]));
    let server = place.serve(&[]);
    ruin(&place);
    assert_not_ready(&server.send(ready()));
    assert_eq!(server.send(health()).status, 200);
}

#[test]
fn probes_are_answered_beside_logins_that_fill_the_queue() {
    let server = Place::new().serve_demo(&accounts::slowest(), &["--hash-queue", "2"]);
    let _logins = server.start_logins(2, accounts::JWEIR, PASSWORD);
    assert_eq!(server.send(ready()).status, 200);
    assert_eq!(server.send(health()).status, 200);
}

#[test]
fn the_description_of_a_real_server_is_served_unchanged() {
    let server = Place::seeded(&accounts::retailer([])).serve(&[]);
    let answer = server.send(request("GET", "/openapi.json", &[], ""));
    assert_eq!(answer.text(), thanos_login::endpoint::openapi::DESCRIPTION);
}
