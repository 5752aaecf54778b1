//! `user import` of many rows beside a server: the server answers meanwhile, all rows take effect at once, and an
//! import that is interrupted leaves nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::json;

use super::{fails_with, run};
use crate::harness::accounts::{self, JWEIR, PASSWORD, QUICK_HASH};
use crate::harness::process::Process;
use crate::harness::{Place, Server, eventually, only_in_a_file, request};

/// So many users that their import takes a while.
const COUNT: i64 = 30_000;

/// A database with one user, and a file with many others.
fn place() -> Place {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let header = "username,password_hash,permissions\n".to_owned();
    let csv = (0..COUNT).fold(header, |csv, number| {
        csv + &format!("u{number}@acme.com,{QUICK_HASH},\"[{{\"\"name\"\":\"\"read\"\"}}]\"\n")
    });
    place.write("users.csv", csv);
    place
}

const IMPORT: [&str; 5] = ["user", "import", "users.csv", "--org", "projectthanos"];

/// The number of rows that are written, whether or not they have taken effect.
fn written(place: &Place) -> i64 {
    place.number("SELECT count(*) FROM users")
}

/// The number of users in the organization of this token, as the server answers.
fn members(server: &Server, token: &str) -> usize {
    let authorization = format!("Token {token}");
    let header = [("Authorization", authorization.as_str())];
    let answer = server.send(request("GET", "/api/organizations/users/all/", &header, ""));
    assert_eq!(answer.status, 200);
    answer.json().as_array().unwrap().len()
}

/// A running import that has written some of its rows.
fn half_way(place: &Place) -> Process {
    let import = place.program(&IMPORT).spawn();
    eventually("the import writes", || written(place) > COUNT / 10);
    assert_eq!(
        place.number("SELECT count(*) FROM imports"),
        1,
        "it is over"
    );
    import
}

#[test]
fn a_server_answers_during_an_import_and_all_rows_take_effect_at_once() {
    // An import into a file is written in parts, so it needs many rows; `postgres::accounts` tests one beside servers.
    only_in_a_file();
    let place = place();
    let server = place.serve(&[
        "--failed-logins-per-user=0",
        "--failed-logins-per-address=0",
        "--failed-logins-per-account=0",
    ]);
    let last = format!("u{}@acme.com", COUNT - 1);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let logins = scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
                let ready = server.send(request("GET", "/readyz", &[], ""));
                assert_eq!(ready.status, 200);
            }
        });
        let users = scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                // The first row is written long before the last one.
                if server.login("u0@acme.com", PASSWORD).status == 200 {
                    assert_eq!(server.login(&last, PASSWORD).status, 200);
                }
            }
        });
        let imported = place.run(&IMPORT);
        is_over.store(true, Ordering::Release);
        logins.join().unwrap();
        users.join().unwrap();
        assert_eq!(
            imported.succeeded().stdout,
            format!("users: {COUNT} added, 0 changed, 0 unchanged, 0 skipped\n")
        );
    });
    assert_eq!(server.login(&last, PASSWORD).status, 200);
    let again = run(&place, &IMPORT).stdout;
    assert_eq!(
        again,
        format!("users: 0 added, 0 changed, {COUNT} unchanged, 0 skipped\n")
    );
    let files = place.files("");
    assert!(
        !files.iter().any(|name| name.ends_with("-import")),
        "{files:?}"
    );
}

#[test]
fn a_killed_import_changes_nothing_and_the_next_command_cleans_up() {
    only_in_a_file();
    let place = place();
    let before = place.dump();
    for command in [
        &["user", "list"][..],
        &["init"],
        &[
            "user",
            "import",
            "users.csv",
            "--dry-run",
            "--org",
            "projectthanos",
        ],
    ] {
        let mut import = half_way(&place);
        import.signal(Signal::KILL);
        import.wait();
        assert_eq!(place.dump(), before, "{command:?}");
        run(&place, &["backup", "backup.db", "--force"]);
        let shown = run(&place, command);
        assert!(!shown.stdout.contains("u0@acme.com"), "{shown:?}");
        assert_eq!(written(&place), 1, "{command:?}");
        assert_eq!(place.number("SELECT count(*) FROM permissions"), 0);
        assert_eq!(place.number("SELECT count(*) FROM people"), 1);
        assert_eq!(place.integrity(), "ok");
        let files = place.files("");
        assert!(
            !files.iter().any(|name| name.ends_with("-import")),
            "{files:?}"
        );
    }
    // A backup that was made in the middle of the import has the rows, but they have not taken effect there either.
    let restored = Place::new();
    let backup = place.path("backup.db");
    run(&restored, &["restore", backup.to_str().unwrap()]);
    assert_eq!(restored.dump(), before);
    assert!(written(&restored) > 1);
    run(&restored, &["user", "list"]);
    assert_eq!(written(&restored), 1);
}

#[test]
fn a_server_removes_what_a_killed_import_has_left() {
    // On servers an import is one transaction, which leaves nothing behind.
    only_in_a_file();
    let place = place();
    let before = place.dump();
    let mut import = half_way(&place);
    import.signal(Signal::KILL);
    import.wait();
    let server = place.serve(&[]);
    eventually("the rows are removed", || written(&place) == 1);
    assert_eq!(server.login("u0@acme.com", PASSWORD).status, 401);
    server.stop();
    assert_eq!(place.dump(), before);
}

#[test]
fn a_second_import_of_many_rows_is_refused_and_the_running_one_continues() {
    only_in_a_file();
    let place = place();
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    let mut import = half_way(&place);
    import.signal(Signal::STOP);
    fails_with(&place, &IMPORT, "another import is in progress");
    // Other commands find the running import and do not touch it.
    assert_eq!(
        run(&place, &["user", "list", "--json"])
            .stdout
            .lines()
            .count(),
        1
    );
    assert_eq!(members(&server, &token), 1);
    let restored = Place::new();
    run(&place, &["backup", "backup.db"]);
    run(
        &restored,
        &["restore", place.path("backup.db").to_str().unwrap()],
    );
    run(&restored, &["init"]);
    assert_eq!(written(&restored), 1);
    import.signal(Signal::CONT);
    import.wait().succeeded();
    assert_eq!(i64::try_from(members(&server, &token)).unwrap(), COUNT + 1);
    let listed = run(&place, &["user", "list", "--json"]);
    assert_eq!(
        i64::try_from(listed.stdout.lines().count()).unwrap(),
        COUNT + 1
    );
}

#[test]
fn what_an_operator_sets_while_an_import_runs_stays() {
    let place = Place::seeded(&json!({"organizations": [accounts::organization(
        "projectthanos",
        (0..100).map(|number| accounts::user(&format!("u{number}"))),
    )]}));
    let csv = (0..100).fold("username,password\n".to_owned(), |csv, number| {
        csv + &format!("u{number},violet kettle ninety {number}\n")
    });
    place.write("users.csv", csv);
    let mut import = place
        .program(&["user", "import", "users.csv", "--bcrypt-cost", "11"])
        .spawn();
    eventually("the import hashes", || import.is_hashing());
    import.signal(Signal::STOP);
    run(&place, &["user", "set-status", "u7", "DEACTIVATED"]);
    import.signal(Signal::CONT);
    import.wait().succeeded();
    let status =
        "SELECT count(*) FROM users WHERE username = 'u7' AND status = 'DEACTIVATED' AND cost = 11";
    assert_eq!(place.number(status), 1);
}
