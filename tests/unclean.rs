//! The log or journal that a killed process leaves beside the database: used when it belongs to the database, refused and
//! left unchanged when it does not.

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use rustix::process::Signal;

use crate::harness::accounts::{self, JWEIR, PASSWORD, crowd};
use crate::harness::{Place, request};

const LOG: &str = "thanos-login.db-wal";
const KEPT: &str = "thanos-login.db.before-restore";
const JOURNAL: &str = "thanos-login.db-journal";

fn one_user() -> Place {
    Place::seeded(&accounts::retailer([accounts::user(JWEIR)]))
}

/// The database and its log as a kill leaves them, with a token in the log.
fn killed() -> (Place, String) {
    let place = one_user();
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    server.kill();
    assert!(fs::metadata(place.path(LOG)).unwrap().len() > 4096);
    (place, token)
}

fn bytes(place: &Place, name: &str) -> Vec<u8> {
    fs::read(place.path(name)).unwrap_or_default()
}

/// Checks that all commands that open the database refuse it in one line and leave both files unchanged.
#[track_caller]
fn assert_refused_untouched(place: &Place, beside: &str) {
    let before = (bytes(place, Place::DATABASE), bytes(place, beside));
    for command in [
        &["serve"][..],
        &["init"],
        &["seed", "accounts.json"],
        &["user", "list"],
        &["user", "show", JWEIR],
    ] {
        place.write("accounts.json", accounts::crowded().to_string());
        let refused = place.run(command);
        let label = format!("{command:?}");
        refused.failed_naming(&label, Place::DATABASE);
        assert!(refused.stderr.contains(beside), "{refused:?}");
        assert!(
            refused.stderr.contains("thanos-login restore"),
            "{refused:?}"
        );
        assert!(bytes(place, Place::DATABASE) == before.0, "{label}");
        assert!(bytes(place, beside) == before.1, "{label}");
    }
}

#[test]
fn the_log_of_a_killed_server_is_kept() {
    let (place, token) = killed();
    let server = place.serve(&[]);
    assert!(place.holds_token(&token));
    let report = "was not closed properly";
    assert_eq!(server.stop().stderr.matches(report).count(), 1);
    assert!(!place.serve(&[]).stop().stderr.contains(report));
}

#[test]
fn another_database_under_the_log_of_a_killed_server_is_refused_until_a_backup_is_restored() {
    let (place, _) = killed();
    let other = Place::seeded(&accounts::crowded());
    other.run(&["backup", "copy.db"]).succeeded();
    fs::copy(other.path("copy.db"), place.path(Place::DATABASE)).unwrap();
    assert_refused_untouched(&place, LOG);
    assert_eq!(place.run(&["check"]).code, Some(1));
    fs::copy(other.path("copy.db"), place.path("copy.db")).unwrap();
    place.run(&["restore", "copy.db", "--force"]).succeeded();
    let server = place.serve(&[]);
    assert_eq!(server.login(&crowd()[0], PASSWORD).status, 200);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 401);
    server.stop();
    assert_eq!(place.integrity(), "ok");
}

#[test]
fn a_damaged_database_is_replaced_by_a_restore() {
    let copy = one_user();
    copy.run(&["backup", "copy.db"]).succeeded();
    let length = bytes(&copy, "copy.db").len();
    let damages: [fn(&mut Vec<u8>, usize); 3] = [
        |bytes, length| bytes.truncate(length - 4096),
        |bytes, _| bytes[100..400].fill(0xa5),
        |bytes, length| bytes[4096..length].fill(0xa5),
    ];
    for name in ["copy.db", Place::DATABASE] {
        for damage in damages {
            let place = Place::new();
            fs::copy(copy.path("copy.db"), place.path("copy.db")).unwrap();
            let mut damaged = bytes(&copy, name);
            damage(&mut damaged, length);
            place.write(Place::DATABASE, damaged);
            place
                .run(&["serve"])
                .failed_naming(name, "thanos-login restore");
            place
                .run(&["restore", "copy.db"])
                .failed_naming(name, "--force");
            place.run(&["restore", "copy.db", "--force"]).succeeded();
            // What is kept is the part that SQLite could read.
            assert!(!bytes(&place, KEPT).is_empty());
            let server = place.serve(&[]);
            assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
        }
    }
}

