//! `user delete`, `user rename`, `org delete` and `org rename`, beside a running server.

use std::thread;

use rexpect::session::PtySession;
use serde_json::{Value, json};

use super::{at_a_terminal, fails_with, json as object, run};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, Place, Server, request};

const OTHER: &str = "other@projectthanos.com";
const LISTS: [&str; 2] = ["/api/organizations/", "/api/organizations/users/all/"];

/// [`JWEIR`] with everything that a user can have, and [`OTHER`] with the same permission.
fn two_users() -> Place {
    let permissions = json!([{"name": "sell"}]);
    let manager = json!({"first_name": "Mia", "last_name": "Nager"});
    let mut organization = accounts::organization(
        "projectthanos",
        [
            json!({"username": JWEIR, "password_hash": accounts::QUICK_HASH, "permissions": permissions}),
            json!({"username": OTHER, "password_hash": accounts::QUICK_HASH, "permissions": permissions}),
        ],
    );
    organization["account_manager"] = manager;
    Place::seeded(&json!({"organizations": [organization]}))
}

fn call(server: &Server, path: &str, token: &str) -> Answer {
    let authorization = format!("Token {token}");
    let fields = [("Authorization", authorization.as_str())];
    server.send(request("GET", path, &fields, ""))
}

#[track_caller]
fn answers_nothing(server: &Server, token: &str) {
    for path in LISTS {
        assert_eq!(call(server, path, token).status, 401, "{path}");
    }
}

#[track_caller]
fn has_rows(place: &Place, expected: &[(&str, i64)]) {
    for (table, count) in expected {
        let found = place.number(&format!("SELECT count(*) FROM {table}"));
        assert_eq!(found, *count, "{table}");
    }
    assert_eq!(place.dangling_references(), 0);
}

fn show(place: &Place, noun: &str, name: &str) -> Value {
    object(&run(place, &[noun, "show", name, "--json"]))
}

#[test]
fn a_deleted_user_is_gone_at_the_next_request_and_nobody_else_is() {
    let place = two_users();
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    let other = server.login(OTHER, PASSWORD).token();
    let uuid = show(&place, "user", JWEIR)["uuid"].clone();
    let uuid = uuid.as_str().unwrap();

    let said = run(&place, &["user", "delete", &uuid.to_uppercase(), "--yes"]);
    assert_eq!(
        said.stdout,
        format!("deleted the user {JWEIR} ({uuid}); its tokens are ended\n")
    );
    answers_nothing(&server, &token);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 401);
    let list = call(&server, LISTS[1], &other);
    assert_eq!(list.status, 200);
    assert_eq!(list.json().as_array().unwrap().len(), 1);
    // The other user and the account manager remain.
    has_rows(
        &place,
        &[
            ("users", 1),
            ("people", 2),
            ("permissions", 1),
            ("permission_assignments", 1),
            ("tokens", 1),
        ],
    );
    fails_with(&place, &["user", "delete", JWEIR, "--yes"], "no such user");

    let said = run(&place, &["user", "delete", OTHER, "--yes", "--json"]);
    assert_eq!(object(&said)["username"], OTHER);
    has_rows(
        &place,
        &[
            ("users", 0),
            ("people", 1),
            ("permissions", 0),
            ("tokens", 0),
        ],
    );
    assert_eq!(show(&place, "org", "projectthanos")["users"], 0);
}

#[test]
fn the_next_user_of_a_name_has_nothing_of_the_deleted_one() {
    let place = two_users();
    let server = place.serve(&["--failed-logins-per-user", "2"]);
    let token = server.login(JWEIR, PASSWORD).token();
    for _ in 0..2 {
        assert_eq!(server.login(JWEIR, "wrong").status, 401);
    }
    assert_eq!(server.login(JWEIR, PASSWORD).status, 429);
    run(&place, &["user", "delete", JWEIR, "--yes"]);
    let add = [
        "user",
        "add",
        JWEIR,
        "--org",
        "projectthanos",
        "--password-stdin",
    ];
    place
        .program(&[&add[..], &["--bcrypt-cost", "10"]].concat())
        .input("violet kettle ninety")
        .finish()
        .succeeded();
    assert_eq!(
        server.login(JWEIR, PASSWORD).status,
        401,
        "the old password, and no limit"
    );
    assert_eq!(server.login(JWEIR, "violet kettle ninety").status, 200);
    answers_nothing(&server, &token);
}

#[test]
fn a_renamed_user_logs_in_by_the_new_name_only() {
    let place = two_users();
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    let before = show(&place, "user", JWEIR);
    let new = "jane@projectthanos.com";

    fails_with(
        &place,
        &["user", "rename", JWEIR, "OTHER@projectthanos.com"],
        "already",
    );
    for (name, part) in [
        (" ", "blank"),
        ("ja\u{200b}ne", "U+200B"),
        ("zoe\u{308}", "U+0308"),
    ] {
        let refused = place.run(&["user", "rename", JWEIR, name]);
        refused.was_wrong_usage(name);
        assert!(refused.stderr.contains(part), "{refused:#?}");
    }
    let said = run(&place, &["user", "rename", JWEIR, JWEIR]);
    assert_eq!(said.stdout, format!("{JWEIR} is its username already\n"));
    assert_eq!(
        call(&server, LISTS[0], &token).status,
        200,
        "nothing has changed"
    );

    let said = run(&place, &["user", "rename", JWEIR, &format!(" {new} ")]);
    assert_eq!(
        said.stdout,
        format!("renamed {JWEIR} to {new}; its tokens are ended\n")
    );
    answers_nothing(&server, &token);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 401);
    assert_eq!(server.login(new, PASSWORD).status, 200);
    let after = show(&place, "user", new);
    assert_eq!(after["uuid"], before["uuid"]);
    assert_eq!(after["email"], new, "which was the username");

    // A change of letter case is a new name too.
    let said = run(
        &place,
        &["user", "rename", new, "Jane@projectthanos.com", "--json"],
    );
    assert_eq!(object(&said)["username"], "Jane@projectthanos.com");
    assert_eq!(server.login(new, PASSWORD).status, 200);
}

