//! `org`, `user` and `token`: adding, listing, showing and changing, beside a running server.

use serde_json::json;

use super::{fails_with, json, json_lines, run};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Place, request};

const GOOD: &str = "violet kettle ninety";

/// A database with one organization, `Acme`, and one user, whose password is [`GOOD`].
fn acme() -> Place {
    let place = Place::new();
    run(&place, &["init"]);
    run(&place, &["org", "add", "Acme", "--type", "RETAILER"]);
    add_user(&place, "jane@acme.com");
    place
}

fn add_user(place: &Place, username: &str) {
    place
        .program(&[
            "user",
            "add",
            username,
            "--org",
            "Acme",
            "--password-stdin",
            "--bcrypt-cost",
            "10",
        ])
        .input(GOOD)
        .finish()
        .succeeded();
}

fn users_call(token: &str) -> Vec<u8> {
    let authorization = format!("Token {token}");
    request(
        "GET",
        "/api/organizations/",
        &[("Authorization", &authorization)],
        "",
    )
}

#[test]
fn a_user_added_to_a_new_organization_logs_in_at_once() {
    let place = Place::new();
    let server = place.serve(&[]);
    let org = json(&run(
        &place,
        &["org", "add", "Acme", "--type", "SUPPLIER", "--json"],
    ));
    add_user(&place, "jane@acme.com");
    let answer = server.login("jane@acme.com", GOOD);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.field("org_uuid"), org["uuid"].as_str().unwrap());
    assert_eq!(answer.field("org_type"), "SUPPLIER");
    assert_eq!(
        answer.field("supplier_uuid"),
        org["supplier_uuid"].as_str().unwrap()
    );
    let user = json(&run(&place, &["user", "show", "jane@acme.com", "--json"]));
    assert_eq!(answer.field("user_uuid"), user["uuid"].as_str().unwrap());
    assert_eq!(user["tokens_live"], 1);
    assert!(user["last_login"].is_string(), "{user}");
    assert_eq!(user["bcrypt_cost"], 10);
}

#[test]
fn a_new_status_of_a_user_or_organization_takes_effect_at_the_next_request() {
    let place = acme();
    let server = place.serve(&[]);
    let token = server.login("jane@acme.com", GOOD).token();
    assert_eq!(server.send(users_call(&token)).status, 200);

    run(&place, &["org", "set-status", "Acme", "PENDING"]);
    assert_eq!(server.send(users_call(&token)).status, 401);
    assert_eq!(server.login("jane@acme.com", GOOD).status, 403);
    run(&place, &["org", "set-status", "Acme", "ACTIVE"]);
    assert_eq!(server.send(users_call(&token)).status, 200);

    let said = run(
        &place,
        &["user", "set-status", "jane@acme.com", "DEACTIVATED"],
    );
    assert_eq!(
        said.stdout,
        "jane@acme.com is DEACTIVATED now, and was ACTIVE; its tokens are ended\n"
    );
    assert_eq!(server.login("jane@acme.com", GOOD).status, 403);
    run(&place, &["user", "set-status", "jane@acme.com", "ACTIVE"]);
    assert_eq!(
        server.send(users_call(&token)).status,
        401,
        "ended for good"
    );
    assert_eq!(place.tokens_of("jane@acme.com"), 0);
    let token = server.login("jane@acme.com", GOOD).token();
    let said = run(&place, &["user", "set-status", "jane@acme.com", "ACTIVE"]);
    assert_eq!(said.stdout, "jane@acme.com is ACTIVE already\n");
    assert_eq!(
        server.send(users_call(&token)).status,
        200,
        "nothing changed"
    );
}

#[test]
fn a_new_password_ends_every_token_a_pinned_one_too() {
    let pinned = "a0f17278bed479ee719ea890b8caf0329e1f3e5b";
    let place = Place::seeded(&accounts::retailer([json!({
        "username": JWEIR, "password_hash": accounts::QUICK_HASH, "auth_token": pinned,
    })]));
    let server = place.serve(&[]);
    assert_eq!(server.login(JWEIR, PASSWORD).token(), pinned);
    let revision = place.number("SELECT revision FROM users");
    place
        .program(&[
            "user",
            "passwd",
            JWEIR,
            "--password-stdin",
            "--bcrypt-cost",
            "10",
        ])
        .input(format!("{GOOD}\r\n"))
        .finish()
        .succeeded();
    assert_eq!(place.number("SELECT revision FROM users"), revision + 1);
    assert_eq!(server.send(users_call(pinned)).status, 401);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 401);
    assert_ne!(server.login(JWEIR, GOOD).token(), pinned);
}

