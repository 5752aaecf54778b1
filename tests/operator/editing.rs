//! `user set`, `user move` and `org set`, and what a new name leaves unchanged, beside a running server.

use serde_json::{Value, json};

use super::{fails_with, json as object, json_lines, run};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, Place, Server, request};

pub(super) const ORG: &str = "projectthanos";

/// [`JWEIR`] in [`ORG`], and an organization without users, `Night Market`.
pub(super) fn place() -> Place {
    let mut user = accounts::user(JWEIR);
    user["person"] = json!({"first_name": "Jane", "phone": "1"});
    user["permissions"] = json!([{"name": "sell", "description": "s"}]);
    Place::seeded(&json!({"organizations": [
        accounts::organization(ORG, [user]),
        {"name": "Night Market", "org_type": "SUPPLIER", "status": "PENDING", "users": []},
    ]}))
}

fn call(server: &Server, path: &str, token: &str) -> Answer {
    let authorization = format!("Token {token}");
    let fields = [("Authorization", authorization.as_str())];
    server.send(request("GET", path, &fields, ""))
}

pub(super) fn show(place: &Place, noun: &str, name: &str) -> Value {
    object(&run(place, &[noun, "show", name, "--json"]))
}

#[track_caller]
fn says(place: &Place, args: &[&str], line: &str) {
    assert_eq!(run(place, args).stdout, format!("{line}\n"));
}

pub(super) fn names(permissions: &Value) -> Vec<&str> {
    let names = permissions.as_array().unwrap().iter();
    names.map(|it| it["name"].as_str().unwrap()).collect()
}

#[test]
fn a_changed_user_field_takes_effect_at_the_next_request_and_the_tokens_stay() {
    let place = place();
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    let before = show(&place, "user", JWEIR);
    let set = ["user", "set", JWEIR];
    says(
        &place,
        &[
            &set[..],
            &[
                "--first-name",
                "Ann",
                "--last-name",
                "O'Hara",
                "--phone",
                "",
            ],
        ]
        .concat(),
        &format!(
            "changed {JWEIR}: first_name=Ann (was Jane), last_name=O'Hara (was -), phone=- (was 1)"
        ),
    );
    let list = call(&server, "/api/organizations/users/all/", &token).json();
    let person = &list[0]["person"];
    assert_eq!(person["first_name"], "Ann", "{list}");
    assert_eq!(person["last_name"], "O'Hara");
    assert_eq!(person["phone"], Value::Null);
    assert_eq!(person["email"], JWEIR, "nothing was said of it");

    let uuid = before["permissions"][0]["uuid"].as_str().unwrap();
    says(
        &place,
        &[
            &set[..],
            &[
                "--permission",
                "buy",
                "--permission",
                &uuid.to_uppercase(),
                "--permission",
                "sell",
            ],
        ]
        .concat(),
        &format!("changed {JWEIR}: permissions=buy, sell (was sell); the permission buy is new"),
    );
    let list = call(&server, "/api/organizations/users/all/", &token).json();
    let shown = list[0]["permission_assignments"]["permissions"]
        .as_array()
        .unwrap();
    assert_eq!(shown.len(), 2, "{list}");
    assert_eq!(shown[1]["permission"]["description"], "s", "as it was");
    let row = object(&run(
        &place,
        &[&set[..], &["--email", "ann@corner.example", "--json"]].concat(),
    ));
    assert_eq!(row["email"], "ann@corner.example");
    assert_eq!(names(&row["permissions"]), ["buy", "sell"]);
    assert_eq!(row["uuid"], before["uuid"]);
    let same = [
        &set[..],
        &[
            "--first-name",
            "Ann",
            "--phone",
            "",
            "--permission",
            "buy",
            "--permission",
            "sell",
        ],
    ];
    says(
        &place,
        &same.concat(),
        &format!("{JWEIR}: nothing to change"),
    );
    says(
        &place,
        &[&set[..], &["--permission", ""]].concat(),
        &format!("changed {JWEIR}: permissions=- (was buy, sell)"),
    );
    assert_eq!(show(&place, "user", JWEIR)["permissions"], json!([]));
    assert_eq!(place.tokens_of(JWEIR), 1);
}

