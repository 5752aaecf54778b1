//! `events list` and `user history`: they contain every change by a command with its actor, and no secret.

use std::process::Command;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{fails_with, json_lines, run};
use crate::harness::accounts::{self, JWEIR};
use crate::harness::{Finished, Place};

const GOOD: &str = "violet kettle ninety";

/// A pinned token, which no login has issued.
const TOKEN: &str = "a0f17278bed479ee719ea890b8caf0329e1f3e5b";

fn events(place: &Place, args: &[&str]) -> Vec<Value> {
    json_lines(&run(place, &[args, &["--json"]].concat()))
}

fn texts(event: &Value, keys: &[&str]) -> Vec<String> {
    let text = |key: &&str| event[*key].as_str().unwrap_or("-").to_owned();
    keys.iter().map(text).collect()
}

/// The name of the system user who runs the tests.
fn own_name() -> String {
    let name = Command::new("id").arg("-un").output().unwrap().stdout;
    String::from_utf8(name).unwrap().trim().to_owned()
}

/// Runs a command in the environment that sudo sets, with a good password on standard input.
fn run_by_sudo(place: &Place, args: &[&str]) -> Finished {
    let program = place.program(args).input(GOOD);
    program
        .env("SUDO_USER", "alice")
        .env("THANOS_LOGIN_BCRYPT_COST", "10")
        .finish()
}

