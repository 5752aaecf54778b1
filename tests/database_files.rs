//! Which files the program opens as its database, which it creates, and which it refuses and leaves unchanged.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use rusqlite::Connection;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;

use crate::harness::Place;
use crate::harness::accounts::{self, JWEIR, PASSWORD};

/// Commands that open the database for writing.
const COMMANDS: [&[&str]; 3] = [&["serve"], &["init"], &["seed", "accounts.json"]];

/// One command of each kind that opens a database.
const EVERY_COMMAND: [&[&str]; 10] = [
    &["serve"],
    &["init"],
    &["seed", "accounts.json"],
    &["check"],
    &["backup", "x.db"],
    &["restore", "copy.db"],
    &["user", "list"],
    &["user", "show", JWEIR],
    &["org", "list"],
    &["token", "purge"],
];

/// A directory with a fixture to seed, but without a database.
fn empty_place() -> Place {
    let place = Place::new();
    place.write(
        "accounts.json",
        accounts::retailer([accounts::user(JWEIR)]).to_string(),
    );
    place
}

fn own_database() -> Vec<u8> {
    let place = Place::seeded(&accounts::crowded());
    fs::read(place.path(Place::DATABASE)).unwrap()
}

/// The bytes of a database file that SQL statements create.
fn made_by(sql: &str) -> Vec<u8> {
    let place = Place::new();
    let path = place.path("made.db");
    Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    fs::read(path).unwrap()
}

/// The bytes of a database of this program after SQL statements have changed it.
fn own_database_after(sql: &str) -> Vec<u8> {
    let place = Place::new();
    place.run(&["init"]).succeeded();
    place.file().execute_batch(sql).unwrap();
    place
        .file()
        .execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")
        .unwrap();
    fs::read(place.path(Place::DATABASE)).unwrap()
}

fn overwritten(mut bytes: Vec<u8>, from: usize, count: usize) -> Vec<u8> {
    bytes[from..from + count].fill(0xa5);
    bytes
}

fn cut(mut bytes: Vec<u8>, length: usize) -> Vec<u8> {
    assert!(length < bytes.len());
    bytes.truncate(length);
    bytes
}

#[test]
fn a_file_that_is_not_our_database_is_refused_in_one_line_and_left_untouched() {
    let ours = own_database();
    let rows = [
        ("a short text", b"not a database".to_vec()),
        ("a long text", b"not a database\n".repeat(1000)),
        ("zeroes", vec![0; 8192]),
        ("a blank", b" ".to_vec()),
        (
            "of another program",
            made_by("PRAGMA application_id = 42; CREATE TABLE tokens (digest)"),
        ),
        (
            "of a program without a number",
            made_by("CREATE TABLE tokens (digest)"),
        ),
        (
            "of another program, without tables",
            made_by("PRAGMA application_id = 42"),
        ),
        (
            "with a version, but without tables",
            made_by("PRAGMA user_version = 1"),
        ),
        (
            "of a program that logs ahead",
            made_by("PRAGMA journal_mode = WAL; CREATE TABLE tokens (digest)"),
        ),
        (
            "of a newer release",
            own_database_after("PRAGMA user_version = 9999"),
        ),
        ("cut to half", cut(ours.clone(), ours.len() / 2)),
        ("cut by its last page", cut(ours.clone(), ours.len() - 4096)),
        ("cut by a byte", cut(ours.clone(), ours.len() - 1)),
        ("cut in its first page", cut(ours.clone(), 2000)),
        ("cut in its header", cut(ours.clone(), 50)),
        ("cut after its header", cut(ours.clone(), 100)),
        ("malformed schema", overwritten(ours.clone(), 100, 300)),
        (
            "malformed second page",
            overwritten(ours.clone(), 4096, 512),
        ),
        (
            "malformed last page",
            overwritten(ours.clone(), ours.len() - 4096, 512),
        ),
        ("malformed header", overwritten(ours, 0, 32)),
    ];
    for (kind, bytes) in rows {
        for command in COMMANDS {
            let label = format!("{command:?} on a file {kind}");
            let place = empty_place();
            place.write(Place::DATABASE, &bytes);
            let before = place.files("");
            place.run(command).failed_naming(&label, Place::DATABASE);
            assert_eq!(place.files(""), before, "{label}");
            assert!(
                fs::read(place.path(Place::DATABASE)).unwrap() == bytes,
                "{label}: it was changed"
            );
        }
    }
}