#[test]
fn tokens_are_listed_without_their_secret_and_revoked_by_id_or_user() {
    let place = acme();
    add_user(&place, "joe@acme.com");
    let server = place.serve(&[]);
    let tokens: Vec<String> = (0..3)
        .map(|_| server.login("jane@acme.com", GOOD).token())
        .collect();
    let other = server.login("joe@acme.com", GOOD).token();
    let listed = run(&place, &["token", "list", "--json"]);
    let rows = json_lines(&listed);
    assert_eq!(rows.len(), 4);
    for token in tokens.iter().chain([&other]) {
        assert!(!listed.stdout.contains(token.as_str()));
    }
    assert_eq!(
        json_lines(&run(
            &place,
            &["token", "list", "--user", "JOE@acme.com", "--json"]
        ))
        .len(),
        1
    );
    let id = rows[0]["id"].as_str().unwrap();
    fails_with(&place, &["token", "revoke", id, "00000000"], "00000000");
    assert_eq!(place.tokens_of("jane@acme.com"), 3, "all or none");
    assert_eq!(
        run(&place, &["token", "revoke", id]).stdout,
        "revoked 1 token\n"
    );
    assert_eq!(server.send(users_call(&tokens[0])).status, 401);
    assert_eq!(server.send(users_call(&tokens[1])).status, 200);
    run(&place, &["token", "revoke", "--user", "jane@acme.com"]);
    assert_eq!(server.send(users_call(&tokens[1])).status, 401);
    assert_eq!(server.send(users_call(&other)).status, 200);
    fails_with(&place, &["token", "revoke", "xyz"], "token list");
    place.run(&["token", "revoke"]).was_wrong_usage("no token");
}

#[test]
fn purging_removes_expired_tokens_and_no_others() {
    let place = acme();
    let server = place.serve(&[]);
    let token = server.login("jane@acme.com", GOOD).token();
    server.login("jane@acme.com", GOOD);
    server.stop();
    place
        .sql()
        .execute(
            "UPDATE tokens SET expires_at = 1 WHERE digest = (SELECT digest FROM tokens ORDER BY digest LIMIT 1)",
            &[],
        )
        .unwrap();
    assert_eq!(
        json(&run(&place, &["token", "purge", "--json"])),
        json!({"purged": 1})
    );
    assert_eq!(place.tokens_of("jane@acme.com"), 1);
    let _ = token;
}

#[test]
fn listings_are_sorted_limited_and_aligned() {
    let place = Place::seeded(&json!({"organizations": [
        accounts::organization("b", ["b1", "b2", "b3"].map(accounts::user)),
        accounts::organization("A", [accounts::user("a")]),
        accounts::organization("c", []),
    ]}));
    // A name with these characters is refused for new users, so it is set in the database.
    let rename = "UPDATE users SET username = 'a' || ?1 || '[31m' WHERE username = 'a'";
    place.sql().execute(rename, &[&"\u{1b}"]).unwrap();
    let names = |args: &[&str], key: &str| -> Vec<String> {
        json_lines(&run(&place, args))
            .iter()
            .map(|row| row[key].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&["org", "list", "--json"], "name"), ["A", "b", "c"]);
    assert_eq!(
        names(
            &[
                "org",
                "list",
                "--json",
                "--sort",
                "users",
                "--reverse",
                "--limit",
                "2"
            ],
            "name"
        ),
        ["b", "A"]
    );
    assert_eq!(
        names(
            &["user", "list", "--json", "--org", "b", "--limit", "2"],
            "username"
        ),
        ["b1", "b2"]
    );
    assert_eq!(
        names(
            &[
                "user",
                "list",
                "--json",
                "--sort",
                "username",
                "--reverse",
                "--limit",
                "1"
            ],
            "username"
        ),
        ["b3"]
    );
    let table = run(&place, &["user", "list"]).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 5);
    assert!(
        !table.contains('\u{1b}'),
        "no colour, no escapes: {table:?}"
    );
    let column = lines[0].find("STATUS").unwrap();
    for line in &lines[1..] {
        assert_eq!(line.find("ACTIVE"), Some(column), "{table}");
    }
    assert!(lines[1].starts_with("a\\u{1b}[31m"), "{table}");
    place
        .run(&["user", "list", "--sort", "password"])
        .was_wrong_usage("no such order");
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_one() {
    let place = Place::seeded(&json!({"organizations": [
        accounts::organization("projectthanos", [accounts::user(JWEIR)]),
        accounts::organization("twin", []),
        {"name": "twin", "org_type": "SUPPLIER", "users": [],
         "uuid": "00000000-0000-4000-8000-000000000001",
         "supplier_uuid": "00000000-0000-4000-8000-000000000002"},
    ]}));
    for (args, line) in [
        (
            &["user", "show", "jwier@projectthanos.com"][..],
            r#"no such user "jwier@projectthanos.com": did you mean "jweir@projectthanos.com"?"#,
        ),
        (
            &["user", "show", "somebody"],
            r#"no such user "somebody" (`thanos-login user list` shows all)"#,
        ),
        (
            &["org", "show", "ProjectThanos"],
            r#"no such organization "ProjectThanos": did you mean "projectthanos"?"#,
        ),
        (
            &["user", "list", "--org", "twin"],
            "00000000-0000-4000-8000-000000000001",
        ),
        (&["org", "add", "twin", "--type", "RETAILER"], "already"),
        (
            &[
                "org",
                "add",
                "x",
                "--type",
                "RETAILER",
                "--uuid",
                "00000000-0000-4000-8000-000000000001",
            ],
            "UUID",
        ),
        (
            &[
                "user",
                "add",
                "JWEIR@projectthanos.com",
                "--org",
                "projectthanos",
                "--generate",
            ],
            "already",
        ),
    ] {
        fails_with(&place, args, line);
    }
    assert_eq!(place.number("SELECT count(*) FROM organizations"), 3);
}

