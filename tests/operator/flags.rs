//! The optional flags of `add` and `list`, and keywords in any letter case.

use serde_json::{Value, json};

use super::editing::{ORG, names, place, show};
use super::{json as object, json_lines, run};
use crate::harness::Place;
use crate::harness::accounts::{self, JWEIR, PASSWORD};

#[test]
fn what_is_added_has_the_values_of_its_flags() {
    let place = place();
    let org = object(&run(
        &place,
        &[
            "org",
            "add",
            "Acme",
            "--type",
            "retailer",
            "--status",
            "Pending",
            "--created-date",
            "2017-10-23",
            "--account-manager-email",
            "mia@acme.example",
            "--json",
        ],
    ));
    assert_eq!(org["org_type"], "RETAILER");
    assert_eq!(org["status"], "PENDING");
    assert_eq!(org["created_date"], "2017-10-23T00:00:00Z");
    assert_eq!(org["active_date"], Value::Null);
    assert_eq!(org["account_manager"]["email"], "mia@acme.example");
    let user = object(&run(
        &place,
        &[
            "user",
            "add",
            "eve@acme.example",
            "--org",
            "Acme",
            "--generate",
            "--bcrypt-cost",
            "10",
            "--json",
            "--status",
            "confirmation-waiting",
            "--first-name",
            "Eve",
            "--phone",
            "+44 1",
            "--permission",
            "sell",
            "--permission",
            "buy",
        ],
    ));
    assert_eq!(user["status"], "CONFIRMATION WAITING");
    assert_eq!(user["first_name"], "Eve");
    assert_eq!(user["phone"], "+44 1");
    assert_eq!(user["email"], "eve@acme.example");
    assert_eq!(names(&user["permissions"]), ["sell", "buy"]);
    let of_jweir = show(&place, "user", JWEIR)["permissions"][0]["uuid"].clone();
    assert_eq!(
        user["permissions"][0]["uuid"], of_jweir,
        "the same permission"
    );
}

#[test]
fn listings_contain_what_passes_every_filter() {
    let place = place();
    for (username, org, first, status) in [
        ("ann_b@corner.example", ORG, "Ann", "ACTIVE"),
        ("ann%b@corner.example", "Night Market", "Joe", "deactivated"),
        ("joe@corner.example", "Night Market", "Hannah", "ACTIVE"),
    ] {
        run(
            &place,
            &[
                "user",
                "add",
                username,
                "--org",
                org,
                "--generate",
                "--bcrypt-cost",
                "10",
                "--first-name",
                first,
                "--last-name",
                "O'Hara",
                "--email",
                "x@y.example",
                "--status",
                status,
            ],
        );
    }
    let users = |flags: &[&str]| {
        let found = json_lines(&run(&place, &[&["user", "list", "--json"], flags].concat()));
        let names = found
            .iter()
            .map(|it| it["username"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    for (flags, expected) in [
        (
            &["--search", "ANN"][..],
            "ann%b@corner.example ann_b@corner.example joe@corner.example",
        ),
        (&["--search", "n_b"], "ann_b@corner.example"),
        (&["--search", "%"], "ann%b@corner.example"),
        (&["--search", "hannah o'h"], "joe@corner.example"),
        (
            &["--search", "x@Y", "--limit", "1", "--reverse"],
            "joe@corner.example",
        ),
        (
            &["--search", "ann", "--status", "Deactivated"],
            "ann%b@corner.example",
        ),
        (
            &[
                "--search",
                "ann",
                "--org",
                "Night Market",
                "--status",
                "active",
            ],
            "joe@corner.example",
        ),
        (&["--status", "CONFIRMATION_WAITING"], ""),
        (
            &["--search", "", "--org", ORG, "--sort", "USERNAME"],
            "ann_b@corner.example jweir@projectthanos.com",
        ),
    ] {
        assert_eq!(users(flags), expected, "{flags:?}");
    }
    let orgs = |flags: &[&str]| {
        let found = json_lines(&run(&place, &[&["org", "list", "--json"], flags].concat()));
        let names = found
            .iter()
            .map(|it| it["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>().join(" ")
    };
    for (flags, expected) in [
        (&["--search", "MARKET"][..], "Night Market"),
        (&["--status", "active", "--sort", "Created-Date"], ORG),
        (&["--search", "market", "--status", "active"], ""),
    ] {
        assert_eq!(orgs(flags), expected, "{flags:?}");
    }
}

#[test]
fn keywords_are_accepted_in_any_case_and_stored_in_one() {
    let place = Place::new();
    let mut fixture = accounts::retailer([accounts::user(JWEIR)]);
    fixture["organizations"][0]["org_type"] = json!("Retailer");
    fixture["organizations"][0]["status"] = json!("active");
    fixture["organizations"][0]["users"][0]["status"] = json!("Confirmation Waiting");
    place.seed(&fixture).succeeded();
    assert_eq!(
        show(&place, "user", JWEIR)["status"],
        "CONFIRMATION WAITING"
    );
    assert_eq!(show(&place, "org", ORG)["org_type"], "RETAILER");
    let said = run(
        &place,
        &["user", "set-status", JWEIR, "confirmation waiting"],
    );
    assert_eq!(
        said.stdout,
        format!("{JWEIR} is CONFIRMATION WAITING already\n")
    );

    place.write(
        "users.csv",
        format!("Username,STATUS\n{JWEIR}, deactivated\n"),
    );
    run(&place, &["user", "import", "users.csv"]);
    assert_eq!(show(&place, "user", JWEIR)["status"], "DEACTIVATED");
    place.write(
        "users",
        format!("{{\"username\": \"{JWEIR}\", \"status\": \"Active\"}}\n"),
    );
    run(&place, &["user", "import", "users", "--format", "JSONL"]);
    assert_eq!(show(&place, "user", JWEIR)["status"], "ACTIVE");
    run(&place, &["user", "export", "--format", "Csv"]);
    run(&place, &["token", "list", "--sort", "Issued_At"]);
    run(&place, &["completions", "BASH"]);
    let server = place.serve(&["--log-format", "JSON", "--log-level", "Debug"]);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);

    let refused = place.run(&["user", "list", "--status", "activ"]);
    refused.was_wrong_usage("an unknown word");
    assert!(refused.stderr.contains("'ACTIVE'"), "{refused:#?}");
}
