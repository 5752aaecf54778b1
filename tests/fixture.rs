//! Fixtures: what is refused and with which path, and the effect of loading one again.

use serde_json::{Value, json};

use crate::harness::accounts::{JWEIR, PASSWORD, QUICK_HASH, organization, retailer, user};
use crate::harness::{Finished, Place, Server};

const UUID: &str = "3a7acb28-ab13-437e-8c35-46cf4f0bea49";
const OTHER_UUID: &str = "1d2e146c-a3df-4073-89c6-9ffc3061319c";
const SPARE_UUID: &str = "7c0a2f2e-1f5e-4c55-9a0c-3a5d1be6d1a1";
const TOKEN: &str = "a0f17278bed479ee719ea890b8caf0329e1f3e5b";

/// The JSON value with one of its keys set to `replacement`.
fn with(mut value: Value, key: &str, replacement: impl Into<Value>) -> Value {
    value[key] = replacement.into();
    value
}

fn without(mut value: Value, key: &str) -> Value {
    value.as_object_mut().unwrap().remove(key);
    value
}

/// The JSON path in each line of standard error: the text before the last colon that is a path.
fn paths(refused: &Finished) -> Vec<String> {
    refused
        .stderr
        .lines()
        .map(|line| {
            let start = line
                .find("organizations")
                .unwrap_or_else(|| panic!("no place in {line:?}"));
            line[start..].split(": ").next().unwrap().to_owned()
        })
        .collect()
}

#[track_caller]
fn assert_refused_at(label: &str, fixture: &str, expected: &[&str]) {
    let place = Place::new();
    place.run(&["init"]).succeeded();
    place.write("accounts.json", fixture);
    let refused = place.run(&["seed", "accounts.json"]);
    assert_eq!(refused.code, Some(1), "{label}: {refused:#?}");
    assert_eq!(refused.stdout, "", "{label}");
    assert_eq!(paths(&refused), expected, "{label}: {refused:#?}");
    assert_eq!(
        place.dump(),
        Vec::<Vec<_>>::new(),
        "{label}: something was written"
    );
}