#[test]
fn a_wrong_change_changes_nothing_and_says_what_to_do() {
    let place = place();
    let before = place.dump();
    let nobody = "00000000-0000-4000-8000-000000000009";
    for (args, line) in [
        (&["user", "set", "jane", "--phone", "1"][..], "no such user"),
        (
            &["user", "set", JWEIR, "--phone", "2", "--permission", nobody],
            "no such permission",
        ),
        (
            &["user", "move", JWEIR, "--org", "Night Markt"],
            "did you mean \"Night Market\"",
        ),
        (
            &["org", "set", "Night Markt", "--active-date", ""],
            "did you mean \"Night Market\"",
        ),
    ] {
        fails_with(&place, args, line);
    }
    for (args, part) in [
        (&["user", "set", JWEIR][..], "--first-name"),
        (&["org", "set", ORG], "--account-manager-first-name"),
        (&["org", "set", ORG, "--created-date", ""], "2017-10-23"),
        (
            &["org", "set", ORG, "--active-date", "2017-10-23T10:00"],
            "2017-10-23",
        ),
        (
            &[
                "org",
                "set",
                ORG,
                "--no-account-manager",
                "--account-manager-phone",
                "1",
            ],
            "--no-account-manager",
        ),
    ] {
        let refused = place.run(args);
        refused.was_wrong_usage(&args.join(" "));
        assert!(refused.stderr.contains(part), "{refused:#?}");
    }
    assert_eq!(place.dump(), before);
    let sql = "INSERT INTO permissions (uuid, name) VALUES ('00000000-0000-4000-8000-000000000009', 'sell')";
    place.sql().execute_batch(sql).unwrap();
    fails_with(
        &place,
        &["user", "set", JWEIR, "--permission", "sell"],
        "2 permissions are called \"sell\": give the UUID of one (00000000",
    );
}

#[test]
fn a_moved_user_keeps_its_tokens_which_answer_with_the_other_organization() {
    let place = place();
    run(&place, &["org", "set-status", "Night Market", "active"]);
    let server = place.serve(&[]);
    let login = server.login(JWEIR, PASSWORD);
    let token = login.token();
    let night = show(&place, "org", "Night Market");
    says(
        &place,
        &["user", "move", JWEIR, "--org", "Night Market"],
        &format!("moved {JWEIR} from {ORG} to Night Market; its tokens stay"),
    );
    let organization = call(&server, "/api/organizations/", &token);
    assert_eq!(organization.status, 200);
    assert_eq!(organization.json()["name"], "Night Market");
    let again = server.login(JWEIR, PASSWORD);
    assert_eq!(again.field("org_uuid"), night["uuid"].as_str().unwrap());
    assert_eq!(
        again.field("supplier_uuid"),
        night["supplier_uuid"].as_str().unwrap()
    );
    assert_eq!(again.field("user_uuid"), login.field("user_uuid"));
    let uuid = night["uuid"].as_str().unwrap();
    says(
        &place,
        &["user", "move", JWEIR, "--org", uuid],
        &format!("{JWEIR} belongs to Night Market already"),
    );
    run(&place, &["org", "set-status", "Night Market", "pending"]);
    assert_eq!(call(&server, "/api/organizations/", &token).status, 401);
    let row = object(&run(
        &place,
        &["user", "move", JWEIR, "--org", ORG, "--json"],
    ));
    assert_eq!(row["org"], ORG);
    assert_eq!(call(&server, "/api/organizations/", &token).status, 200);
}