#[test]
fn a_copy_whose_foreign_log_is_removed_is_served() {
    let (place, _) = killed();
    let other = Place::seeded(&accounts::crowded());
    fs::copy(other.path(Place::DATABASE), place.path(Place::DATABASE)).unwrap();
    place.run(&["serve"]).failed_naming("serve", LOG);
    fs::remove_file(place.path(LOG)).unwrap();
    let server = place.serve(&[]);
    assert_eq!(server.login(&crowd()[0], PASSWORD).status, 200);
}

/// Dangling references are found although the pages are intact.
#[test]
fn dangling_references_are_found_after_an_unclean_end() {
    let (place, _) = killed();
    let copy = Place::new();
    for name in [Place::DATABASE, LOG] {
        fs::copy(place.path(name), copy.path(name)).unwrap();
    }
    let sql = copy.file();
    sql.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM people")
        .unwrap();
    for name in [Place::DATABASE, LOG] {
        fs::copy(copy.path(name), place.path(name)).unwrap();
    }
    assert_refused_untouched(&place, LOG);
}

/// The reader could be a program that copies the log, and it outlives the server.
#[test]
fn a_process_that_only_reads_does_not_prove_the_file_undamaged() {
    let place = one_user();
    damage_a_far_page(&place);
    let server = place.serve(&[]);
    server.login(JWEIR, PASSWORD).token();
    let reader = place.file();
    reader
        .execute_batch("BEGIN; SELECT 1 FROM sqlite_schema")
        .unwrap();
    server.kill();
    place.run(&["serve"]).failed_naming("serve", LOG);
    drop(reader);
}

#[test]
fn a_command_beside_a_server_does_not_read_the_whole_file() {
    let place = one_user();
    let _server = place.serve(&[]);
    damage_a_far_page(&place);
    place.run(&["user", "show", JWEIR]).succeeded();
}

#[test]
fn opening_a_clean_file_reads_little_and_check_reads_all() {
    let place = one_user();
    damage_a_far_page(&place);
    for command in [&["init"][..], &["user", "show", JWEIR], &["token", "list"]] {
        place.run(command).succeeded();
    }
    place.serve(&[]).stop();
    let found = place.run(&["check"]);
    assert_eq!(found.code, Some(1));
    assert!(found.stderr.contains("integrity: "), "{found:?}");
}

/// Damages a table that no command reads, in a page beyond those that are always checked.
fn damage_a_far_page(place: &Place) {
    let fill = "CREATE TABLE ballast (bytes BLOB);
                WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
                INSERT INTO ballast SELECT randomblob(4000) FROM n;
                PRAGMA wal_checkpoint(TRUNCATE)";
    place.file().execute_batch(fill).unwrap();
    let path = place.path(Place::DATABASE);
    let length = fs::metadata(&path).unwrap().len();
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0xa5; 2000], length - 4096).unwrap();
}

/// Copies a file and its rollback journal in the middle of a transaction that has already written pages into the file.
fn unfinished(database: &Path, change: &str, place: &Place) {
    let connection = Connection::open(database).unwrap();
    let mode: String = connection
        .query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "delete");
    connection
        .execute_batch(&format!("PRAGMA cache_size = 1; BEGIN; {change}"))
        .unwrap();
    let journal = database.with_file_name(format!(
        "{}-journal",
        database.file_name().unwrap().to_str().unwrap()
    ));
    assert!(fs::read(&journal).unwrap()[0] != 0);
    fs::copy(database, place.path(Place::DATABASE)).unwrap();
    fs::copy(journal, place.path(JOURNAL)).unwrap();
}

