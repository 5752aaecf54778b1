//! Concurrent imports beside logins.

use std::fmt::Write;
use std::ops::Range;

use rustix::process::Signal;
use serde_json::json;

use super::{Several, at_once};
use crate::harness::accounts::{self, JWEIR, QUICK_HASH};
use crate::harness::eventually;

/// More users than an import into a file writes in one transaction.
const MANY: u32 = 1_200;

fn start() -> Several {
    Several::start(&accounts::retailer([accounts::user(JWEIR)]))
}

/// A file of users with a status.
fn write(several: &Several, name: &str, users: Range<u32>, status: &str) {
    let mut rows = "username,password_hash,status,permissions\n".to_owned();
    for number in users {
        let permissions = r#""[{""name"":""read""}]""#;
        writeln!(
            rows,
            "u{number}@acme.com,{QUICK_HASH},{status},{permissions}"
        )
        .unwrap();
    }
    several.place.write(name, rows);
}

fn import(name: &str) -> [&str; 5] {
    ["user", "import", name, "--org", "projectthanos"]
}

#[test]
#[ignore = "needs PostgreSQL"]
fn concurrent_imports_have_the_result_of_successive_ones() {
    let several = start();
    let files: [(&str, Range<u32>, &str); 5] = [
        ("large.csv", 0..MANY, "ACTIVE"),
        ("same.csv", 0..60, "DEACTIVATED"),
        ("again.csv", 0..60, "DEACTIVATED"),
        ("overlapping.csv", 30..90, "ACTIVE"),
        ("others.csv", MANY - 10..MANY + 10, "CONFIRMATION WAITING"),
    ];
    for (name, users, status) in files.clone() {
        write(&several, name, users, status);
    }
    let answers = several.logins_beside(&[JWEIR.to_owned()], || {
        at_once(files.len(), |number| several.run(&import(files[number].0)));
    });
    assert!(answers.iter().flatten().all(|answer| answer.status == 200));
    let counts = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM people),
                         (SELECT count(*) FROM permissions), (SELECT count(*) FROM permission_assignments)";
    let users = MANY + 10;
    assert_eq!(
        several.sql(counts),
        format!("{}|{}|1|{users}", users + 1, users + 1)
    );
    // All users of a group have the status from the same file.
    for (first, end) in [
        (0, 30),
        (30, 60),
        (60, 90),
        (90, MANY - 10),
        (MANY - 10, MANY),
        (MANY, MANY + 10),
    ] {
        let names: Vec<String> = (first..end)
            .map(|number| format!("'u{number}@acme.com'"))
            .collect();
        let statuses = format!(
            "SELECT count(DISTINCT status) FROM users WHERE username IN ({})",
            names.join(", ")
        );
        assert_eq!(several.sql(&statuses), "1", "{first}..{end}");
    }
    let counted = several.sql(
        "SELECT sum(counted.users) = (SELECT count(*) FROM users WHERE status = 'ACTIVE') FROM org_costs AS counted",
    );
    assert_eq!(counted, "t");
    several.assert_no_conflict();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn seeds_of_the_same_file_at_once_add_it_once() {
    let several = start();
    let users = (0..40).map(|number| accounts::user(&format!("u{number}@acme.com")));
    let fixture = json!({"organizations": [accounts::organization("Acme", users)]});
    several.place.write("acme.json", fixture.to_string());
    at_once(5, |_| several.run(&["seed", "acme.json"]));
    let counts = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM organizations),
                         (SELECT count(*) FROM events WHERE object = 'u7@acme.com')";
    assert_eq!(several.sql(counts), "41|2|1");
    several.assert_no_conflict();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn of_five_commands_that_add_the_same_user_one_succeeds_and_the_others_report_why_not() {
    let several = start();
    let add = [
        "user",
        "add",
        "jane@acme.com",
        "--org",
        "projectthanos",
        "--password-stdin",
    ];
    let finished = at_once(5, |_| {
        several
            .command(&add)
            .input("another long passphrase\n")
            .finish()
    });
    let (added, refused): (Vec<_>, Vec<_>) = finished.iter().partition(|it| it.code == Some(0));
    assert_eq!(added.len(), 1, "{finished:#?}");
    for it in refused {
        assert_eq!(it.code, Some(1), "{it:#?}");
        assert!(it.stderr.contains("jane@acme.com"), "{it:#?}");
    }
    several.assert_no_conflict();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn an_import_that_is_killed_leaves_nothing_and_keeps_nobody_waiting() {
    let several = start();
    write(&several, "large.csv", 0..5 * MANY, "ACTIVE");
    let locks = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";
    let mut import = several.command(&import("large.csv")).spawn();
    eventually("the import writes", || several.sql(locks) == "1");
    import.signal(Signal::KILL);
    assert_eq!(import.wait().code, None);
    several.run(&["user", "set", JWEIR, "--phone", "555"]);
    let counts = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM people),
                         (SELECT count(*) FROM permissions), (SELECT count(*) FROM imports)";
    assert_eq!(several.sql(counts), "1|1|0|0");
    several.assert_no_conflict();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn names_that_users_exchange_are_a_finding() {
    let several = Several::start(&accounts::retailer(["one", "two"].map(accounts::user)));
    let uuids = several.sql("SELECT uuid FROM users ORDER BY username");
    let others = uuids.lines().zip(["two", "one"]);
    let lines: Vec<String> = others
        .map(|(uuid, username)| json!({"uuid": uuid, "username": username}).to_string())
        .collect();
    several.place.write("exchanged.jsonl", lines.join("\n"));
    let refused = several
        .command(&["user", "import", "exchanged.jsonl"])
        .finish();
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stderr.contains("exchanged.jsonl"), "{refused:#?}");
    assert!(!refused.stderr.contains("continued after"), "{refused:#?}");
}