#[test]
fn a_name_a_username_in_any_case_and_a_uuid_mean_the_same() {
    let place = acme();
    let user = json(&run(&place, &["user", "show", "jane@acme.com", "--json"]));
    let uuid = user["uuid"].as_str().unwrap();
    for name in [
        uuid,
        &uuid.to_uppercase(),
        &uuid.replace('-', ""),
        &format!(" {uuid}\n"),
        "JANE@ACME.COM",
        " jane@acme.com ",
        "\u{1f}jane@acme.com\u{a0}",
    ] {
        assert_eq!(
            json(&run(&place, &["user", "show", name, "--json"])),
            user,
            "{name}"
        );
    }
    let org = json(&run(&place, &["org", "show", "Acme", "--json"]));
    assert_eq!(org["users"], 1);
    let uuid = org["uuid"].as_str().unwrap();
    for name in [uuid, &uuid.to_uppercase(), &uuid.replace('-', ""), " Acme "] {
        assert_eq!(
            json(&run(&place, &["org", "show", name, "--json"])),
            org,
            "{name}"
        );
        assert_eq!(
            json(&run(&place, &["user", "list", "--org", name, "--json"])),
            user,
            "{name}"
        );
    }
}

#[test]
fn a_name_takes_precedence_over_a_uuid() {
    let place = acme();
    let uuid_of = |args: &[&str]| {
        json(&run(&place, args))["uuid"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let jane = uuid_of(&["user", "show", "jane@acme.com", "--json"]);
    add_user(&place, &jane);
    let other = uuid_of(&["user", "show", &jane, "--json"]);
    assert_ne!(other, jane);
    let said = run(
        &place,
        &["user", "set-status", &jane, "DEACTIVATED", "--json"],
    );
    assert_eq!(json(&said)["uuid"], other.as_str());
    let said = run(&place, &["user", "unlock", "jane@acme.com", "--json"]);
    assert_eq!(
        json(&said)["uuid"],
        jane.as_str(),
        "what is shown afterwards"
    );

    let acme = uuid_of(&["org", "show", "Acme", "--json"]);
    let called_so = uuid_of(&["org", "add", &acme, "--type", "SUPPLIER", "--json"]);
    assert_ne!(called_so, acme);
    assert_eq!(uuid_of(&["org", "show", &acme, "--json"]), called_so);
    let said = run(&place, &["org", "set-status", "Acme", "PENDING", "--json"]);
    assert_eq!(json(&said)["uuid"], acme.as_str());
}

#[test]
fn without_a_database_no_file_is_created() {
    let place = Place::new();
    for args in [
        &["user", "list"][..],
        &["org", "add", "Acme", "--type", "RETAILER"],
        &["token", "purge"],
    ] {
        fails_with(&place, args, "thanos-login init");
    }
    assert_eq!(place.files(""), ["tmp"]);
}
