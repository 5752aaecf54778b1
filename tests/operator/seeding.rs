//! `seed` and `user import` of a file that was loaded before: later changes of an operator stay.

use serde_json::{Value, json};

use super::{fails_with, json as printed_json, run};
use crate::harness::accounts::{self, JWEIR, PASSWORD, QUICK_HASH, organization, retailer};
use crate::harness::{Finished, Place};

const FIRST: &str = "violet kettle ninety";
const SECOND: &str = "ninety violet kettles";
const THIRD: &str = "kettles of ninety violets";
const UUID: &str = "3a7acb28-ab13-437e-8c35-46cf4f0bea49";
const CLEAR: &str = "clear@projectthanos.com";
const HASHED: &str = "hashed@projectthanos.com";

/// The commands that load a file.
const LOADS: [&[&str]; 2] = [
    &["seed", "accounts.json"],
    &["user", "import", "accounts.json", "--format", "fixture"],
];

/// Loads a file with an organization and these users; missing users are added.
#[track_caller]
fn load(place: &Place, command: &[&str], users: &[Value]) -> Finished {
    place.write("accounts.json", retailer(users.to_vec()).to_string());
    let load = place.program(command).env("THANOS_LOGIN_BCRYPT_COST", "10");
    load.finish().succeeded()
}

#[track_caller]
fn loaded(command: &[&str], users: &[Value]) -> Place {
    let place = Place::new();
    run(&place, &["init"]);
    load(&place, command, users);
    place
}

#[track_caller]
fn passwd(place: &Place, username: &str, password: &str) {
    let passwd = place
        .program(&["user", "passwd", username, "--password-stdin"])
        .env("THANOS_LOGIN_BCRYPT_COST", "10");
    passwd.input(password).finish().succeeded();
}

/// Whether this is the user's password in the database.
fn has_password(place: &Place, username: &str, password: &str) -> bool {
    let query = "SELECT password_hash FROM users WHERE username = ?1";
    let hash: String = place.sql().one(query, &[&username]);
    bcrypt::verify(password, &hash).unwrap()
}

fn clear(password: &str) -> Value {
    json!({"username": CLEAR, "password": password})
}

/// All rows of organizations, users and people.
fn everything(place: &Place) -> Vec<Vec<rusqlite::types::Value>> {
    let mut rows = place.dump();
    rows.extend(place.sql().rows("SELECT * FROM people ORDER BY id", &[]));
    rows
}

#[test]
fn the_same_file_again_undoes_nothing_that_an_operator_has_changed() {
    let users = [
        clear(FIRST),
        accounts::user(HASHED),
        json!({"username": "old", "password_hash": QUICK_HASH, "person": {"phone": "1"}}),
    ];
    for command in LOADS {
        let place = loaded(command, &users);
        passwd(&place, CLEAR, SECOND);
        passwd(&place, HASHED, SECOND);
        for args in [
            &["user", "set-status", HASHED, "DEACTIVATED"][..],
            &["user", "rename", "old", "new"],
            &["org", "set-status", "projectthanos", "DEACTIVATED"],
            &["org", "rename", "projectthanos", "Thanos"],
        ] {
            run(&place, args);
        }
        place
            .sql()
            .execute_batch(
                "UPDATE people SET email = 'changed@example.com', first_name = 'Ann';
                 UPDATE organizations SET created_date = 5, active_date = 6",
            )
            .unwrap();
        let before = everything(&place);
        for _ in 0..2 {
            let said = load(&place, command, &users).stdout;
            assert!(
                said.contains("users: 0 added, 0 changed, 3 unchanged"),
                "{said}"
            );
            assert!(everything(&place) == before, "{command:?}");
        }
        assert!(has_password(&place, CLEAR, SECOND) && has_password(&place, HASHED, SECOND));
    }
}

