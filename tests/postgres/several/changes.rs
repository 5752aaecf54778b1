//! Changes of a user by commands while servers log that user in.

use serde_json::json;

use super::{SERVERS, SLOW_LOGINS, Several, at_once, call, is_good};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, eventually};

/// A username, and a command that changes something that a login of that user depends on.
const CHANGES: [(&str, &[&str]); 5] = [
    (
        "passwd",
        &[
            "user",
            "passwd",
            "passwd",
            "--password-stdin",
            "--bcrypt-cost",
            "10",
        ],
    ),
    ("status", &["user", "set-status", "status", "DEACTIVATED"]),
    ("rename", &["user", "rename", "rename", "renamed"]),
    ("delete", &["user", "delete", "delete", "--yes"]),
    ("import", &["user", "import", "import.jsonl"]),
];

fn tokens(answers: &[Answer]) -> Vec<String> {
    let successes = answers.iter().filter(|answer| answer.status == 200);
    successes.map(Answer::token).collect()
}

#[test]
#[ignore = "needs PostgreSQL"]
fn no_token_from_before_a_change_outlives_it() {
    let users = CHANGES.map(|(username, _)| accounts::user(username));
    let several = Several::start(&accounts::retailer(users));
    several.sql(SLOW_LOGINS);
    let deactivated =
        json!({"username": "import", "status": "DEACTIVATED", "org": "projectthanos"});
    several.place.write("import.jsonl", deactivated.to_string());
    for (username, change) in CHANGES {
        let [before, meanwhile, after] = several.logins_beside(&[username.to_owned()], || {
            let command = several.command(change).input("another long passphrase\n");
            command.finish().succeeded();
        });
        assert!(
            before
                .iter()
                .chain(&meanwhile)
                .all(|answer| answer.status < 500),
            "{username}: {meanwhile:?}"
        );
        assert!(
            after
                .iter()
                .all(|answer| (400..500).contains(&answer.status)),
            "{username}: {after:?}"
        );
        assert_eq!(
            several.sql("SELECT count(*) FROM tokens"),
            "0",
            "{username}"
        );
    }
    several.assert_no_conflict();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn no_token_counts_while_its_organization_is_deactivated() {
    let several = Several::start(&accounts::retailer([accounts::user(JWEIR)]));
    several.sql(SLOW_LOGINS);
    let [before, meanwhile, after] = several.logins_beside(&[JWEIR.to_owned()], || {
        several.run(&["org", "set-status", "projectthanos", "DEACTIVATED"]);
    });
    assert!(
        before
            .iter()
            .chain(&meanwhile)
            .all(|answer| answer.status < 500),
        "{meanwhile:?}"
    );
    assert!(after.iter().all(|answer| answer.status == 403), "{after:?}");
    for token in tokens(&before).iter().chain(&tokens(&meanwhile)) {
        assert!(!is_good(&several, token));
    }
    several.assert_no_conflict();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn tokens_that_are_ended_while_the_user_logs_in_are_ended() {
    let fixture = accounts::retailer([accounts::user(JWEIR)]);
    let several = Several::start_with(&fixture, &["--max-tokens-per-user=10000"]);
    several.sql(SLOW_LOGINS);
    let end_all = "/api/organizations/user-logout-all/";
    for round in 0..6 {
        let mine = several.servers[round % 5].login(JWEIR, PASSWORD).token();
        let [before, meanwhile, after] = several.logins_beside(&[JWEIR.to_owned()], || {
            if round % 2 == 0 {
                several.run(&["token", "revoke", "--user", JWEIR]);
            } else {
                let token = several.servers[0].login(JWEIR, PASSWORD).token();
                let answers = at_once(5, |number| {
                    several.servers[number]
                        .send(call("POST", end_all, &token))
                        .status
                });
                assert!(answers.contains(&204), "{answers:?}");
                assert!(
                    answers.iter().all(|status| [204, 401].contains(status)),
                    "{answers:?}"
                );
            }
        });
        let all = [&before, &meanwhile, &after];
        assert!(all.into_iter().flatten().all(|answer| answer.status == 200));
        // The last login on each server before the tokens were ended may have been answered afterwards.
        let answered_before = tokens(&before);
        let alive = answered_before
            .iter()
            .filter(|token| is_good(&several, token))
            .count();
        assert!(alive <= SERVERS, "{alive} of {}", answered_before.len());
        assert!(!is_good(&several, &mine));
    }
    several.assert_no_conflict();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn each_unlock_of_a_user_who_is_logging_in_takes_effect() {
    let several = Several::start(&accounts::retailer([accounts::user(JWEIR)]));
    several.sql(SLOW_LOGINS);
    let unlocks = || {
        several
            .sql("SELECT unlocks FROM users")
            .parse::<i64>()
            .unwrap()
    };
    let before = unlocks();
    let answers = several.logins_beside(&[JWEIR.to_owned()], || {
        at_once(5, |_| several.run(&["user", "unlock", JWEIR]));
    });
    assert!(answers.iter().flatten().all(|answer| answer.status == 200));
    assert_eq!(unlocks() - before, 5);
    several.assert_no_conflict();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn concurrent_changes_of_different_fields_of_a_user_all_take_effect() {
    let fixture = json!({"organizations": [
        accounts::organization("one", [accounts::user(JWEIR)]),
        accounts::organization("two", []),
    ]});
    let several = Several::start(&fixture);
    let changes: [&[&str]; 6] = [
        &["user", "set", JWEIR, "--first-name", "Jonathan"],
        &["user", "set", JWEIR, "--last-name", "Weir"],
        &["user", "set", JWEIR, "--phone", "555"],
        &["user", "set", JWEIR, "--permission", "read"],
        &["user", "move", JWEIR, "--org", "two"],
        &[
            "org",
            "set",
            "two",
            "--account-manager-email",
            "manager@two.example",
        ],
    ];
    let answers = several.logins_beside(&[JWEIR.to_owned()], || {
        at_once(changes.len(), |number| several.run(changes[number]));
    });
    assert!(answers.iter().flatten().all(|answer| answer.status == 200));
    let row = several.sql(
        "SELECT first_name, last_name, phone, organizations.name,
                (SELECT count(*) FROM permission_assignments), account_manager_id IS NOT NULL
         FROM users JOIN people ON people.id = person_id JOIN organizations ON organizations.id = org_id",
    );
    assert_eq!(row, "Jonathan|Weir|555|two|1|t");
    several.assert_no_conflict();
    eventually("the costs are counted", || {
        several.sql("SELECT name, cost, users FROM org_costs JOIN organizations ON id = org_id WHERE users > 0") == "two|10|1"
    });
}