#[test]
fn the_account_manager_and_dates_of_an_organization_are_set_and_cleared() {
    let place = place();
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    let set = ["org", "set", ORG, "--json"];
    let before = show(&place, "org", ORG);
    let row = object(&run(
        &place,
        &[
            &set[..],
            &[
                "--account-manager-first-name",
                "Mia",
                "--account-manager-phone",
                "7",
            ],
            &[
                "--created-date",
                "2017-10-23",
                "--active-date",
                "2018-01-02T03:04:05.5+01:00",
            ],
        ]
        .concat(),
    ));
    let uuid = row["account_manager"]["uuid"].clone();
    let answered = call(&server, "/api/organizations/", &token).json();
    assert_eq!(
        answered["account_manager"]["first_name"], "Mia",
        "{answered}"
    );
    assert_eq!(answered["account_manager"]["uuid"], uuid);
    assert_eq!(row["created_date"], "2017-10-23T00:00:00Z");
    assert_eq!(row["active_date"], "2018-01-02T02:04:05.5Z");
    for field in [
        "uuid",
        "name",
        "retailer_uuid",
        "supplier_uuid",
        "status",
        "org_type",
    ] {
        assert_eq!(row[field], before[field], "{field}");
    }
    let shown = run(&place, &["org", "show", ORG]).stdout;
    assert!(shown.contains("first_name=Mia, phone=7"), "{shown}");

    let other = [
        "--account-manager-last-name",
        "Nager",
        "--account-manager-phone",
        "",
        "--active-date",
        "",
    ];
    says(
        &place,
        &[&["org", "set", ORG][..], &other].concat(),
        &format!(
            "changed {ORG}: account_manager.last_name=Nager (was -), account_manager.phone=- (was 7), active_date=- (was 2018-01-02T02:04:05.5Z)"
        ),
    );
    let row = show(&place, "org", ORG);
    assert_eq!(row["account_manager"]["uuid"], uuid, "the same person");
    assert_eq!(row["active_date"], Value::Null);
    let people = "SELECT count(*) FROM people";
    assert_eq!(place.number(people), 2);
    run(&place, &["org", "set", ORG, "--no-account-manager"]);
    assert_eq!(place.number(people), 1);
    let answered = call(&server, "/api/organizations/", &token).json();
    assert_eq!(answered["account_manager"], Value::Null);
    for same in [
        &["--no-account-manager"][..],
        &["--account-manager-phone", ""],
    ] {
        let args = [&["org", "set", ORG][..], same].concat();
        says(&place, &args, &format!("{ORG}: nothing to change"));
    }
}

#[test]
fn a_new_name_changes_no_identity() {
    let file = |org: &str, username: &str| {
        let mut user = accounts::user(username);
        user["permissions"] = json!([{"name": "sell"}]);
        let mut organization = accounts::organization(org, [user]);
        organization["account_manager"] = json!({"first_name": "Mia"});
        json!({"organizations": [organization]})
    };
    let place = Place::seeded(&file(ORG, JWEIR));
    let identities = || {
        let [user] = &json_lines(&run(&place, &["user", "list", "--json"]))[..] else {
            panic!("one user");
        };
        let [org] = &json_lines(&run(&place, &["org", "list", "--json"]))[..] else {
            panic!("one organization");
        };
        [
            &org["uuid"],
            &org["retailer_uuid"],
            &org["account_manager"]["uuid"],
            &user["uuid"],
            &user["permissions"][0]["uuid"],
        ]
        .map(Clone::clone)
    };
    let person = "SELECT count(*) FROM people";
    let before = identities();
    run(&place, &["org", "rename", ORG, "Night Market"]);
    run(&place, &["user", "rename", JWEIR, "ann@night.example"]);
    assert_eq!(identities(), before);
    place
        .seed(&file("Night Market", "ann@night.example"))
        .succeeded();
    assert_eq!(identities(), before);
    let mut by_uuid = file("Day Market", "ann@night.example");
    by_uuid["organizations"][0]["uuid"] = before[0].clone();
    place.seed(&by_uuid).succeeded();
    assert_eq!(identities(), before);
    place.write(
        "more.json",
        file("Day Market", "ann@night.example").to_string(),
    );
    run(&place, &["user", "import", "more.json"]);
    run(
        &place,
        &["org", "set", "Day Market", "--account-manager-phone", "1"],
    );
    assert_eq!(identities(), before);
    assert_eq!(place.number(person), 2);
}