#[test]
fn a_wrong_value_is_refused_with_its_path() {
    let of_user = |key: &str, value: Value| retailer([with(user(JWEIR), key, value)]);
    let of_org = |key: &str, value: Value| json!({"organizations": [with(organization("thanos", [user(JWEIR)]), key, value)]});
    let clear = |password: &str| retailer([json!({"username": JWEIR, "password": password})]);
    let org = "organizations[0]";
    let first = "organizations[0].users[0]";
    let rows = [
        (
            "an unknown key of an organization",
            of_org("colour", json!("red")),
            format!("{org}.colour"),
        ),
        (
            "an unknown key of a user",
            of_user("email", json!("x")),
            format!("{first}.email"),
        ),
        (
            "no list of organizations",
            json!({"organizations": {}}),
            "organizations".into(),
        ),
        (
            "an organization that is none",
            json!({"organizations": [5]}),
            org.into(),
        ),
        (
            "a name that is no string",
            of_org("name", json!(5)),
            format!("{org}.name"),
        ),
        (
            "a blank name",
            of_org("name", json!("")),
            format!("{org}.name"),
        ),
        (
            "no list of users",
            of_org("users", json!("nobody")),
            format!("{org}.users"),
        ),
        (
            "a user that is none",
            of_org("users", json!([null])),
            first.into(),
        ),
        (
            "an unknown org_type",
            of_org("org_type", json!("shop")),
            format!("{org}.org_type"),
        ),
        (
            "an unknown status of an organization",
            of_org("status", json!("CONFIRMATION WAITING")),
            format!("{org}.status"),
        ),
        (
            "an unknown status of a user",
            of_user("status", json!("PENDING")),
            format!("{first}.status"),
        ),
        (
            "a bad UUID of an organization",
            of_org("uuid", json!("x")),
            format!("{org}.uuid"),
        ),
        (
            "a bad UUID of a retailer",
            of_org("retailer_uuid", json!("")),
            format!("{org}.retailer_uuid"),
        ),
        (
            "a bad UUID of a user",
            of_user("uuid", json!("3a7acb28-ab13-437e-8c35")),
            format!("{first}.uuid"),
        ),
        (
            "a UUID that is a number",
            of_user("uuid", json!(5)),
            format!("{first}.uuid"),
        ),
        (
            "a supplier_uuid of a retailer",
            of_org("supplier_uuid", json!(UUID)),
            format!("{org}.supplier_uuid"),
        ),
        (
            "a bad date",
            of_org("created_date", json!("yesterday")),
            format!("{org}.created_date"),
        ),
        (
            "a token too short",
            of_user("auth_token", json!("a0f1")),
            format!("{first}.auth_token"),
        ),
        (
            "a token in capitals",
            of_user("auth_token", json!(TOKEN.to_uppercase())),
            format!("{first}.auth_token"),
        ),
        (
            "a blank username",
            of_user("username", json!("")),
            format!("{first}.username"),
        ),
        (
            "a username too long",
            of_user("username", json!("a".repeat(255))),
            format!("{first}.username"),
        ),
        (
            "a username with a NUL",
            of_user("username", json!("a\0b")),
            format!("{first}.username"),
        ),
        (
            "a password of 73 bytes",
            clear(&"a".repeat(73)),
            format!("{first}.password"),
        ),
        (
            "a password of 25 characters of 3 bytes",
            clear(&"€".repeat(25)),
            format!("{first}.password"),
        ),
        ("a blank password", clear(""), format!("{first}.password")),
        (
            "a password that is a number",
            retailer([json!({"username": JWEIR, "password": 5})]),
            format!("{first}.password"),
        ),
        (
            "a hash that is none",
            of_user("password_hash", json!("thanosrocks")),
            format!("{first}.password_hash"),
        ),
        (
            "a hash cut off",
            of_user("password_hash", json!(&QUICK_HASH[..59])),
            format!("{first}.password_hash"),
        ),
        (
            "a hash of another kind",
            of_user("password_hash", json!(QUICK_HASH.replace("$2b$", "$2x$"))),
            format!("{first}.password_hash"),
        ),
        (
            "a hash too cheap",
            of_user("password_hash", json!(QUICK_HASH.replace("$04$", "$03$"))),
            format!("{first}.password_hash"),
        ),
        (
            "a hash that is too expensive",
            of_user("password_hash", json!(QUICK_HASH.replace("$04$", "$16$"))),
            format!("{first}.password_hash"),
        ),
    ];
    for (label, fixture, expected) in rows {
        assert_refused_at(label, &fixture.to_string(), &[&expected]);
    }
    let refused = Place::new().seed(&json!({"organizations": [], "colour": "red"}));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("colour: "), "{refused:?}");
    let mut supplier = with(
        organization("thanos", [user(JWEIR)]),
        "org_type",
        "SUPPLIER",
    );
    supplier["retailer_uuid"] = json!(UUID);
    assert_refused_at(
        "a retailer_uuid of a supplier",
        &json!({"organizations": [supplier]}).to_string(),
        &["organizations[0].retailer_uuid"],
    );
}

#[test]
fn a_missing_key_is_named() {
    let org = organization("thanos", [user(JWEIR)]);
    let rows = [
        ("organizations", json!({})),
        (
            "name",
            json!({"organizations": [without(org.clone(), "name")]}),
        ),
        (
            "org_type",
            json!({"organizations": [without(org.clone(), "org_type")]}),
        ),
        ("users", json!({"organizations": [without(org, "users")]})),
        ("username", retailer([without(user(JWEIR), "username")])),
        (
            "password",
            retailer([without(user(JWEIR), "password_hash")]),
        ),
    ];
    for (name, fixture) in rows {
        let place = Place::new();
        let refused = place.seed(&fixture);
        assert_eq!(refused.code, Some(1), "{name}: {refused:?}");
        assert_eq!(refused.stderr.lines().count(), 1, "{name}: {refused:?}");
        assert!(refused.stderr.contains(name), "{name}: {refused:?}");
    }
}

#[test]
fn a_user_has_a_password_or_a_hash_and_not_both() {
    let both = with(user(JWEIR), "password", PASSWORD);
    let refused = Place::new().seed(&retailer([both]));
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        paths(&refused)[0].starts_with("organizations[0].users[0]"),
        "{refused:?}"
    );
}