#[test]
fn a_path_that_cannot_be_a_file_is_refused_in_one_line_that_names_it() {
    for command in COMMANDS {
        let place = empty_place();
        fs::create_dir(place.path("directory")).unwrap();
        place.write("file", "");
        for path in ["directory", "nowhere/thanos.db", "file/thanos.db"] {
            let args = [command, &["--db", path]].concat();
            place.run(&args).failed_naming(&format!("{args:?}"), path);
        }
        assert_eq!(
            place.files(""),
            ["accounts.json", "directory", "file", "tmp"],
            "{command:?}"
        );
        assert_eq!(place.files("directory"), [""; 0], "{command:?}");
    }
}

#[test]
fn a_link_to_nothing_is_refused_by_every_command_in_plain_words() {
    for command in EVERY_COMMAND {
        let place = empty_place();
        symlink("nothing.db", place.path("link.db")).unwrap();
        let args = [command, &["--db", "link.db"]].concat();
        let refused = place.run(&args);
        let label = format!("{args:?}");
        refused.failed_naming(
            &label,
            "link.db: a symbolic link to a file that does not exist",
        );
        for jargon in ["file:", "mode=", "rror code", "immutable"] {
            assert!(!refused.stderr.contains(jargon), "{label}: {refused:?}");
        }
        assert!(!place.path("nothing.db").exists(), "{label}");
    }
}

#[test]
fn a_file_with_several_names_is_refused_by_every_command_and_left_untouched() {
    for command in EVERY_COMMAND {
        let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
        place.run(&["backup", "copy.db"]).succeeded();
        fs::hard_link(place.path(Place::DATABASE), place.path("name.db")).unwrap();
        let before = fs::read(place.path("name.db")).unwrap();
        let args = [command, &["--db", "name.db"]].concat();
        let label = format!("{args:?}");
        place
            .run(&args)
            .failed_naming(&label, "name.db: the file has several names");
        assert!(
            fs::read(place.path("name.db")).unwrap() == before,
            "{label}"
        );
    }
}

#[test]
fn a_link_leads_to_the_log_of_its_file() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    fs::create_dir(place.path("links")).unwrap();
    symlink(
        format!("../{}", Place::DATABASE),
        place.path("links/link.db"),
    )
    .unwrap();
    let link = &["--db", "links/link.db"];
    let server = place.serve(link);
    let token = server.login(JWEIR, PASSWORD).token();
    place
        .run(&[&["user", "list"], &link[..]].concat())
        .succeeded();
    place
        .run(&["backup", "copy.db", "--db", "links/link.db"])
        .succeeded();
    server.kill();
    let _server = place.serve(link);
    assert!(place.holds_token(&token));
    assert_eq!(place.files("links"), ["link.db"]);
}

/// Lets other users enter the directory: the tests run the program as one when they run as root, to whom file modes do not
/// apply.
fn open_to_all(place: &Place) {
    for directory in ["", "tmp"] {
        fs::set_permissions(place.path(directory), Permissions::from_mode(0o777)).unwrap();
    }
}