#[test]
fn a_password_that_the_file_has_changed_is_applied_once() {
    let hash = |password: &str| bcrypt::hash(password, 4).unwrap();
    let clear = |password: &str| json!({"username": CLEAR, "password": password});
    let hashed = |hash: &str| json!({"username": CLEAR, "password_hash": hash});
    let (first, second) = (hash(FIRST), hash(SECOND));
    for command in LOADS {
        for (before, after, password) in [
            (clear(FIRST), clear(SECOND), SECOND),
            (hashed(&first), hashed(&second), SECOND),
            (clear(FIRST), hashed(&second), SECOND),
            (hashed(&first), clear(SECOND), SECOND),
            // The password before the last one is applied too.
            (clear(SECOND), clear(FIRST), FIRST),
        ] {
            let place = loaded(command, std::slice::from_ref(&before));
            passwd(&place, CLEAR, THIRD);
            let said = load(&place, command, std::slice::from_ref(&after)).stdout;
            assert!(
                said.contains("users: 0 added, 1 changed, 0 unchanged"),
                "{said}"
            );
            assert!(has_password(&place, CLEAR, password), "{after}");
            passwd(&place, CLEAR, THIRD);
            load(&place, command, std::slice::from_ref(&after));
            assert!(has_password(&place, CLEAR, THIRD), "{after}");
            load(&place, command, std::slice::from_ref(&before));
            assert!(!has_password(&place, CLEAR, THIRD), "{before}");
        }
    }
}

#[test]
fn a_changed_password_that_the_user_has_already_ends_no_token() {
    for command in LOADS {
        let place = loaded(command, &[clear(FIRST)]);
        passwd(&place, CLEAR, SECOND);
        let server = place.serve(&[]);
        let token = server.login(CLEAR, SECOND).token();
        let said = load(&place, command, &[clear(SECOND)]).stdout;
        assert!(
            said.contains("users: 0 added, 0 changed, 1 unchanged"),
            "{said}"
        );
        assert!(place.holds_token(&token));
        // From now on it is recorded as the one that was loaded last.
        passwd(&place, CLEAR, THIRD);
        load(&place, command, &[clear(SECOND)]);
        assert!(has_password(&place, CLEAR, THIRD));
    }
}

#[test]
fn a_user_without_a_recorded_password_is_compared_with_the_current_one_once() {
    let rows = [
        (clear(FIRST), FIRST),
        (
            json!({"username": CLEAR, "password_hash": QUICK_HASH}),
            PASSWORD,
        ),
    ];
    for command in LOADS {
        for (user, password) in &rows {
            let users = std::slice::from_ref(user);
            let place = loaded(command, users);
            let forget = "UPDATE users SET loaded_hash_digest = NULL, loaded_password_hash = NULL";
            place.sql().execute(forget, &[]).unwrap();
            let server = place.serve(&["--bcrypt-cost", "10"]);
            let token = server.login(CLEAR, password).token();
            server.stop();
            // The login has replaced the hash, which had another cost.
            if *password == FIRST {
                load(&place, command, users);
                assert!(place.holds_token(&token), "{user}");
                passwd(&place, CLEAR, SECOND);
                load(&place, command, users);
                assert!(has_password(&place, CLEAR, SECOND), "{user}");
            }
            // Without a recorded password to compare with, the one in the file is applied.
            place.sql().execute(forget, &[]).unwrap();
            passwd(&place, CLEAR, THIRD);
            load(&place, command, users);
            assert!(has_password(&place, CLEAR, password), "{user}");
        }
    }
    let place = Place::new();
    run(&place, &["init"]);
    run(
        &place,
        &["org", "add", "projectthanos", "--type", "RETAILER"],
    );
    let add = [
        "user",
        "add",
        CLEAR,
        "--org",
        "projectthanos",
        "--password-stdin",
    ];
    let add = place.program(&add).env("THANOS_LOGIN_BCRYPT_COST", "10");
    add.input(FIRST).finish().succeeded();
    passwd(&place, CLEAR, SECOND);
    // This password does not come from a file, so it is not recorded as one that was loaded.
    load(&place, LOADS[0], &[clear(FIRST)]);
    assert!(has_password(&place, CLEAR, FIRST));
}

#[test]
fn an_export_that_is_imported_again_leaves_what_a_seed_is_compared_with() {
    let users = [clear(FIRST)];
    let place = loaded(LOADS[0], &users);
    passwd(&place, CLEAR, SECOND);
    for _ in 0..2 {
        run(&place, &["user", "export", "users.csv", "--force"]);
        run(&place, &["user", "import", "users.csv"]);
    }
    load(&place, LOADS[0], &users);
    assert!(has_password(&place, CLEAR, SECOND));
}

