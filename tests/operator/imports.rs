//! `user import` and `user export`: all or nothing, every bad line with its number, and a round trip that changes nothing.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use serde_json::json;

use super::{at_a_terminal, fails_with, json, run};
use crate::harness::accounts::{self, JWEIR, PASSWORD, QUICK_HASH};
use crate::harness::{Finished, Place, eventually};

fn acme() -> Place {
    let place = Place::new();
    run(&place, &["init"]);
    run(&place, &["org", "add", "Acme", "--type", "RETAILER"]);
    place
}

fn import(place: &Place, name: &str, content: impl AsRef<[u8]>, flags: &[&str]) -> Finished {
    place.write(name, content);
    place.run(&[&["user", "import", name, "--bcrypt-cost", "10"], flags].concat())
}

fn users(place: &Place) -> i64 {
    place.number("SELECT count(*) FROM users")
}

#[test]
fn hashes_that_make_every_login_expensive_are_a_warning() {
    let place = acme();
    let hash = bcrypt::hash(PASSWORD, 12).unwrap();
    let line = json!({"username": "bomb", "password_hash": hash, "org": "Acme"}).to_string();
    let fixture = accounts::retailer([json!({"username": "bomb", "password_hash": hash})]);
    for (name, content) in [("users.jsonl", line), ("users.json", fixture.to_string())] {
        for flags in [&["--dry-run"][..], &[]] {
            let said = import(&acme(), name, &content, flags).succeeded();
            let expected = "warning: users with a hash of a higher cost than 10: 1, up to cost 12; \
                            until each of them has logged in once or is inactive, each login of any user takes up to 4 times as long\n";
            assert_eq!(said.stderr, expected, "{name} {flags:?}");
        }
    }
    let cheap = format!("username,password_hash,org\na@acme.com,{QUICK_HASH},Acme\n");
    assert_eq!(
        import(&place, "users.csv", cheap, &[]).succeeded().stderr,
        ""
    );
}

#[test]
fn csv_json_lines_and_fixtures_are_imported_and_log_in() {
    let place = acme();
    let csv = "username,password,org,first_name,permissions\r\n\
               a@acme.com,violet kettle ninety,Acme,\"Ann, \"\"A\"\"\",\"[{\"\"name\"\":\"\"admin\"\"}]\"\r\n\
               b@acme.com,\"ninety\nkettles violet\",Acme,,\r\n";
    let said = import(&place, "users.csv", csv, &[]).succeeded();
    assert_eq!(
        said.stdout,
        "users: 2 added, 0 changed, 0 unchanged, 0 skipped\n"
    );
    let lines = format!(
        "\u{feff}{}\n\n{}\r\n",
        json!({"username": "c@acme.com", "password_hash": QUICK_HASH}),
        json!({"username": "d@acme.com", "password": "violet kettle ninety", "org": "Acme",
               "person": {"first_name": "Dan"}}),
    );
    import(&place, "users.jsonl", lines, &["--org", "Acme"]).succeeded();
    let fixture = accounts::retailer([accounts::user(JWEIR)]).to_string();
    import(&place, "users.json", fixture, &[]).succeeded();
    let server = place.serve(&[]);
    for (username, password) in [
        ("a@acme.com", "violet kettle ninety"),
        ("b@acme.com", "ninety\nkettles violet"),
        ("c@acme.com", PASSWORD),
        ("d@acme.com", "violet kettle ninety"),
        (JWEIR, PASSWORD),
    ] {
        assert_eq!(server.login(username, password).status, 200, "{username}");
    }
    let shown = json(&run(&place, &["user", "show", "a@acme.com", "--json"]));
    assert_eq!(shown["first_name"], "Ann, \"A\"");
    assert_eq!(
        place.number("SELECT count(*) FROM permission_assignments"),
        1
    );
}