const MANY_TOKENS: &str = "
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
    INSERT INTO tokens (digest, user_id, issued_at) SELECT randomblob(32), users.id, i FROM n, users LIMIT 5000";

#[test]
fn the_rollback_journal_of_the_database_is_played_back() {
    for command in [
        &["init"][..],
        &["check"],
        &["user", "list"],
        &["restore", "copy.db", "--force"],
        &["backup", "x.db"],
    ] {
        let place = Place::new();
        let origin = one_user();
        let before = origin.dump();
        origin.run(&["backup", "copy.db"]).succeeded();
        fs::copy(origin.path("copy.db"), place.path("copy.db")).unwrap();
        unfinished(&origin.path("copy.db"), MANY_TOKENS, &place);
        let finished = place.run(command);
        if command != ["check"] {
            finished.succeeded();
        } else {
            assert!(!finished.stderr.contains("integrity"), "{finished:?}");
        }
        assert!(!place.path(JOURNAL).exists(), "{command:?}");
        assert_eq!(place.dump(), before, "{command:?}");
        assert!(!place.files("").iter().any(|name| name.starts_with('.')));
    }
}

#[test]
fn the_journal_of_another_database_is_not_played_back() {
    let other = Place::seeded(&accounts::crowded());
    other.run(&["backup", "copy.db"]).succeeded();
    let place = one_user();
    let own = bytes(&place, Place::DATABASE);
    unfinished(&other.path("copy.db"), MANY_TOKENS, &place);
    place.write(Place::DATABASE, &own);
    assert_refused_untouched(&place, JOURNAL);
    fs::remove_file(place.path(JOURNAL)).unwrap();
    let server = place.serve(&[]);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}

#[test]
fn a_foreign_database_keeps_its_journal() {
    let origin = Place::new();
    let make = "CREATE TABLE t (x); PRAGMA application_id = 42";
    let database = origin.path("foreign.db");
    Connection::open(&database)
        .unwrap()
        .execute_batch(make)
        .unwrap();
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
                INSERT INTO t SELECT randomblob(100) FROM n";
    for text in [false, true] {
        let place = Place::new();
        unfinished(&database, fill, &place);
        if text {
            place.write(Place::DATABASE, "a text of somebody ".repeat(1000));
        }
        let before = (bytes(&place, Place::DATABASE), bytes(&place, JOURNAL));
        for command in [
            &["serve"][..],
            &["init"],
            &["restore", Place::DATABASE, "--db", "x.db"],
        ] {
            place
                .run(command)
                .failed_naming(&format!("{command:?}"), Place::DATABASE);
        }
        assert_eq!(place.run(&["check"]).code, Some(1));
        assert!((bytes(&place, Place::DATABASE), bytes(&place, JOURNAL)) == before);
    }
}

#[test]
fn a_log_or_journal_without_its_database_is_not_lost() {
    let (place, _) = killed();
    fs::remove_file(place.path(Place::DATABASE)).unwrap();
    for empty in [false, true] {
        if empty {
            place.write(Place::DATABASE, "");
        }
        let before = bytes(&place, LOG);
        for command in [&["serve"][..], &["init"], &["seed"]] {
            place
                .run(command)
                .failed_naming(&format!("{command:?}"), LOG);
        }
        assert!(bytes(&place, LOG) == before);
    }
    // A restore is allowed: it determines the content anyway.
    let copy = one_user();
    copy.run(&["backup", "copy.db"]).succeeded();
    fs::remove_file(place.path(Place::DATABASE)).unwrap();
    fs::copy(copy.path("copy.db"), place.path("copy.db")).unwrap();
    place.run(&["restore", "copy.db"]).succeeded();
    place.serve(&[]).stop();
    assert_eq!(place.dump(), copy.dump());
}