#[test]
fn an_organization_with_users_is_deleted_only_with_the_flag_for_that() {
    let place = two_users();
    run(&place, &["org", "add", "Empty", "--type", "SUPPLIER"]);
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    let uuid = show(&place, "org", "projectthanos")["uuid"].clone();
    let uuid = uuid.as_str().unwrap();

    fails_with(
        &place,
        &["org", "delete", "projectthanos", "--yes"],
        "projectthanos has 2 users: --with-users deletes them too",
    );
    assert_eq!(call(&server, LISTS[0], &token).status, 200);
    let said = run(
        &place,
        &["org", "delete", "projectthanos", "--yes", "--with-users"],
    );
    assert_eq!(
        said.stdout,
        format!("deleted the organization projectthanos ({uuid}) and 2 users\n")
    );
    answers_nothing(&server, &token);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 401);
    has_rows(
        &place,
        &[
            ("organizations", 1),
            ("users", 0),
            ("people", 0),
            ("permissions", 0),
            ("tokens", 0),
        ],
    );
    let said = run(&place, &["org", "delete", "Empty", "--yes", "--json"]);
    assert_eq!(object(&said)["name"], "Empty");
    has_rows(&place, &[("organizations", 0)]);
}

#[test]
fn many_users_go_with_their_organization_while_a_server_answers() {
    let users = (0..1201).map(|number| accounts::user(&format!("user{number}")));
    let other = accounts::organization("other", [accounts::user(JWEIR)]);
    let place = Place::seeded(&json!({"organizations": [
        accounts::organization("big", users), other,
    ]}));
    let server = place.serve(&[]);
    let token = server.login("user7", PASSWORD).token();
    let delete = ["org", "delete", "big", "--with-users", "--yes"];
    let said = thread::scope(|scope| {
        let deleting = scope.spawn(|| run(&place, &delete));
        while !deleting.is_finished() {
            assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
        }
        deleting.join().unwrap()
    });
    assert!(said.stdout.ends_with("and 1201 users\n"), "{said:?}");
    answers_nothing(&server, &token);
    has_rows(&place, &[("organizations", 1), ("users", 1), ("people", 1)]);
    let costs = place.url().map_or("login_costs", |_| "org_costs");
    assert_eq!(place.number(&format!("SELECT sum(users) FROM {costs}")), 1);
}

#[test]
fn a_renamed_organization_keeps_its_users_and_their_tokens() {
    let place = two_users();
    run(&place, &["org", "add", "Acme", "--type", "SUPPLIER"]);
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    fails_with(
        &place,
        &["org", "rename", "projectthanos", "Acme"],
        "--same-name",
    );
    fails_with(&place, &["org", "rename", "projectthanos", " "], "blank");
    let said = run(&place, &["org", "rename", "projectthanos", " New Thanos "]);
    assert_eq!(said.stdout, "renamed projectthanos to New Thanos\n");
    let organization = call(&server, LISTS[0], &token);
    assert_eq!(organization.status, 200);
    assert_eq!(organization.field("name"), "New Thanos");
    fails_with(
        &place,
        &["org", "show", "projectthanos"],
        "no such organization",
    );

    run(
        &place,
        &["org", "rename", "New Thanos", "Acme", "--same-name"],
    );
    fails_with(&place, &["org", "show", "Acme"], "2 organizations");
}

#[test]
fn without_a_terminal_only_yes_deletes() {
    let place = two_users();
    for args in [
        &["user", "delete", JWEIR][..],
        &["org", "delete", "projectthanos", "--with-users"],
    ] {
        fails_with(&place, args, "--yes");
    }
    has_rows(&place, &[("organizations", 1), ("users", 2)]);
}

#[test]
fn a_terminal_asks_before_anything_is_deleted() {
    let place = two_users();
    let asks = |args: &[&str], question: &str| -> PtySession {
        let mut terminal = at_a_terminal(&place, args);
        terminal.exp_string(question).unwrap();
        terminal
    };
    for answer in ["", "n", "yess"] {
        let mut terminal = asks(
            &["user", "delete", JWEIR],
            &format!("Delete the user {JWEIR} of projectthanos ("),
        );
        terminal.exp_string("[y/N] ").unwrap();
        terminal.send_line(answer).unwrap();
        terminal.exp_string("nothing was deleted").unwrap();
        terminal.exp_eof().unwrap();
    }
    has_rows(&place, &[("users", 2)]);
    let mut terminal = asks(&["user", "delete", JWEIR], "[y/N] ");
    terminal.send_line("y").unwrap();
    terminal.exp_string("deleted the user").unwrap();
    terminal.exp_eof().unwrap();
    has_rows(&place, &[("users", 1)]);
    let mut terminal = asks(
        &["org", "delete", "projectthanos", "--with-users"],
        ") and 1 user? [y/N] ",
    );
    terminal.send_line("YES").unwrap();
    terminal.exp_string("and 1 user").unwrap();
    terminal.exp_eof().unwrap();
    has_rows(&place, &[("organizations", 0), ("users", 0)]);
}
