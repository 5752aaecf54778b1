//! `backup` and `restore`: complete or not done at all, beside a running server.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::thread;

use rusqlite::Connection;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{at_a_terminal, fails_with, json as object, run};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{JSON, LOGIN, Place, eventually, login_body, request};

const KEPT: &str = "thanos-login.db.before-restore";
const OTHER: &str = "other@projectthanos.com";

fn holds(place: &Place, file: &str, token: &str) -> bool {
    Connection::open(place.path(file))
        .unwrap()
        .query_row(
            "SELECT count(*) FROM tokens WHERE digest = ?1",
            [Sha256::digest(token).as_slice()],
            |row| row.get::<_, i64>(0),
        )
        .unwrap()
        == 1
}

fn users(place: &Place, file: &str) -> i64 {
    let sql = Connection::open(place.path(file)).unwrap();
    sql.query_row("SELECT count(*) FROM users", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_backup_during_logins_has_every_login_answered_before_it_started() {
    let place = Place::seeded(&accounts::crowded());
    let server = place.serve(&["--bcrypt-cost", "10"]);
    let crowd = accounts::crowd();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (server, crowd) = (&server, &crowd);
                scope.spawn(move || {
                    let mut connection = server.connect();
                    for number in 0..50 {
                        let username = &crowd[(client * 16 + number) % crowd.len()];
                        connection.send(request(
                            "POST",
                            LOGIN,
                            &[JSON],
                            login_body(username, PASSWORD),
                        ));
                        connection.answer().token();
                    }
                })
            })
            .collect();
        let mut answered = Vec::new();
        let mut number = 0;
        while clients.iter().any(|client| !client.is_finished()) {
            answered.push(server.login(&crowd[number % crowd.len()], PASSWORD).token());
            let name = format!("backup{number}.db");
            run(&place, &["backup", &name]);
            for token in &answered {
                assert!(holds(&place, &name, token), "{name}");
            }
            number += 1;
        }
        assert!(number > 0);
    });
    let mode = fs::metadata(place.path("backup0.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert!(!place.files("").iter().any(|name| name.contains("partial")));
    let integrity: String = Connection::open(place.path("backup0.db"))
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(integrity, "ok");
}

#[test]
fn the_accounts_of_a_backup_are_restored_and_log_in() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    run(&place, &["backup", "copy.db"]);
    place
        .seed(&accounts::retailer([
            accounts::user(JWEIR),
            accounts::user(OTHER),
        ]))
        .succeeded();
    run(&place, &["restore", "copy.db", "--force"]);
    let server = place.serve(&[]);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    assert_eq!(server.login(OTHER, PASSWORD).status, 401);
    server.stop();
    assert_eq!(place.integrity(), "ok");
    assert_eq!(
        place.files(""),
        ["accounts.json", "copy.db", Place::DATABASE, KEPT, "tmp"]
    );
    // The backup can also be restored where there is no database.
    run(&place, &["restore", "copy.db", "--db", "new.db"]);
    let mode = fs::metadata(place.path("new.db"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    let server = place.serve(&["--db", "new.db"]);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}

#[test]
fn a_database_in_use_by_a_server_is_not_overwritten_by_a_restore() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    run(&place, &["backup", "copy.db"]);
    // The server has not received any request yet.
    let server = place.serve(&[]);
    fails_with(&place, &["restore", "copy.db"], "stop the server first");
    let token = server.login(JWEIR, PASSWORD).token();
    fails_with(&place, &["restore", "copy.db"], "stop the server first");
    assert!(place.holds_token(&token));
    server.stop();
    run(&place, &["restore", "copy.db", "--force"]);
    assert!(!place.holds_token(&token));
}

#[test]
fn a_file_that_would_be_lost_or_is_not_a_backup_is_refused_and_left_alone() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    run(&place, &["backup", "copy.db"]);
    let before = place.dump();
    place.write(
        "text",
        "not a database, but longer than one hundred bytes".repeat(20),
    );
    place.write("empty", "");
    let copy = fs::read(place.path("copy.db")).unwrap();
    place.write("cut.db", &copy[..copy.len() / 2]);
    fs::create_dir(place.path("directory")).unwrap();
    for (args, line) in [
        (&["backup", "copy.db"][..], "--force"),
        (
            &["backup", "--force", Place::DATABASE],
            "the database itself",
        ),
        (&["backup", "--force", "directory"], "not a regular file"),
        (&["backup", "nowhere/copy.db"], "nowhere"),
        (&["backup", "x.db", "--db", "missing.db"], "no such"),
        (&["backup", "x.db", "--db", "text"], "text"),
        (&["restore", "text"], "not an SQLite database"),
        (&["restore", "empty"], "empty"),
        (&["restore", "cut.db"], "malformed"),
        (&["restore", "missing.db"], "missing.db"),
        (&["restore", Place::DATABASE], "the database itself"),
        (&["restore", "copy.db", "--db", "text"], "text"),
    ] {
        fails_with(&place, args, line);
    }
    assert_eq!(place.dump(), before);
    assert_eq!(fs::read(place.path("copy.db")).unwrap(), copy);
    run(&place, &["backup", "copy.db", "--force"]);
    assert!(
        !place
            .files("")
            .iter()
            .any(|name| name.starts_with('.') || name == "x.db")
    );
}