#[test]
fn a_file_that_cannot_be_written_is_refused_in_one_line_and_left_untouched() {
    for (kind, mode) in [("read-only", 0o444), ("closed", 0o000)] {
        for command in COMMANDS {
            let label = format!("{command:?} on a {kind} file");
            let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
            open_to_all(&place);
            let (path, before) = (place.path(Place::DATABASE), place.files(""));
            let bytes = fs::read(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let refused = place.program(command).without_root().finish();
            refused.failed_naming(&label, Place::DATABASE);
            assert_eq!(place.files(""), before, "{label}");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            assert!(fs::read(&path).unwrap() == bytes, "{label}: it was changed");
        }
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_in_one_line() {
    for command in COMMANDS {
        let place = empty_place();
        open_to_all(&place);
        fs::create_dir(place.path("closed")).unwrap();
        fs::set_permissions(place.path("closed"), Permissions::from_mode(0o555)).unwrap();
        let args = [command, &["--db", "closed/thanos.db"]].concat();
        place
            .program(&args)
            .without_root()
            .finish()
            .failed_naming(&format!("{args:?}"), "closed/thanos.db");
        fs::set_permissions(place.path("closed"), Permissions::from_mode(0o755)).unwrap();
        assert_eq!(place.files("closed"), [""; 0], "{command:?}");
    }
}

#[test]
fn an_empty_file_and_a_database_without_tables_count_as_new() {
    let rows = [
        ("empty", Vec::new()),
        (
            "without tables",
            made_by("CREATE TABLE passing (x); DROP TABLE passing"),
        ),
        (
            "without tables, logging ahead",
            made_by("PRAGMA journal_mode = WAL; CREATE TABLE passing (x); DROP TABLE passing"),
        ),
    ];
    for (kind, bytes) in rows {
        for command in COMMANDS {
            let label = format!("{command:?} on a file {kind}");
            let place = empty_place();
            place.write(Place::DATABASE, &bytes);
            if command == ["serve"] {
                place.serve(&[]).stop();
            } else {
                place.run(command).succeeded();
            }
            assert_ne!(place.number("PRAGMA user_version"), 0, "{label}");
            assert_ne!(place.number("PRAGMA application_id"), 0, "{label}");
            assert_eq!(place.integrity(), "ok", "{label}");
        }
    }
}

#[test]
fn a_missing_database_is_created_with_mode_0600_whatever_the_umask() {
    for umask in ["umask 0", "umask 022", "umask 0777"] {
        for command in &COMMANDS[1..] {
            let place = empty_place();
            place.program(command).after(umask).finish().succeeded();
            let mode = fs::metadata(place.path(Place::DATABASE))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o7777, 0o600, "{command:?}, {umask}");
        }
        // While a server runs, its log files are beside the database.
        let place = Place::new();
        let server = place.program(&["serve"]).after(umask).start();
        assert_eq!(server.login(JWEIR, PASSWORD).status, 401);
        for name in place
            .files("")
            .iter()
            .filter(|name| name.starts_with(Place::DATABASE))
        {
            let mode = fs::metadata(place.path(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o600, "{name}, {umask}");
        }
    }
}

#[test]
fn init_creates_a_database_with_the_documented_settings() {
    let place = Place::new();
    place.run(&["init"]).succeeded();
    assert_eq!(place.files(""), [Place::DATABASE, "tmp"]);
    let journal: String = place
        .file()
        .query_row("PRAGMA journal_mode", [], |row| row.get(0))
        .unwrap();
    assert_eq!(journal, "wal");
    assert_eq!(place.number("SELECT count(*) FROM users"), 0);
    assert_eq!(
        place.number("SELECT count(*) FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT GLOB 'sqlite_*' AND NOT strict"),
        0
    );
}

#[test]
fn init_on_an_existing_database_changes_nothing() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let before = place.dump();
    place.run(&["init"]).succeeded();
    assert_eq!(place.dump(), before);
}

#[test]
fn the_schema_rejects_invalid_rows() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let connection = place.file();
    connection
        .execute_batch("PRAGMA foreign_keys = ON")
        .unwrap();
    let rows = [
        (
            "a retailer without a retailer_uuid",
            "UPDATE organizations SET retailer_uuid = NULL",
        ),
        (
            "a retailer with a supplier_uuid",
            "UPDATE organizations SET supplier_uuid = uuid",
        ),
        (
            "a retailer made a supplier",
            "UPDATE organizations SET org_type = 'SUPPLIER'",
        ),
        (
            "an unknown org_type",
            "UPDATE organizations SET org_type = 'BANK'",
        ),
        (
            "an unknown status of an organization",
            "UPDATE organizations SET status = 'CONFIRMATION WAITING'",
        ),
        (
            "an unknown status of a user",
            "UPDATE users SET status = 'PENDING'",
        ),
        (
            "a status in small letters",
            "UPDATE users SET status = 'active'",
        ),
        ("a UUID that is none", "UPDATE users SET uuid = 'x'"),
        (
            "a UUID in capitals",
            "UPDATE users SET uuid = upper('abcdefab-cdef-4abc-8abc-abcdefabcdef')",
        ),
        (
            "a hash that is none",
            "UPDATE users SET password_hash = 'thanosrocks'",
        ),
        ("a user of no organization", "UPDATE users SET org_id = 999"),
        (
            "an organization removed from under its users",
            "DELETE FROM organizations",
        ),
        (
            "the same username in capitals",
            "INSERT INTO users (uuid, org_id, username, password_hash, status) \
             SELECT '00000000-0000-4000-8000-000000000000', org_id, upper(username), password_hash, status FROM users",
        ),
        (
            "a digest of 31 bytes",
            "INSERT INTO tokens (digest, user_id, issued_at) SELECT randomblob(31), id, 0 FROM users",
        ),
        (
            "a digest as text",
            "INSERT INTO tokens (digest, user_id, issued_at) SELECT '01234567890123456789012345678901', id, 0 FROM users",
        ),
        (
            "a token of nobody",
            "INSERT INTO tokens (digest, user_id, issued_at) VALUES (randomblob(32), 999, 0)",
        ),
    ];
    for (label, sql) in rows {
        let error = connection.execute(sql, []).expect_err(label);
        assert_eq!(
            error.sqlite_error_code(),
            Some(rusqlite::ErrorCode::ConstraintViolation),
            "{label}: {error}"
        );
    }
}

/// How far the first start gets before it is killed differs from run to run; the next start must succeed in every case.
#[test]
fn a_killed_first_start_does_not_prevent_the_next_one() {
    let log = format!("{}-wal", Place::DATABASE);
    let index = format!("{}-shm", Place::DATABASE);
    for file in [Place::DATABASE, &log, &index] {
        for least in [0, 1, 4096] {
            let place = Place::new();
            let mut start = place.program(&["init"]).spawn();
            let is_there = || {
                let length = fs::metadata(place.path(file)).map(|metadata| metadata.len());
                length.is_ok_and(|length| length >= least)
            };
            // The start may be complete before this is noticed.
            while !is_there() && start.peak_memory().is_some() {}
            start.signal(Signal::KILL);
            start.wait();
            place.run(&["init"]).succeeded();
            place.run(&["check"]).succeeded();
            assert_eq!(place.files(""), [Place::DATABASE, "tmp"], "{file} {least}");
        }
    }
}

/// SQLite would wait for ever on a pipe, and write through a hard link.
#[test]
fn a_special_file_or_a_link_beside_the_database_is_refused_and_left_alone() {
    type Plant = fn(&Place, &str);
    let fifo: Plant = |place, name| {
        let path = place.path(name);
        mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    };
    let others: [Plant; 3] = [
        |place, name| fs::hard_link(place.path("precious"), place.path(name)).unwrap(),
        |place, name| symlink("precious", place.path(name)).unwrap(),
        |place, name| fs::create_dir(place.path(name)).unwrap(),
    ];
    let mut cases = vec![(fifo, &EVERY_COMMAND[..])];
    cases.extend(others.map(|plant| (plant, &EVERY_COMMAND[..2])));
    let content = own_database();
    for end in ["-wal", "-shm", "-journal"] {
        for (plant, commands) in &cases {
            for args in *commands {
                let place = empty_place();
                place.write(Place::DATABASE, &content);
                place.write("copy.db", &content);
                place.write("precious", "of another program");
                let name = format!("{}{end}", Place::DATABASE);
                plant(&place, &name);
                let files = place.files("");
                let refused = place.run(args);
                assert_eq!(refused.code, Some(1), "{args:?}: {refused:?}");
                assert!(refused.stderr.contains(&name), "{args:?}: {refused:?}");
                assert_eq!(place.files(""), files, "{args:?}");
                assert_eq!(fs::read(place.path(Place::DATABASE)).unwrap(), content);
                let precious = fs::read_to_string(place.path("precious")).unwrap();
                assert_eq!(precious, "of another program", "{args:?}");
            }
        }
    }
}