/// A database far larger than SQLite's page cache, so that a restore writes into the file before it commits.
fn big() -> Place {
    let place = one_user();
    let fill = MANY_TOKENS.replace("5000", "100000");
    let sql = place.file();
    sql.execute_batch("INSERT INTO people (uuid) VALUES ('00000000-0000-4000-8000-000000000001')")
        .unwrap();
    sql.execute_batch(&fill).unwrap();
    drop(sql);
    place.run(&["backup", "big.db"]).succeeded();
    place
}

/// A label, and how the destination is prepared.
type Preparation = (&'static str, fn(&Place, &Place));

/// Leaves a log as a killed server does, so long that the next commit would checkpoint it.
fn leave_a_long_log(place: &Place) {
    let connection = place.file();
    let sql = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0";
    connection.execute_batch(sql).unwrap();
    for _ in 0..1_100 {
        let change = "UPDATE throttle_secret SET rowid = rowid + 1";
        connection.execute(change, []).unwrap();
    }
    let kept = [Place::DATABASE, LOG].map(|name| (place.path(name), fs::read(place.path(name))));
    drop(connection);
    for (path, content) in kept {
        fs::write(path, content.unwrap()).unwrap();
    }
}

/// Kills a restore once a file has grown to a certain size, or a little later.
#[test]
fn a_restore_that_is_killed_leaves_the_old_content_or_the_new() {
    let origin = big();
    let (new, old) = (origin.dump(), one_user());
    old.run(&["backup", "old.db"]).succeeded();
    let kinds: [Preparation; 4] = [
        ("into nothing", |_, _| {}),
        ("over a backup", |place, old| {
            fs::copy(old.path("old.db"), place.path(Place::DATABASE)).unwrap();
        }),
        ("over a database that was served", |place, old| {
            fs::copy(old.path(Place::DATABASE), place.path(Place::DATABASE)).unwrap();
        }),
        ("over a database with a long log", |place, old| {
            fs::copy(old.path("old.db"), place.path(Place::DATABASE)).unwrap();
            leave_a_long_log(place);
        }),
    ];
    let mut cut = 0;
    for (kind, prepare) in kinds {
        for size in [0, 1 << 20, 4 << 20, 8 << 20] {
            let place = Place::new();
            fs::copy(origin.path("big.db"), place.path("big.db")).unwrap();
            prepare(&place, &old);
            let mut restore = place.program(&["restore", "big.db", "--force"]).spawn();
            let grown = || {
                [Place::DATABASE, LOG, JOURNAL].iter().any(|name| {
                    fs::metadata(place.path(name)).is_ok_and(|file| {
                        file.len() > size && (size > 0 || *name != Place::DATABASE)
                    })
                })
            };
            while !grown() && restore.peak_memory().is_some() {}
            restore.signal(Signal::KILL);
            if restore.wait().code.is_none() {
                cut += 1;
            }
            let label = format!("{kind}, at {size}");
            place.serve(&[]).stop();
            let found = place.dump();
            let is_old = if kind == "into nothing" {
                found.is_empty()
            } else {
                found == old.dump()
            };
            assert!(is_old || found == new, "{label}");
            let checked = place.run(&["check"]);
            assert!(
                !checked.stderr.contains("integrity"),
                "{label}: {checked:?}"
            );
            place.run(&["restore", "big.db", "--force"]).succeeded();
            assert!(place.dump() == new, "{label}");
            assert!(
                !place.files("").iter().any(|name| name.starts_with('.')),
                "{label}"
            );
        }
    }
    assert!(cut > 0, "every restore was quicker than the signal");
}

#[test]
fn a_server_that_starts_beside_a_restore_says_that_the_file_is_locked() {
    let place = one_user();
    let lock = place.file();
    lock.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT")
        .unwrap();
    let refused = place.run(&["serve"]);
    refused.failed_naming("serve", Place::DATABASE);
    assert!(
        refused.stderr.contains("locked by another process"),
        "{refused:?}"
    );
    drop(lock);
    let server = place.serve(&[]);
    assert_eq!(server.send(request("GET", "/readyz", &[], "")).status, 200);
}