#[test]
fn a_killed_backup_leaves_the_database_unchanged_and_no_partial_copy() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
                INSERT INTO tokens (digest, user_id, issued_at) SELECT randomblob(32), 1, 0 FROM n";
    place.file().execute(many, []).unwrap();
    let mut backup = place.program(&["backup", "copy.db"]).spawn();
    let is_partial = |name: &String| name.ends_with(".partial");
    eventually("the backup has started", || {
        place.files("").iter().any(is_partial) || place.path("copy.db").exists()
    });
    backup.signal(Signal::KILL);
    backup.wait();
    assert_eq!(place.integrity(), "ok");
    assert_eq!(place.number("SELECT count(*) FROM tokens"), 100_000);
    // The backup may have been complete before the signal.
    run(&place, &["backup", "copy.db", "--force"]);
    let copied = Connection::open(place.path("copy.db")).unwrap().query_row(
        "SELECT count(*) FROM tokens",
        [],
        |row| row.get::<_, i64>(0),
    );
    assert_eq!(copied.unwrap(), 100_000);
    let files = place.files("");
    assert!(
        !files.iter().any(|name| name.contains("partial")),
        "{files:?}"
    );
}

#[test]
fn a_partial_backup_is_removed_by_the_next_one() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    for name in [
        ".copy.db.partial",
        ".thanos-login-00000000000000000000000000000001.partial",
        ".thanos-login-00000000000000000000000000000001.partial-journal",
    ] {
        place.write(name, "left by a process that was killed");
    }
    run(&place, &["backup", "copy.db"]);
    assert_eq!(
        place.files(""),
        ["accounts.json", "copy.db", Place::DATABASE, "tmp"]
    );
}

#[test]
fn nothing_that_lies_beside_the_destination_becomes_the_backup_or_stops_it() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    place.write("precious", "of another program");
    let partial = place.path(".copy.db.partial");
    let pipe = || mknodat(CWD, &partial, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let link = || symlink(place.path("precious"), &partial).unwrap();
    let hard_link = || fs::hard_link(place.path("precious"), &partial).unwrap();
    for lay in [&pipe as &dyn Fn(), &link, &hard_link] {
        lay();
        run(&place, &["backup", "copy.db", "--force"]);
        assert!(
            fs::symlink_metadata(place.path("copy.db"))
                .unwrap()
                .is_file()
        );
        assert_eq!(users(&place, "copy.db"), 1);
        fs::remove_file(&partial).unwrap();
    }
    let precious = fs::read_to_string(place.path("precious")).unwrap();
    assert_eq!(precious, "of another program");
}

#[test]
#[ignore = "needs root"]
fn a_link_of_another_user_is_not_followed() {
    for (args, name) in [
        (&["backup", "kept.db", "--force"][..], "kept.db"),
        (&["restore", "copy.db", "--force"], KEPT),
    ] {
        let place = with_backup();
        place.write("precious", "of another program");
        symlink("precious", place.path(name)).unwrap();
        std::os::unix::fs::lchown(place.path(name), Some(1), None).unwrap();
        let before = (place.dump(), place.files(""));
        fails_with(&place, args, "another user");
        assert!((place.dump(), place.files("")) == before, "{name}");
        let precious = fs::read_to_string(place.path("precious")).unwrap();
        assert_eq!(precious, "of another program");
    }
}