#[test]
fn every_bad_line_is_reported_and_nothing_is_imported() {
    let place = acme();
    let secret = "violet kettle 61";
    let mut csv = format!(
        "username,password,password_hash,status,org\r\n\
         good@acme.com,{secret},,,Acme\r\n\
         ,{secret},,,Acme\r\n\
         twice@acme.com,{secret},,,Acme\r\n\
         TWICE@acme.com,{secret},,,Acme\r\n\
         short@acme.com,kX9-vq2,,,Acme\r\n\
         both@acme.com,{secret},{QUICK_HASH},,Acme\r\n\
         none@acme.com,,,,Acme\r\n\
         hash@acme.com,,$2b$04$short,,Acme\r\n\
         status@acme.com,{secret},,PENDING,Acme\r\n\
         org@acme.com,{secret},,,Acne\r\n\
         noorg@acme.com,{secret},,,\r\n\
         cells@acme.com,{secret}\r\n"
    )
    .into_bytes();
    csv.extend(b"latin\xe9@acme.com,x,,,Acme\r\n");
    csv.extend(b"open@acme.com,\"x,,,Acme\r\n");
    let refused = import(&place, "users.csv", &csv, &[]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for (line, part) in [
        (3, "username: missing"),
        (5, "username: the same username as at line 4"),
        (6, "password: the password is shorter"),
        (7, "has both"),
        (8, "needs a `password`"),
        (9, "password_hash: "),
        (10, "status: "),
        (
            11,
            "org: no such organization \"Acne\": did you mean \"Acme\"?",
        ),
        (12, "org: missing"),
        (13, "2 cells"),
        (14, "username: not UTF-8"),
        (15, "a quote is not closed"),
    ] {
        let start = format!("users.csv:{line}: ");
        assert!(
            refused
                .stderr
                .lines()
                .any(|found| found.starts_with(&start) && found.contains(part)),
            "{line} {part}: {}",
            refused.stderr
        );
    }
    assert_eq!(refused.stderr.lines().count(), 13, "{}", refused.stderr);
    assert!(!refused.stderr.contains(secret) && !refused.stderr.contains("kX9-vq2"));
    assert_eq!(users(&place), 0);

    let said = import(&place, "users.csv", &csv, &["--skip-bad", "--json"]).succeeded();
    assert_eq!(
        json(&said),
        json!({"added": 2, "changed": 0, "unchanged": 0, "skipped": 12, "dry_run": false})
    );
    assert_eq!(said.stderr.lines().count(), 12);
    assert_eq!(users(&place), 2);
}

#[test]
fn mistakes_that_only_json_lines_can_have_are_reported() {
    let place = acme();
    let mut lines =
        b"{\"username\": \"a\"\n[]\n{\"username\": \"b\", \"password_hash\": 1, \"org\": 2}\n"
            .to_vec();
    lines.extend(b"{\"username\": \"\xff\"}\n");
    lines.extend(b"{\"username\": \"c\", \"passwort\": \"x\", \"org\": \"Acme\"}\n");
    let refused = import(&place, "users.jsonl", &lines, &[]);
    assert_eq!(refused.code, Some(1));
    for part in [
        "users.jsonl:1: not JSON",
        "users.jsonl:2: expected an object, but got a list",
        "users.jsonl:3: password_hash: expected a string, but got a number",
        "users.jsonl:4: not UTF-8",
        "users.jsonl:5: passwort: unknown key",
    ] {
        assert!(refused.stderr.contains(part), "{part}: {}", refused.stderr);
    }
    assert_eq!(users(&place), 0);
}

#[test]
fn a_file_without_a_usable_header_is_refused_whole() {
    let place = acme();
    for (label, content, part) in [
        ("nothing", &b""[..], "empty"),
        ("no header", b"a@acme.com,secret\n", "unknown column"),
        ("a column twice", b"username,org,org\n", "twice"),
        ("no username", b"password,org\n", "username"),
        ("not UTF-8", b"user\xff\n", "unknown column"),
    ] {
        for flags in [&[][..], &["--skip-bad"]] {
            let refused = import(&place, "users.csv", content, flags);
            assert_eq!(refused.code, Some(1), "{label}");
            assert!(refused.stderr.contains(part), "{label}: {}", refused.stderr);
        }
    }
    place
        .run(&["user", "import", "users.txt"])
        .was_wrong_usage("a format that the name does not say");
    fails_with(&place, &["user", "import", "missing.csv"], "missing.csv");
}

#[test]
fn a_round_trip_changes_nothing() {
    let pinned = "a0f17278bed479ee719ea890b8caf0329e1f3e5b";
    let place = Place::seeded(&json!({"organizations": [{
        "name": "projectthanos", "org_type": "RETAILER",
        "account_manager": {"first_name": "Max"}, "active_date": "2020-01-01T00:00:00.5Z",
        "users": [
            {"username": JWEIR, "password_hash": QUICK_HASH, "auth_token": pinned,
             "person": {"first_name": "J, \"W\"\r\n", "email": "other@projectthanos.com"},
             "permissions": [{"name": "read", "assigned": false}, {"name": "write", "description": "ü"}]},
            {"username": "b", "password": "thanosrocks", "status": "CONFIRMATION WAITING"},
        ]}, {"name": "empty", "org_type": "SUPPLIER", "status": "PENDING", "users": []}]}));
    let before = place.dump();
    for name in ["all.csv", "all.jsonl", "all.json"] {
        run(&place, &["user", "export", name]);
        let content = fs::read_to_string(place.path(name)).unwrap();
        assert!(
            content.contains(QUICK_HASH) && !content.contains(pinned),
            "{content}"
        );
        let mode = fs::metadata(place.path(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{name}");
        let said = run(&place, &["user", "import", name]).stdout;
        assert_eq!(
            said, "users: 0 added, 0 changed, 2 unchanged, 0 skipped\n",
            "{name}"
        );
        assert_eq!(place.dump(), before, "{name}");
        fails_with(&place, &["user", "export", name], "--force");
        run(&place, &["user", "export", name, "--force"]);
        assert_eq!(fs::read_to_string(place.path(name)).unwrap(), content);
    }
    // The second database is a file.
    run(&place, &["init", "--db", "other.db"]);
    run(&place, &["user", "import", "all.json", "--db", "other.db"]);
    run(
        &place,
        &["user", "export", "again.json", "--db", "other.db"],
    );
    assert_eq!(
        fs::read_to_string(place.path("again.json")).unwrap(),
        fs::read_to_string(place.path("all.json")).unwrap()
    );
    let piped = run(
        &place,
        &[
            "user",
            "export",
            "--format",
            "jsonl",
            "--org",
            "projectthanos",
        ],
    );
    assert_eq!(piped.stdout.lines().count(), 2);
}

#[test]
fn an_export_replaces_regular_files_only() {
    let place = acme();
    place.write("precious", "of another program");
    symlink("precious", place.path("link.csv")).unwrap();
    fs::create_dir(place.path("directory.csv")).unwrap();
    let pipe = place.path("pipe.csv");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let before = place.files("");
    for name in ["link.csv", "directory.csv", "pipe.csv"] {
        fails_with(&place, &["user", "export", name, "--force"], name);
    }
    assert_eq!(place.files(""), before);
    let precious = fs::read_to_string(place.path("precious")).unwrap();
    assert_eq!(precious, "of another program");
}

#[test]
fn fields_of_a_user_that_a_file_omits_stay() {
    let place = acme();
    let csv = "username,password,org,phone\na@acme.com,violet kettle ninety,Acme,123\n";
    import(&place, "users.csv", csv, &[]).succeeded();
    let before = json(&run(&place, &["user", "show", "a@acme.com", "--json"]));
    let server = place.serve(&[]);
    let said = import(
        &place,
        "status.csv",
        "username,status\nA@ACME.com,DEACTIVATED\n",
        &[],
    );
    assert_eq!(
        said.succeeded().stdout,
        "users: 0 added, 1 changed, 0 unchanged, 0 skipped\n"
    );
    let after = json(&run(&place, &["user", "show", "a@acme.com", "--json"]));
    assert_eq!(after["uuid"], before["uuid"]);
    assert_eq!(after["phone"], "123");
    assert_eq!(
        server.login("a@acme.com", "violet kettle ninety").status,
        403
    );
}

#[test]
fn a_dry_run_writes_nothing() {
    let place = acme();
    let before = place.dump();
    let csv = "username,password,org\na@acme.com,violet kettle ninety,Acme\n";
    let said = import(&place, "users.csv", csv, &["--dry-run"]).succeeded();
    assert_eq!(
        said.stdout,
        "users: 1 would be added, 0 would be changed, 0 unchanged, 0 skipped\n"
    );
    assert_eq!(place.dump(), before);
    import(&place, "bad.csv", "username,org\na,Acme\n", &["--dry-run"]);
    assert_eq!(users(&place), 0);
}

#[test]
fn a_huge_file_is_imported_whole_or_not_at_all_in_bounded_memory() {
    let place = acme();
    let mut csv = "username,password_hash,org\n".to_owned();
    for number in 0..50_000 {
        csv += &format!("u{number}@acme.com,{QUICK_HASH},Acme\n");
    }
    csv += "last@acme.com,no hash,Acme\n";
    place.write("users.csv", &csv);

    let refused = place.run(&["user", "import", "users.csv"]);
    assert_eq!(refused.code, Some(1));
    assert!(
        refused
            .stderr
            .starts_with("users.csv:50002: password_hash: "),
        "{}",
        refused.stderr
    );
    assert_eq!(users(&place), 0);

    let mut import = place
        .program(&["user", "import", "users.csv", "--skip-bad"])
        .spawn();
    let mut peak = 0;
    eventually("the import ends", || match import.peak_memory() {
        Some(bytes) => {
            peak = peak.max(bytes);
            false
        }
        None => true,
    });
    let said = import.wait().succeeded();
    assert_eq!(
        said.stdout,
        "users: 50000 added, 0 changed, 0 unchanged, 1 skipped\n"
    );
    assert_eq!(users(&place), 50_000);
    // For each line there are a record, the values that must be unique, and a row to be written.
    let bound = (64 << 20) + 32 * csv.len() as u64;
    assert!(peak > 0 && peak < bound, "{peak} of {bound}");
}

#[test]
fn a_terminal_sees_a_bar_with_rate_and_time_left() {
    let place = acme();
    place.write("users.csv", crowd_csv(16));
    let args = ["user", "import", "users.csv", "--bcrypt-cost", "12"];
    let mut terminal = at_a_terminal(&place, &args);
    let bar = r"\d+/16 users, [0-9.]+/s, \d+s left";
    terminal.exp_regex(bar).unwrap();
    let rest = terminal.exp_eof().unwrap();
    assert!(rest.contains("users: 16 added"), "{rest:?}");
}

#[test]
fn without_a_terminal_there_is_a_plain_line_now_and_then() {
    let place = acme();
    // So many passwords that even a machine with many cores does not hash them before the first line is due.
    place.write("users.csv", crowd_csv(2_000));
    let import = place
        .program(&["user", "import", "users.csv", "--bcrypt-cost", "14"])
        .spawn();
    eventually("a line shows the progress", || import.log().ends_with('\n'));
    let log = import.log();
    let (done, rest) = log.split_once(' ').unwrap();
    assert!(done.parse::<u32>().is_ok(), "{log:?}");
    assert_eq!(rest, "of 2000 users\n");
}

fn crowd_csv(count: usize) -> String {
    (0..count).fold("username,password,org\n".to_owned(), |csv, number| {
        csv + &format!("u{number}@acme.com,violet kettle ninety,Acme\n")
    })
}

#[test]
fn whatever_ends_an_import_leaves_the_database_as_it_was() {
    let place = acme();
    let before = place.dump();
    place.write("users.csv", crowd_csv(100));
    for signal in [Signal::KILL, Signal::INT] {
        // The highest cost, so that hashing is still in progress then.
        let mut import = place
            .program(&["user", "import", "users.csv", "--bcrypt-cost", "15"])
            .spawn();
        eventually("the import hashes", || import.is_hashing());
        import.signal(signal);
        assert_eq!(import.wait().code, None, "{signal:?}");
        assert_eq!(place.dump(), before, "{signal:?}");
        assert_eq!(place.integrity(), "ok");
    }
    run(&place, &["user", "list"]);
}

#[test]
fn names_that_look_like_others_are_findings_for_new_users_only() {
    let odd = "a\u{200b}nn@acme.com";
    let decomposed = "jose\u{301}@acme.com";
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let rename = "UPDATE users SET username = ?1 WHERE username = ?2";
    place.sql().execute(rename, &[&odd, &JWEIR]).unwrap();
    let csv = format!("username,status\n{odd},DEACTIVATED\n");
    import(&place, "present.csv", csv, &[]).succeeded();
    let line =
        |username: &str| json!({"username": username, "password_hash": QUICK_HASH}).to_string();
    let fixture = |username: &str| accounts::retailer([accounts::user(username)]).to_string();
    for (username, code) in [("b\u{200b}ob@acme.com", "U+200B"), (decomposed, "U+0301")] {
        let csv = format!("username,password_hash\n{username},{QUICK_HASH}\n");
        let org = ["--org", "projectthanos"];
        let files = [
            ("new.csv", csv, &org[..]),
            ("new.jsonl", line(username), &org),
            ("new.json", fixture(username), &[]),
        ];
        for (name, content, flags) in files {
            let refused = import(&place, name, content, flags);
            assert_eq!(refused.code, Some(1), "{name}: {refused:?}");
            let finding = refused.stderr.lines().next().unwrap();
            assert!(finding.contains("username: "), "{name}: {finding}");
            assert!(finding.contains(code), "{name}: {finding}");
        }
        place.write("seed.json", fixture(username));
        fails_with(&place, &["seed", "seed.json"], code);
    }
    assert_eq!(users(&place), 1);
}