#[test]
fn every_command_that_changes_something_leaves_its_events_and_no_other_does() {
    let place = Place::new();
    place.write(
        "users.csv",
        "username,status,org,password\njo@acme.com,ACTIVE,,\nnew@acme.com,,Best,kettle of ninety\n",
    );
    place.write(
        "more.csv",
        "username,org,password\nmore@acme.com,Best,kettle of ninety\n",
    );
    let fixture = json!({"organizations": [accounts::organization("seeded", [accounts::user("eve@acme.com")])]});
    place.write("seeded.json", fixture.to_string());
    let tokens = |expires_at: &str, count: u32| {
        let token = format!(
            "INSERT INTO tokens (digest, user_id, issued_at, expires_at)
             SELECT randomblob(32), id, 0, {expires_at} FROM users WHERE username = 'jo@acme.com'"
        );
        (0..count).for_each(|_| assert_eq!(place.sql().execute(&token, &[]).unwrap(), 1));
    };
    let none: &[[&str; 3]] = &[];
    type Step<'s> = (&'s [&'s str], &'s [[&'s str; 3]]);
    let steps: &[Step<'_>] = &[
        (&["init"], none),
        (
            &["org", "add", "Acme", "--type", "RETAILER"],
            &[["Acme", "-", "ACTIVE"]],
        ),
        (&["org", "add", "Acme", "--type", "RETAILER"], none),
        (
            &[
                "user",
                "add",
                "jane@acme.com",
                "--org",
                "Acme",
                "--password-stdin",
            ],
            &[["jane@acme.com", "-", "ACTIVE"]],
        ),
        (
            &[
                "user",
                "add",
                "jane@acme.com",
                "--org",
                "Acme",
                "--password-stdin",
            ],
            none,
        ),
        (
            &["user", "passwd", "jane@acme.com", "--password-stdin"],
            &[["jane@acme.com", "-", "-"]],
        ),
        (
            &["user", "set-status", "jane@acme.com", "DEACTIVATED"],
            &[["jane@acme.com", "ACTIVE", "DEACTIVATED"]],
        ),
        (
            &["user", "set-status", "jane@acme.com", "DEACTIVATED"],
            none,
        ),
        (
            &["user", "rename", "jane@acme.com", "jo@acme.com"],
            &[["jane@acme.com", "jane@acme.com", "jo@acme.com"]],
        ),
        (&["user", "rename", "jo@acme.com", "jo@acme.com"], none),
        (
            &["user", "unlock", "jo@acme.com"],
            &[["jo@acme.com", "-", "-"]],
        ),
        (
            &["org", "rename", "Acme", "Best"],
            &[["Acme", "Acme", "Best"]],
        ),
        (&["org", "rename", "Best", "Best"], none),
        (
            &["org", "set-status", "Best", "PENDING"],
            &[["Best", "ACTIVE", "PENDING"]],
        ),
        (&["org", "set-status", "Best", "PENDING"], none),
        (
            &["token", "revoke", "--user", "jo@acme.com"],
            &[["jo@acme.com", "-", "2 tokens ended"]],
        ),
        (&["token", "revoke", "--user", "jo@acme.com"], none),
        (&["token", "revoke", "00000000"], none),
        (
            &["token", "purge"],
            &[["-", "-", "1 expired token removed"]],
        ),
        (&["token", "purge"], none),
        (
            &["user", "import", "users.csv", "--no-policy"],
            &[
                ["jo@acme.com", "DEACTIVATED", "ACTIVE"],
                ["new@acme.com", "-", "ACTIVE"],
                ["users.csv", "-", "1 user added, 1 user changed"],
            ],
        ),
        (&["user", "import", "users.csv", "--no-policy"], none),
        (&["user", "import", "more.csv", "--dry-run"], none),
        (
            &["seed", "seeded.json"],
            &[
                ["seeded", "-", "ACTIVE"],
                ["eve@acme.com", "-", "ACTIVE"],
                ["seeded.json", "-", "1 organization and 1 user added"],
            ],
        ),
        (&["user", "delete", "nobody"], none),
        (
            &["user", "delete", "new@acme.com", "--yes"],
            &[["new@acme.com", "ACTIVE", "-"]],
        ),
        (&["org", "delete", "Best", "--yes"], none),
        (
            &["org", "delete", "Best", "--with-users", "--yes"],
            &[["jo@acme.com", "ACTIVE", "-"], ["Best", "PENDING", "-"]],
        ),
        (&["user", "list"], none),
        (&["user", "export"], none),
        (&["check"], none),
        (&["backup", "copy.db"], none),
        (
            &["restore", "copy.db", "--force"],
            &[["copy.db", "1 user", "1 user"]],
        ),
    ];
    let actor = format!("alice via {}", own_name());
    // Only databases in files have `backup` and `restore`.
    let backups = steps.len() - 2;
    let steps = if place.url().is_some() {
        &steps[..backups]
    } else {
        steps
    };
    let mut before = 0;
    for (args, expected) in steps {
        if args.starts_with(&["token"]) && !expected.is_empty() {
            tokens("NULL", if args[1] == "revoke" { 2 } else { 0 });
            tokens("1", if args[1] == "purge" { 1 } else { 0 });
        }
        let finished = run_by_sudo(&place, args);
        let all = events(&place, &["events", "list"]);
        let added = &all[before..];
        let shown: Vec<Vec<String>> = added
            .iter()
            .map(|event| texts(event, &["object", "before", "after"]))
            .collect();
        assert_eq!(shown, *expected, "{args:?}: {finished:#?}");
        let command = match args[0] {
            alone @ ("seed" | "restore") => alone.to_owned(),
            _ => args[..2.min(args.len())].join(" "),
        };
        for event in added {
            assert_eq!(
                texts(event, &["action", "actor", "outcome"]),
                [&command, &actor, "-"],
                "{event}"
            );
            assert!(event["time"].is_string() && event["times"] == 1, "{event}");
            let object = event["object"].as_str().unwrap_or("");
            let is_user = object.contains('@');
            let is_org = is_user || ["Acme", "Best", "seeded"].contains(&object);
            assert_eq!(
                (
                    event["user_uuid"].is_string(),
                    event["org_uuid"].is_string()
                ),
                (is_user, is_org),
                "{event}"
            );
        }
        before = all.len();
    }
    let shown = run(&place, &["events", "list", "--json"]).stdout;
    for secret in [GOOD, "kettle of ninety", "$2b$"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let change = place
        .sql()
        .execute("UPDATE events SET actor = 'somebody'", &[])
        .unwrap_err();
    assert_eq!(change, "an event is never changed");
}

#[test]
fn an_import_records_what_it_changes_and_no_secret() {
    let place = Place::seeded(&json!({"organizations": [
        accounts::organization("projectthanos", [accounts::user(JWEIR)]),
        accounts::organization("other", []),
    ]}));
    let uuid: String = place.sql().one("SELECT uuid FROM users", &[]);
    let users = json!({
        "uuid": uuid, "username": "james@projectthanos.com", "org": "other", "status": "DEACTIVATED",
        "password": GOOD, "auth_token": TOKEN, "person": {"phone": "1"},
        "permissions": [{"name": "sell"}],
    });
    place.write("users.jsonl", users.to_string());
    let seeded = events(&place, &["events", "list"]).len();
    run(
        &place,
        &["user", "import", "users.jsonl", "--bcrypt-cost", "10"],
    );
    let renamed = json!({"organizations": [{
        "name": "new name", "org_type": "RETAILER", "status": "PENDING", "users": [],
        "active_date": "2026-01-02T00:00:00Z", "account_manager": {"phone": "2"},
        "uuid": run(&place, &["org", "show", "other", "--json"]).stdout.split('"').nth(3).unwrap(),
    }]});
    place.write("renamed.json", renamed.to_string());
    run(
        &place,
        &["user", "import", "renamed.json", "--format", "fixture"],
    );
    let mut managed = renamed;
    managed["organizations"][0]["account_manager"]["phone"] = json!("3");
    place.write("renamed.json", managed.to_string());
    run(
        &place,
        &["user", "import", "renamed.json", "--format", "fixture"],
    );
    let noted: Vec<Vec<String>> = events(&place, &["events", "list"])[seeded..]
        .iter()
        .map(|event| texts(event, &["object", "before", "after"]))
        .collect();
    let expected = [
        [JWEIR, "phone -", "phone 1"],
        [JWEIR, "-", "other permissions"],
        [JWEIR, "org projectthanos", "org other"],
        [
            JWEIR,
            "username jweir@projectthanos.com",
            "username james@projectthanos.com",
        ],
        [JWEIR, "ACTIVE", "DEACTIVATED"],
        [JWEIR, "-", "another password"],
        ["users.jsonl", "-", "1 user changed"],
        ["other", "-", "an account manager"],
        ["other", "name other", "name new name"],
        ["other", "ACTIVE", "PENDING"],
        ["other", "active_date -", "active_date 2026-01-02T00:00:00Z"],
        ["renamed.json", "-", "1 organization changed"],
        [
            "new name",
            "account_manager.phone 2",
            "account_manager.phone 3",
        ],
        ["renamed.json", "-", "1 organization changed"],
    ];
    assert_eq!(noted, expected);
    let shown = run(&place, &["events", "list", "--json"]).stdout;
    for secret in [GOOD, TOKEN, "$2b$"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_user_who_is_seeded_again_after_being_deleted_has_a_history_that_says_so() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    run(&place, &["user", "delete", JWEIR, "--yes"]);
    place
        .seed(&accounts::retailer([accounts::user(JWEIR)]))
        .succeeded();
    let history: Vec<Vec<String>> = events(&place, &["user", "history", JWEIR])
        .iter()
        .map(|event| texts(event, &["action", "before", "after"]))
        .collect();
    let expected = [
        ["seed", "-", "ACTIVE"],
        ["user delete", "ACTIVE", "-"],
        ["seed", "-", "ACTIVE"],
    ];
    assert_eq!(history, expected);
}

#[test]
fn the_actor_is_the_system_user_or_its_number() {
    let place = Place::new();
    run(&place, &["init"]);
    let add = |name: &str| place.program(&["org", "add", name, "--type", "RETAILER"]);
    add("a").env("SUDO_USER", "").finish().succeeded();
    let own = own_name();
    add("b").env("SUDO_USER", &own).finish().succeeded();
    let mut expected = vec![own.clone(), own];
    if rustix::process::getuid().is_root() {
        place.give_to(54_321);
        let nobody_of_the_list = [
            "setpriv",
            "--reuid=54321",
            "--regid=54321",
            "--clear-groups",
        ];
        add("c")
            .env("SUDO_USER", "")
            .under(&nobody_of_the_list)
            .finish()
            .succeeded();
        expected.push("54321".to_owned());
    }
    let actors: Vec<String> = events(&place, &["events", "list"])
        .iter()
        .map(|event| event["actor"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(actors, expected);
}

/// A database with the events 0 to 2499, one per second up to now, of which every tenth is about the user.
fn eventful() -> Place {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let sql = place.sql();
    sql.execute_batch("DELETE FROM events").unwrap();
    let now = Timestamp::now().as_microsecond();
    sql.execute(
        "WITH RECURSIVE numbers (number) AS (SELECT 0 UNION ALL SELECT number + 1 FROM numbers WHERE number < 2499)
         INSERT INTO events (time, action, outcome, address, object, user_uuid)
         SELECT ?1 - (2499 - number) * CAST(1000000 AS BIGINT), 'login', 'failed', '192.0.2.7', 'o' || number,
                iif(number % 10 = 0, (SELECT uuid FROM users), NULL) FROM numbers",
        &[&now],
    )
    .unwrap();
    place
}

#[test]
fn events_are_listed_in_pages_from_either_end_and_only_those_asked_for() {
    let place = eventful();
    let listed = |args: &[&str]| -> Vec<String> {
        let args = [&["events", "list"], args].concat();
        let objects = events(&place, &args);
        objects
            .iter()
            .map(|event| event["object"].as_str().unwrap().to_owned())
            .collect()
    };
    let objects = |numbers: &mut dyn Iterator<Item = u32>| -> Vec<String> {
        numbers.map(|number| format!("o{number}")).collect()
    };
    assert_eq!(listed(&[]), objects(&mut (0..2500)));
    assert_eq!(listed(&["--reverse"]), objects(&mut (0..2500).rev()));
    assert_eq!(listed(&["--limit", "1001"]), objects(&mut (0..1001)));
    assert_eq!(listed(&["--reverse", "--limit", "2"]), ["o2499", "o2498"]);
    assert_eq!(listed(&["--limit", "0"]), [""; 0]);
    let tenths = objects(&mut (0..2500).step_by(10));
    assert_eq!(listed(&["--user", JWEIR]), tenths);
    let history = events(
        &place,
        &["user", "history", JWEIR, "--reverse", "--limit", "1"],
    );
    assert_eq!(history[0]["object"], "o2490");

    let since = |text: &str| listed(&["--since", text]).len();
    let time_of = |number: usize| {
        let event = &events(&place, &["events", "list"])[number];
        event["time"].as_str().unwrap().to_owned()
    };
    assert_eq!(since(&time_of(2000)), 500);
    assert_eq!(since("1d"), 2500);
    assert_eq!(since("2020-01-01"), 2500);
    assert_eq!(since("2999-01-01T12:00:00"), 0);
    assert!(since("1000s") < 1100);
    for wrong in [
        "yesterday",
        "",
        "2026-13-01",
        "1mo",
        "2026-01-01T00:00[Europe/Paris]",
    ] {
        place
            .run(&["events", "list", "--since", wrong])
            .was_wrong_usage(wrong);
    }

    let table = run(&place, &["events", "list", "--reverse"]).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2501, "one line of headings");
    let headings: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(
        headings,
        [
            "TIME",
            "ACTION",
            "OUTCOME",
            "TIMES",
            "USER/OBJECT",
            "ADDRESS",
            "ACTOR",
            "BEFORE",
            "AFTER"
        ]
    );
    let cells: Vec<&str> = lines[1].split_whitespace().collect();
    assert!(cells[0].ends_with('Z') && cells[0].len() == 20, "{cells:?}");
    assert_eq!(
        cells[1..],
        ["login", "failed", "1", "o2499", "192.0.2.7", "-", "-", "-"]
    );
}

#[test]
fn a_deleted_user_has_a_history() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let add = |username: &str| {
        let args = [
            "user",
            "add",
            username,
            "--org",
            "projectthanos",
            "--password-stdin",
            "--json",
        ];
        let added = run_by_sudo(&place, &args).succeeded();
        json_lines(&added)[0]["uuid"].as_str().unwrap().to_owned()
    };
    let actions = |name: &str| -> Vec<String> {
        let history = events(&place, &["user", "history", name]);
        history
            .iter()
            .map(|event| event["action"].as_str().unwrap().to_owned())
            .collect()
    };
    let uuid = add("jane@acme.com");
    run(&place, &["user", "rename", "jane@acme.com", "Jo@acme.com"]);
    assert_eq!(
        actions("jane@acme.com"),
        ["user add", "user rename"],
        "by what it was called"
    );
    run(&place, &["user", "delete", "jo@acme.com", "--yes"]);
    let all = ["user add", "user rename", "user delete"];
    for name in [
        "jane@acme.com",
        " JO@ACME.com ",
        &uuid,
        &uuid.to_uppercase(),
    ] {
        assert_eq!(actions(name), all, "{name}");
    }
    assert_eq!(
        events(&place, &["events", "list", "--user", &uuid]).len(),
        3
    );
    // A new user of the same name is listed first; then there are two users of that name.
    let next = add("jane@acme.com");
    assert_eq!(actions("jane@acme.com"), ["user add"]);
    run(&place, &["user", "delete", "jane@acme.com", "--yes"]);
    fails_with(&place, &["user", "history", "jane@acme.com"], &uuid);
    fails_with(&place, &["user", "history", "jane@acme.com"], &next);
    assert_eq!(actions(&next), ["user add", "user delete"]);
    let wrong = JWEIR.replace("jweir", "jwier");
    fails_with(
        &place,
        &["user", "history", &wrong],
        &format!("did you mean {JWEIR:?}"),
    );
}