#[test]
fn users_with_a_uuid_stay_where_an_operator_has_moved_them_unless_the_file_names_an_organization() {
    let user = json!({"username": JWEIR, "password_hash": QUICK_HASH, "uuid": UUID});
    let place = Place::seeded(&json!({"organizations": [
        organization("one", [user.clone()]), organization("two", [])]}));
    let move_to_two = "UPDATE users SET username = 'moved',
                       org_id = (SELECT id FROM organizations WHERE name = 'two')";
    place.sql().execute(move_to_two, &[]).unwrap();
    let before = place.dump();
    let line = json!({"uuid": UUID, "password_hash": QUICK_HASH});
    place.write("users.jsonl", line.to_string());
    run(&place, &["user", "import", "users.jsonl"]);
    assert!(place.dump() == before);
    place
        .seed(&json!({"organizations": [organization("one", [user]), organization("two", [])]}))
        .succeeded();
    let is_back = "SELECT count(*) FROM users JOIN organizations ON organizations.id = org_id
                   WHERE name = 'one' AND username = 'jweir@projectthanos.com'";
    assert_eq!(place.number(is_back), 1);
}

#[test]
fn a_dry_run_of_a_seed_reports_and_changes_nothing() {
    let place = Place::new();
    let fixture = retailer([clear(FIRST), accounts::user(HASHED)]);
    place.write("accounts.json", fixture.to_string());
    let dry_run = ["seed", "accounts.json", "--dry-run", "--bcrypt-cost", "10"];
    let said = run(&place, &dry_run).stdout;
    let expected = "organizations: 1 would be added, 0 would be changed, 0 unchanged
users: 2 would be added, 0 would be changed, 0 unchanged\n";
    assert_eq!(said, expected);
    assert_eq!(place.files(""), ["accounts.json", "tmp"]);
    assert_eq!(place.files("tmp"), [""; 0]);

    let json_of = |args: &[&str]| {
        let args = [args, &["--json", "--bcrypt-cost", "10"]].concat();
        printed_json(&run(&place, &args))
    };
    let counts = |added: u8, changed: u8, unchanged: u8| json!({"added": added, "changed": changed, "unchanged": unchanged});
    assert_eq!(
        json_of(&["seed", "accounts.json"]),
        json!({"organizations": counts(1, 0, 0), "users": counts(2, 0, 0), "dry_run": false})
    );
    let before = everything(&place);
    let changed = retailer([clear(SECOND), accounts::user(HASHED)]);
    place.write("accounts.json", changed.to_string());
    assert_eq!(
        json_of(&["seed", "accounts.json", "--dry-run"]),
        json!({"organizations": counts(0, 0, 1), "users": counts(0, 1, 1), "dry_run": true})
    );
    assert!(everything(&place) == before);
}

#[test]
fn the_demo_accounts_are_added_to_others_only_on_request() {
    let seed = ["seed", "--bcrypt-cost", "10"];
    let place = Place::new();
    run(&place, &seed);
    // A renamed account is still a demo account.
    run(&place, &["user", "rename", JWEIR, "renamed"]);
    run(&place, &seed);
    assert_eq!(place.number("SELECT count(*) FROM users"), 5);

    for others in [retailer([accounts::user("own")]), retailer([])] {
        let place = Place::new();
        let own = others.to_string().replace("projectthanos", "Own");
        place.write("accounts.json", own);
        run(&place, &["seed", "accounts.json"]);
        let before = everything(&place);
        fails_with(&place, &seed, "--demo-accounts");
        fails_with(
            &place,
            &[&seed[..], &["--dry-run"]].concat(),
            "--demo-accounts",
        );
        assert!(everything(&place) == before);
        let all = run(&place, &[&seed[..], &["--demo-accounts"]].concat());
        assert!(all.stdout.contains("users: 5 added"), "{all:?}");
    }
    let both = place.run(&["seed", "accounts.json", "--demo-accounts"]);
    assert_eq!(both.code, Some(2), "{both:?}");
}