#[test]
fn a_duplicate_key_is_refused_with_its_path() {
    let user = format!(r#"{{"username":"a","username":"a","password_hash":"{QUICK_HASH}"}}"#);
    let fixture =
        format!(r#"{{"organizations":[{{"name":"x","org_type":"RETAILER","users":[{user}]}}]}}"#);
    assert_refused_at(
        "of a user",
        &fixture,
        &["organizations[0].users[0].username"],
    );
    let fixture =
        r#"{"organizations":[{"name":"x","org_type":"RETAILER","\u006eame":"x","users":[]}]}"#;
    assert_refused_at(
        "of an organization, escaped",
        fixture,
        &["organizations[0].name"],
    );
    let fixture = r#"{"organizations":[],"organizations":[]}"#;
    assert_refused_at("of the file", fixture, &["organizations"]);
}

#[test]
fn a_duplicate_value_is_refused_at_its_second_occurrence() {
    let jweir = user(JWEIR);
    let two_users = |first: Value, second: Value| retailer([first, second]);
    let two_orgs = |key: &str| {
        json!({"organizations": [
            with(organization("one", []), key, UUID),
            with(organization("two", []), key, UUID.to_uppercase()),
        ]})
    };
    let second = "organizations[0].users[1]";
    let rows = [
        (
            "username",
            two_users(jweir.clone(), jweir.clone()),
            format!("{second}.username"),
        ),
        (
            "username in capitals",
            two_users(jweir.clone(), user(&JWEIR.to_uppercase())),
            format!("{second}.username"),
        ),
        (
            "username in another organization",
            json!({"organizations": [organization("one", [jweir.clone()]), organization("two", [jweir.clone()])]}),
            "organizations[1].users[0].username".into(),
        ),
        (
            "UUID of a user",
            two_users(with(user("a"), "uuid", UUID), with(user("b"), "uuid", UUID)),
            format!("{second}.uuid"),
        ),
        (
            "token",
            two_users(
                with(user("a"), "auth_token", TOKEN),
                with(user("b"), "auth_token", TOKEN),
            ),
            format!("{second}.auth_token"),
        ),
        (
            "UUID of an organization",
            two_orgs("uuid"),
            "organizations[1].uuid".into(),
        ),
        (
            "UUID of a retailer",
            two_orgs("retailer_uuid"),
            "organizations[1].retailer_uuid".into(),
        ),
    ];
    for (label, fixture, expected) in rows {
        let place = Place::new();
        let refused = place.seed(&fixture);
        assert_eq!(refused.code, Some(1), "{label}: {refused:#?}");
        assert!(paths(&refused).contains(&expected), "{label}: {refused:#?}");
    }
}

#[test]
fn a_value_that_another_row_of_the_database_has_is_refused() {
    let pinned = with(with(user(JWEIR), "auth_token", TOKEN), "uuid", UUID);
    let mut held = organization("one", [pinned]);
    held["retailer_uuid"] = json!(OTHER_UUID);
    let place = Place::seeded(&json!({"organizations": [held]}));
    let before = place.dump();
    let rows = [
        (
            "the username",
            retailer([with(user(&JWEIR.to_uppercase()), "uuid", SPARE_UUID)]),
            "organizations[0].users[0].username",
        ),
        (
            "the token",
            retailer([with(user("b"), "auth_token", TOKEN)]),
            "organizations[0].users[0].auth_token",
        ),
        (
            "the retailer_uuid",
            json!({"organizations": [with(organization("two", []), "retailer_uuid", OTHER_UUID)]}),
            "organizations[0].retailer_uuid",
        ),
    ];
    for (label, fixture, expected) in rows {
        let refused = place.seed(&fixture);
        assert_eq!(refused.code, Some(1), "{label}: {refused:#?}");
        assert!(
            paths(&refused).iter().any(|path| path == expected),
            "{label}: {refused:#?}"
        );
        assert_eq!(place.dump(), before, "{label}");
    }
}

#[test]
fn all_findings_are_reported_at_once_and_nothing_is_written() {
    let place = Place::seeded(&retailer([user(JWEIR)]));
    let before = place.dump();
    let fixture = json!({"organizations": [
        with(organization("one", [user("good"), json!({"username": "a", "password": "a".repeat(73), "uuid": "x"})]), "colour", "red"),
        with(organization("two", [json!({"username": "b"})]), "status", "SLEEPING"),
    ]});
    let refused = place.seed(&fixture);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    let mut found = paths(&refused);
    found.sort();
    assert_eq!(found.len(), 5, "{refused:#?}");
    for expected in [
        "organizations[0].colour",
        "organizations[0].users[1].password",
        "organizations[0].users[1].uuid",
        "organizations[1].status",
    ] {
        assert!(
            found.iter().any(|path| path == expected),
            "{expected}: {refused:#?}"
        );
    }
    assert!(
        found[4].starts_with("organizations[1].users[0]"),
        "{refused:#?}"
    );
    assert_eq!(place.dump(), before);
    assert!(
        !refused.stderr.contains(&"a".repeat(73)),
        "a password is shown"
    );
}

#[test]
fn a_file_that_is_not_a_fixture_is_refused_in_one_line_that_names_it() {
    for (label, content) in [
        ("empty", &b""[..]),
        ("no JSON", b"organizations: []"),
        ("cut off", br#"{"organizations": ["#),
        ("not UTF-8", b"{\"organizations\": [\"\xff\"]}"),
        ("deep", &b"[".repeat(100_000)),
    ] {
        let place = Place::new();
        place.run(&["init"]).succeeded();
        place.write("accounts.json", content);
        place
            .run(&["seed", "accounts.json"])
            .failed_naming(label, "accounts.json");
        assert_eq!(place.number("SELECT count(*) FROM users"), 0, "{label}");
    }
    let place = Place::new();
    place
        .run(&["seed", "nowhere.json"])
        .failed_naming("missing", "nowhere.json");
    place
        .run(&["seed", "tmp"])
        .failed_naming("a directory", "tmp");
    assert_eq!(place.files(""), ["tmp"]);
}

#[test]
fn seed_without_a_file_loads_the_demo_accounts_and_makes_the_database() {
    let place = Place::new();
    place.run(&["seed", "--bcrypt-cost", "10"]).succeeded();
    assert_eq!(place.number("SELECT count(*) FROM users"), 5);
    assert_eq!(place.number("SELECT count(*) FROM organizations"), 3);
    assert_eq!(
        place.number("SELECT count(*) FROM users WHERE cost = 10"),
        5
    );
    let server = place.serve(&[]);
    assert_eq!(server.login(JWEIR, PASSWORD).token(), TOKEN);
    assert_eq!(
        server
            .login("supplier@projectthanos.com", "thanossupplies")
            .status,
        200
    );
    assert_eq!(
        server.login("waiting@projectthanos.com", PASSWORD).status,
        403
    );
}

#[test]
fn the_same_fixture_again_changes_nothing() {
    let place = Place::new();
    let users = [
        json!({"username": "clear", "password": "in clear"}),
        with(user("hashed"), "auth_token", TOKEN),
        with(user("waiting"), "status", "CONFIRMATION WAITING"),
    ];
    let fixture = retailer(users);
    place.seed(&fixture).succeeded();
    let server = place.serve(&[]);
    server.login("clear", "in clear").token();
    server.login("hashed", PASSWORD).token();
    server.stop();
    let before = place.dump();
    place.seed(&fixture).succeeded();
    assert_eq!(place.dump(), before);
}

#[test]
fn a_changed_fixture_updates() {
    let org = |status: &str, org_type: &str| {
        let users = [with(user(JWEIR), "uuid", UUID)];
        let org = with(organization("thanos", users), "status", status);
        json!({"organizations": [with(org, "org_type", org_type)]})
    };
    let place = Place::seeded(&org("ACTIVE", "RETAILER"));
    let server = place.serve(&[]);
    assert_eq!(server.login(JWEIR, PASSWORD).field("org_type"), "RETAILER");
    place.seed(&org("ACTIVE", "SUPPLIER")).succeeded();
    let answer = server.login(JWEIR, PASSWORD);
    assert_eq!(
        (
            answer.field("org_type").as_str(),
            answer.field("retailer_uuid").as_str()
        ),
        ("SUPPLIER", "")
    );
    place.seed(&org("PENDING", "SUPPLIER")).succeeded();
    assert_eq!(server.login(JWEIR, PASSWORD).status, 403);

    let renamed = with(user("renamed"), "uuid", UUID);
    place.seed(&retailer([renamed])).succeeded();
    assert_eq!(server.login(JWEIR, PASSWORD).status, 401);
    assert_eq!(server.login("renamed", PASSWORD).field("user_uuid"), UUID);
}

#[test]
fn a_changed_password_or_status_ends_the_tokens_of_that_user_only() {
    let clear = |password: &str| json!({"username": JWEIR, "password": password});
    let rows = [
        ("another password", clear("one"), clear("two"), "one"),
        ("another hash", user(JWEIR), clear("two"), PASSWORD),
        (
            "another status",
            user(JWEIR),
            with(user(JWEIR), "status", "DEACTIVATED"),
            PASSWORD,
        ),
    ];
    for (label, before, after, password) in rows {
        let other = user("other");
        let place = Place::seeded(&retailer([before, other.clone()]));
        let server = place.serve(&[]);
        let ended = server.login(JWEIR, password).token();
        let kept = server.login("other", PASSWORD).token();
        place.seed(&retailer([after, other])).succeeded();
        assert!(!place.holds_token(&ended), "{label}");
        assert!(place.holds_token(&kept), "{label}");
        assert_ne!(server.login(JWEIR, password).status, 200, "{label}");
    }
}

#[test]
fn users_absent_from_the_file_stay() {
    let place = Place::seeded(&retailer([user(JWEIR), user("other")]));
    place.seed(&retailer([user("other")])).succeeded();
    place.seed(&json!({"organizations": []})).succeeded();
    let server = place.serve(&[]);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    assert_eq!(server.login("other", PASSWORD).status, 200);
}

#[test]
fn a_user_that_the_file_has_in_another_organization_is_moved() {
    let jweir = with(user(JWEIR), "uuid", UUID);
    let orgs = |first: Vec<Value>, second: Vec<Value>| json!({"organizations": [organization("one", first), organization("two", second)]});
    let place = Place::seeded(&orgs(vec![jweir.clone()], vec![]));
    let server = place.serve(&[]);
    let before = server.login(JWEIR, PASSWORD);
    place.seed(&orgs(vec![], vec![jweir])).succeeded();
    let after = server.login(JWEIR, PASSWORD);
    assert_eq!(after.field("user_uuid"), before.field("user_uuid"));
    assert_ne!(after.field("org_uuid"), before.field("org_uuid"));
    assert_eq!(place.number("SELECT count(*) FROM users"), 1);
}

#[test]
fn missing_uuids_are_derived_from_the_names_and_always_the_same() {
    let fixture = json!({"organizations": [
        organization("one", [user("a"), user("b")]),
        with(organization("two", [user("c")]), "org_type", "SUPPLIER"),
    ]});
    let uuids = |server: &Server| -> Vec<String> {
        ["a", "b", "c"]
            .iter()
            .flat_map(|username| {
                let answer = server.login(username, PASSWORD);
                ["org_uuid", "user_uuid", "retailer_uuid", "supplier_uuid"]
                    .map(|key| answer.field(key))
            })
            .filter(|uuid| !uuid.is_empty())
            .collect()
    };
    let first = uuids(&Place::new().serve_demo(&fixture, &[]));
    let second = uuids(&Place::new().serve_demo(&fixture, &[]));
    let real = uuids(&Place::seeded(&fixture).serve(&[]));
    assert_eq!(first, second);
    assert_eq!(first, real);
    assert_eq!(first.len(), 9);
    let distinct: std::collections::HashSet<&String> = first.iter().collect();
    // The first two users have the same organization, and so the same retailer.
    assert_eq!(distinct.len(), 7, "{first:?}");
    for uuid in &first {
        assert_eq!(
            uuid::Uuid::parse_str(uuid).unwrap().get_version_num(),
            5,
            "{uuid}"
        );
    }
}

#[test]
fn every_kind_of_hash_logs_in() {
    let users = ["$2a$", "$2b$", "$2y$"]
        .map(|kind| json!({"username": kind, "password_hash": QUICK_HASH.replace("$2b$", kind)}));
    let server = Place::new().serve_demo(&retailer(users), &[]);
    for kind in ["$2a$", "$2b$", "$2y$"] {
        assert_eq!(server.login(kind, PASSWORD).status, 200, "{kind}");
        assert_eq!(server.login(kind, "wrong").status, 401, "{kind}");
    }
}

#[test]
fn an_empty_demo_serves_and_has_no_accounts() {
    for fixture in [json!({"organizations": []}), retailer([])] {
        let server = Place::new().serve_demo(&fixture, &[]);
        assert_eq!(server.login(JWEIR, PASSWORD).status, 401);
    }
}

#[test]
fn a_seeded_server_never_learns_passwords_in_clear() {
    let place = Place::seeded(&retailer([
        json!({"username": JWEIR, "password": "in clear"}),
    ]));
    let bytes = place.stored();
    assert!(!bytes.windows(8).any(|window| window == b"in clear"));
    assert_eq!(place.serve(&[]).login(JWEIR, "in clear").status, 200);
}