#[test]
#[ignore = "needs root"]
fn a_file_of_another_user_does_not_become_the_backup() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    place.write(".copy.db.partial", "");
    let partial = place.path(".copy.db.partial");
    std::os::unix::fs::chown(&partial, Some(1), None).unwrap();
    run(&place, &["backup", "copy.db"]);
    assert_eq!(fs::metadata(place.path("copy.db")).unwrap().uid(), 0);
    assert_eq!(fs::metadata(&partial).unwrap().uid(), 1);
}

#[test]
fn two_concurrent_backups_to_one_destination_are_both_complete() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| run(&place, &["backup", "copy.db", "--force"]));
        }
    });
    assert_eq!(users(&place, "copy.db"), 1);
}

#[test]
fn leftovers_beside_the_destination_are_refused_and_those_of_a_partial_copy_are_not_used() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    for end in ["-wal", "-journal", "-shm"] {
        let name = format!("copy.db{end}");
        for (args, content) in [
            (&["backup", "copy.db"][..], ""),
            (&["backup", "copy.db"], "left over"),
            (&["backup", "copy.db", "--force"], "left over"),
        ] {
            place.write(&name, content);
            fails_with(&place, args, &name);
            assert!(!place.path("copy.db").exists());
            assert_eq!(fs::read_to_string(place.path(&name)).unwrap(), content);
        }
        fs::remove_file(place.path(&name)).unwrap();
    }
    // Version 0.1.0 left such a file when it was killed in the middle of a copy.
    for end in ["", "-wal", "-journal"] {
        place.write(&format!(".copy.db.partial{end}"), "left over");
    }
    run(&place, &["backup", "copy.db"]);
    assert_eq!(
        place.files(""),
        ["accounts.json", "copy.db", Place::DATABASE, "tmp"]
    );
    run(&place, &["restore", "copy.db", "--db", "new.db"]);
}

#[test]
fn a_backup_is_not_made_over_a_part_of_its_source() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    for end in ["-wal", "-shm", "-journal"] {
        let name = format!("{}{end}", Place::DATABASE);
        fails_with(&place, &["backup", "--force", &name], "the database itself");
    }
    server.kill();
    assert!(place.holds_token(&token));
}

#[test]
fn a_backup_of_what_a_killed_server_left_changes_neither_file() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    server.kill();
    let read = |name: &str| fs::read(place.path(name)).unwrap();
    let log = format!("{}-wal", Place::DATABASE);
    let before = (read(Place::DATABASE), read(&log));
    run(&place, &["backup", "copy.db"]);
    assert!((read(Place::DATABASE), read(&log)) == before);
    assert!(holds(&place, "copy.db", &token));
}

#[test]
fn a_restore_through_a_link_reads_the_log_of_the_file_and_writes_beside_it() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    server.kill();
    fs::create_dir(place.path("links")).unwrap();
    let target = format!("../{}", Place::DATABASE);
    std::os::unix::fs::symlink(target, place.path("links/link.db")).unwrap();
    run(&place, &["restore", "links/link.db", "--db", "new.db"]);
    assert!(holds(&place, "new.db", &token));
    // The restore writes through a link in the same way.
    run(&place, &["backup", "old.db"]);
    run(&place, &["token", "revoke", "--user", JWEIR]);
    run(
        &place,
        &["restore", "old.db", "--force", "--db", "links/link.db"],
    );
    assert_eq!(users(&place, KEPT), 1);
    assert!(place.holds_token(&token));
    run(
        &place,
        &["backup", "--force", "links/link.db", "--db", "new.db"],
    );
    assert_eq!(place.files("links"), ["link.db"]);
    assert!(place.path("links/link.db").is_symlink());
    assert!(place.holds_token(&token));
}

