//! A large number of accounts in a database on servers.

use std::fmt::Write;

use super::{seeded, serve};
use crate::harness::accounts::{JWEIR, PASSWORD, QUICK_HASH, crowd, crowded, retailer, user};
use crate::harness::postgres::{PostgresServer, psql};
use crate::harness::{Place, eventually, request};

/// More users than an import into a file writes in one transaction.
const MANY: usize = 3_000;

fn hash() -> String {
    QUICK_HASH.replace("$04$", "$10$")
}

/// A file of users with permissions.
fn users() -> String {
    let hash = hash();
    let permissions = r#"[{"name": "reads"}, {"name": "writes"}]"#;
    let mut lines = String::new();
    for number in 0..MANY {
        writeln!(
            lines,
            r#"{{"org": "projectthanos", "username": "imported{number}@x.com", "password_hash": "{hash}", "permissions": {permissions}}}"#
        )
        .unwrap();
    }
    lines
}

fn import(place: &Place, database: &str) -> crate::harness::Finished {
    place.run(&["user", "import", "users.jsonl", "--db", database])
}

#[test]
#[ignore = "needs PostgreSQL"]
fn many_users_are_imported_at_once_and_exported_as_from_a_file() {
    let postgres = PostgresServer::start(&[]);
    let url = postgres.create("accounts");
    let place = seeded(&url, &retailer([user(JWEIR)]));
    place.write("accounts.json", retailer([user(JWEIR)]).to_string());
    place
        .run(&["seed", "accounts.json", "--bcrypt-cost", "10"])
        .succeeded();
    place.write("users.jsonl", users());
    let server = serve(&place, &url, &[]);
    for database in [url.as_str(), Place::DATABASE] {
        import(&place, database).succeeded();
        let again = import(&place, database).succeeded();
        assert!(
            again.stdout.contains(&format!("{MANY} unchanged")),
            "{again:?}"
        );
    }
    let number = |sql: &str| psql(&url, &format!("SET search_path = thanos_login; {sql}"));
    assert_eq!(
        number("SELECT sum(users) FROM used_costs WHERE cost = 10"),
        MANY.to_string()
    );
    assert_eq!(number("SELECT count(*) FROM imports"), "0");
    let export = |format: &str, database: &str| {
        let args = ["user", "export", "--format", format, "--db", database];
        place.run(&args).succeeded().stdout
    };
    for format in ["csv", "jsonl"] {
        assert!(
            export(format, &url) == export(format, Place::DATABASE),
            "{format}"
        );
    }
    // All users are imported with one line of output.
    eventually("the import is logged", || {
        server.log().contains("users.jsonl")
    });
    assert_eq!(server.log().matches("user import").count(), 1);

    let token = server.login(JWEIR, PASSWORD).token();
    let header = ("Authorization", format!("Token {token}"));
    let header = (header.0, header.1.as_str());
    let list = server.send(request(
        "GET",
        "/api/organizations/users/all/",
        &[header],
        "",
    ));
    let listed = list.json();
    let listed = listed.as_array().unwrap();
    assert_eq!(listed.len(), MANY + 1);
    let has_permissions = |user: &&serde_json::Value| {
        user["permission_assignments"]["permissions"]
            .as_array()
            .is_some_and(|found| found.len() == 2)
    };
    assert_eq!(listed.iter().filter(has_permissions).count(), MANY);

    let set = [
        "org",
        "set-status",
        "projectthanos",
        "DEACTIVATED",
        "--db",
        &url,
    ];
    place.run(&set).succeeded();
    assert_eq!(number("SELECT count(*) FROM used_costs"), "0");
    psql(
        &url,
        "DELETE FROM thanos_login.users WHERE username <> 'jweir@projectthanos.com'",
    );
    // The login may have replaced the user's own hash by now.
    let miscounted = "SELECT count(*) FROM org_costs
                      WHERE users <> (SELECT count(*) FROM users WHERE users.cost = org_costs.cost)";
    assert_eq!(number(miscounted), "0");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn logins_of_an_organization_go_on_during_an_import_into_it() {
    let postgres = PostgresServer::start(&[]);
    let url = postgres.create("accounts");
    let place = seeded(&url, &crowded());
    place.write("users.jsonl", users());
    let server = serve(&place, &url, &[]);
    std::thread::scope(|scope| {
        let importing = scope.spawn(|| import(&place, &url).succeeded());
        // The first login of each user replaces the hash, and so changes the number of hashes of each cost.
        for username in crowd().iter().cycle() {
            server.login(username, PASSWORD).token();
            if importing.is_finished() {
                break;
            }
        }
        importing.join().unwrap();
    });
}