#[test]
fn several_names_of_a_backup_are_refused() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    run(&place, &["backup", "copy.db"]);
    fs::hard_link(place.path("copy.db"), place.path("second.db")).unwrap();
    let line = "several names";
    fails_with(&place, &["restore", "copy.db", "--db", "new.db"], line);
    fails_with(&place, &["backup", "--force", "copy.db"], line);
    assert!(!place.path("new.db").exists());
}

/// A backup `copy.db` with one user, and a database with that user and another one.
fn with_backup() -> Place {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    run(&place, &["backup", "copy.db"]);
    place
        .seed(&accounts::retailer([
            accounts::user(JWEIR),
            accounts::user(OTHER),
        ]))
        .succeeded();
    place
}

#[test]
fn a_restore_without_a_terminal_needs_force_and_says_what_would_be_lost() {
    let place = with_backup();
    place
        .file()
        .execute_batch("UPDATE users SET last_login = 1000000000000000 WHERE id = 1")
        .unwrap();
    let before = (place.dump(), place.files(""));
    let refused = place.run(&["restore", "copy.db"]);
    assert_eq!(
        (refused.code, &*refused.stdout, &*refused.stderr),
        (
            Some(1),
            "",
            "thanos-login: thanos-login.db: has 2 users, newest login 2001-09-09T01:46:40Z; \
             give --force to replace it by copy.db, which has 1 user, newest login never\n"
        )
    );
    assert!((place.dump(), place.files("")) == before);
    let done = run(&place, &["restore", "copy.db", "--force"]).stdout;
    assert_eq!(
        done,
        "restored thanos-login.db from copy.db: 1 user, newest login never; \
         what it had before is kept as thanos-login.db.before-restore\n"
    );
    assert_eq!(
        (users(&place, Place::DATABASE), users(&place, KEPT)),
        (1, 2)
    );
    // The kept file can be restored in turn.
    let back = object(&run(&place, &["restore", KEPT, "--force", "--json"]));
    let expected = json!({"path": Place::DATABASE, "users": 2, "newest_login": "2001-09-09T01:46:40Z", "kept": KEPT});
    assert_eq!(back, expected);
    assert!(place.dump() == before.0);
    assert_eq!(users(&place, KEPT), 1);
    let mode = fs::metadata(place.path(KEPT)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    assert!(!place.files("").iter().any(|name| name.starts_with('.')));
}

#[test]
fn a_restore_at_a_terminal_asks_and_continues_only_after_yes() {
    let place = with_backup();
    for (answer, ends_with, left) in [
        ("", "nothing was restored", 2),
        ("n", "nothing was restored", 2),
        ("y", "is kept as thanos-login.db.before-restore", 1),
    ] {
        let mut terminal = at_a_terminal(&place, &["restore", "copy.db"]);
        terminal
            .exp_string("thanos-login.db has 2 users, newest login never; copy.db has 1 user")
            .unwrap();
        terminal.exp_string("[y/N] ").unwrap();
        terminal.send_line(answer).unwrap();
        terminal.exp_string(ends_with).unwrap();
        terminal.exp_eof().unwrap();
        assert_eq!(users(&place, Place::DATABASE), left, "{answer:?}");
    }
}

#[test]
fn a_restore_that_loses_nothing_does_not_ask_and_leaves_the_kept_file() {
    let prepare: [fn(&Place); 3] = [
        |_| {},
        |place| place.write(Place::DATABASE, ""),
        |place| {
            run(place, &["init"]);
        },
    ];
    for prepare in prepare {
        let place = with_backup();
        fs::rename(place.path(Place::DATABASE), place.path(KEPT)).unwrap();
        prepare(&place);
        let done = run(&place, &["restore", "copy.db"]).stdout;
        let expected = "restored thanos-login.db from copy.db: 1 user, newest login never\n";
        assert_eq!(done, expected);
        assert_eq!(
            (users(&place, Place::DATABASE), users(&place, KEPT)),
            (1, 2)
        );
    }
}

/// A part of the message about an obstacle, and the function that creates the obstacle.
type Obstacle = (&'static str, fn(&Place));

#[test]
fn nothing_is_replaced_where_the_old_content_cannot_be_kept() {
    let obstacles: [Obstacle; 5] = [
        ("not a regular file", |place| {
            fs::create_dir(place.path(KEPT)).unwrap();
        }),
        ("several names", |place| {
            place.write("other", "of another program");
            fs::hard_link(place.path("other"), place.path(KEPT)).unwrap();
        }),
        ("symbolic link", |place| {
            symlink("nowhere", place.path(KEPT)).unwrap();
        }),
        ("-wal", |place| place.write(&format!("{KEPT}-wal"), "")),
        ("-journal", |place| {
            place.write(&format!("{KEPT}-journal"), "left over");
        }),
    ];
    for (line, prepare) in obstacles {
        let place = with_backup();
        prepare(&place);
        let before = (place.dump(), place.files(""));
        fails_with(&place, &["restore", "copy.db", "--force"], line);
        assert!((place.dump(), place.files("")) == before, "{line}");
    }
    // A link to a file is treated as that file, as by `backup`.
    let place = with_backup();
    fs::create_dir(place.path("old")).unwrap();
    place.write("old/kept.db", "");
    symlink("old/kept.db", place.path(KEPT)).unwrap();
    run(&place, &["restore", "copy.db", "--force"]);
    assert!(place.path(KEPT).is_symlink());
    assert_eq!(users(&place, "old/kept.db"), 2);
}

/// A limit on file sizes has the effect of a full disk: while the old content is copied, or after that.
#[test]
fn a_restore_without_space_replaces_neither_the_database_nor_the_kept_file() {
    let place = with_backup();
    place.write(KEPT, "what an earlier one has kept");
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                INSERT INTO tokens (digest, user_id, issued_at) SELECT randomblob(32), 1, 0 FROM n";
    let big = place.copy();
    big.file().execute(many, []).unwrap();
    run(&big, &["backup", "big.db"]);
    fs::copy(big.path("big.db"), place.path("big.db")).unwrap();
    let (small, large) = (
        fs::metadata(place.path(Place::DATABASE)).unwrap().len(),
        fs::metadata(place.path("big.db")).unwrap().len(),
    );
    let before = (place.files(""), place.dump());
    for limit in [small / 2, small + 8192, large / 2] {
        let limit = format!("--fsize={limit}");
        let restore = place.program(&["restore", "big.db", "--force"]);
        let refused = restore.under(&["prlimit", &limit]).finish();
        refused.failed_naming(&limit, Place::DATABASE);
        assert!((place.files(""), place.dump()) == before, "{limit}");
        let kept = fs::read_to_string(place.path(KEPT)).unwrap();
        assert_eq!(kept, "what an earlier one has kept", "{limit}");
    }
    run(&place, &["restore", "big.db", "--force"]);
    assert_eq!(users(&place, KEPT), 2);
}

#[test]
#[ignore = "needs root"]
fn what_root_restores_leaves_the_kept_file_to_the_owner_of_the_database() {
    let place = with_backup();
    place.give_to(65_534);
    run(&place, &["restore", "copy.db", "--force"]);
    let owner = |name| fs::metadata(place.path(name)).unwrap().uid();
    assert_eq!((owner(KEPT), owner(Place::DATABASE)), (65_534, 65_534));
}

#[test]
fn commands_that_change_something_print_one_line_of_what_they_did() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    fs::create_dir(place.path("pages")).unwrap();
    for (args, line) in [
        (&["init"][..], "thanos-login.db already exists"),
        (&["init", "--db", "new.db"], "created new.db"),
        (&["backup", "copy.db"], "copied 1 user to copy.db"),
        (
            &["user", "export", "users.csv"],
            "wrote 1 user to users.csv",
        ),
        (&["man", "--out", "pages"], "wrote "),
        (&["token", "purge"], "removed 0 expired tokens"),
    ] {
        let said = run(&place, args).stdout;
        assert!(said.starts_with(line), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let done = object(&run(&place, &["init", "--db", "other.db", "--json"]));
    assert_eq!(
        done,
        json!({"path": "other.db", "made": true, "migrated_from": null})
    );
    let done = object(&run(&place, &["backup", "two.db", "--json"]));
    assert_eq!(done, json!({"path": "two.db", "users": 1}));
}
