//! The schema: created once, by the first program that starts, and left unchanged if it belongs to something else.

use std::path::Path;
use std::process::Command;
use std::thread;

use crate::account::assert_good;
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::postgres::{PostgresServer, psql};
use crate::harness::{Place, Server};

const SERVERS: usize = 5;

/// The relations in the schemas of a database.
fn relations(url: &str) -> String {
    let of_schemas = "SELECT nspname, relname, relkind FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema' ORDER BY 1, 2";
    psql(url, of_schemas)
}

#[test]
#[ignore = "needs PostgreSQL"]
fn servers_that_start_at_once_on_an_empty_database_all_become_ready() {
    let postgres = PostgresServer::start(&[]);
    let url = postgres.create("accounts");
    let start = || super::serve(&Place::new(), &url, &[]);
    let servers: Vec<Server> = thread::scope(|scope| {
        let starting: Vec<_> = (0..SERVERS).map(|_| scope.spawn(start)).collect();
        starting
            .into_iter()
            .map(|starting| starting.join().unwrap())
            .collect()
    });
    for server in &servers {
        assert_eq!(server.login("nobody@acme.example", PASSWORD).status, 401);
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn concurrent_commands_create_the_schema_once() {
    let postgres = PostgresServer::start(&[]);
    let place = Place::new();
    place.write(
        "accounts.json",
        accounts::retailer([accounts::user(JWEIR)]).to_string(),
    );
    for (database, command) in [
        ("made", &["init", "--json"][..]),
        (
            "seeded",
            &["seed", "accounts.json", "--bcrypt-cost", "10", "--json"],
        ),
    ] {
        let url = postgres.create(database);
        let args = [command, &["--db", &url]].concat();
        let run = || place.run(&args).succeeded().stdout;
        let printed: Vec<String> = thread::scope(|scope| {
            let running: Vec<_> = (0..SERVERS).map(|_| scope.spawn(run)).collect();
            running
                .into_iter()
                .map(|running| running.join().unwrap())
                .collect()
        });
        let made = match database {
            "made" => "\"made\":true",
            _ => "\"users\":{\"added\":1",
        };
        let makers = printed.iter().filter(|line| line.contains(made));
        assert_eq!(makers.count(), 1, "{printed:#?}");
    }
    let users = psql(
        &postgres.url("seeded"),
        "SELECT count(*) FROM thanos_login.users",
    );
    assert_eq!(users, "1");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_schema_that_is_newer_or_foreign_is_left_unchanged() {
    let postgres = PostgresServer::start(&[]);
    let place = Place::new();
    for (number, (sql, named)) in [
        ("UPDATE thanos_login.schema_version SET version = 99", "made by a newer thanos-login (schema 99"),
        ("DROP SCHEMA thanos_login CASCADE; CREATE SCHEMA thanos_login; CREATE TABLE thanos_login.users (id int)", "belongs to another program"),
        ("DROP SCHEMA thanos_login CASCADE; CREATE SCHEMA thanos_login; CREATE TABLE thanos_login.schema_version (version int)", "belongs to another program"),
        ("DROP SCHEMA thanos_login CASCADE; CREATE SCHEMA thanos_login; CREATE FUNCTION thanos_login.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "belongs to another program"),
        ("DROP SCHEMA thanos_login CASCADE; CREATE SCHEMA thanos_login; CREATE TYPE thanos_login.t AS ENUM ('a')", "belongs to another program"),
    ]
    .into_iter()
    .enumerate()
    {
        let url = postgres.create(&format!("accounts{number}"));
        place.run(&["init", "--db", &url]).succeeded();
        psql(&url, sql);
        let before = relations(&url);
        for command in [&["init"][..], &["seed"], &["serve"], &["user", "list"]] {
            let args = [command, &["--db", &url]].concat();
            place.run(&args).failed_naming(&url, named);
        }
        assert_eq!(relations(&url), before);
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn other_schemas_are_left_alone_and_only_init_seed_and_serve_create_tables() {
    let postgres = PostgresServer::start(&[]);
    let url = postgres.create("accounts");
    psql(
        &url,
        "CREATE TABLE users (id int); CREATE SCHEMA thanos_login",
    );
    let before = relations(&url);
    let place = Place::new();
    for command in [
        &["user", "list"][..],
        &["org", "list"],
        &["token", "purge"],
        &["events", "list"],
    ] {
        let args = [command, &["--db", &url]].concat();
        place
            .run(&args)
            .failed_naming(&url, "`thanos-login init` creates them");
    }
    place.run(&["seed", "--dry-run", "--db", &url]).succeeded();
    assert_eq!(relations(&url), before);
    super::serve(&place, &url, &[]).stop();
    assert_ne!(relations(&url), before);
    assert_eq!(psql(&url, "SELECT count(*) FROM public.users"), "0");
    assert_eq!(place.files(""), ["tmp"]);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_role_without_the_right_to_make_tables_serves_and_runs_every_command() {
    let postgres = PostgresServer::start(&[]);
    let admin = postgres.create("accounts");
    let roles = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/postgres/roles.sql");
    let made = Command::new("psql")
        .args(["-Xq", "-f"])
        .arg(roles)
        .arg(&admin)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let [owner, least] =
        ["thanos_login_owner@", "thanos_login@"].map(|role| admin.replace("postgres@", role));
    let place = Place::new();
    place.write(
        "accounts.json",
        accounts::retailer([accounts::user(JWEIR)]).to_string(),
    );

    let missing = "may not create or migrate the tables of thanos-login";
    for command in [&["init"][..], &["serve"], &["seed"]] {
        let args = [command, &["--db", &least]].concat();
        place.run(&args).failed_naming(&least, missing);
    }
    place.run(&["init", "--db", &owner]).succeeded();
    place.run(&["init", "--db", &least]).succeeded();
    let seed = [
        "seed",
        "accounts.json",
        "--bcrypt-cost",
        "10",
        "--db",
        &least,
    ];
    place.run(&seed).succeeded();
    place.run(&seed).succeeded();

    let server = super::serve(&place, &least, &[]);
    let token = server.login(JWEIR, PASSWORD).token();
    assert_good(&server, &token);
    let org = place
        .run(&["org", "list", "--json", "--db", &least])
        .succeeded()
        .stdout;
    let org: serde_json::Value = serde_json::from_str(org.lines().next().unwrap()).unwrap();
    let org = org["name"].as_str().unwrap();
    for (command, input) in [
        (&["org", "add", "Acme", "--type", "RETAILER"][..], ""),
        (
            &[
                "org",
                "set",
                "Acme",
                "--account-manager-email",
                "ann@acme.example",
            ],
            "",
        ),
        (&["org", "rename", "Acme", "Acme-Retail"], ""),
        (&["org", "set-status", "Acme-Retail", "ACTIVE"], ""),
        (&["org", "show", org], ""),
        (
            &[
                "user",
                "add",
                "a@acme.example",
                "--org",
                "Acme-Retail",
                "--generate",
                "--permission",
                "sell",
            ],
            "",
        ),
        (
            &["user", "set", "a@acme.example", "--first-name", "Ann"],
            "",
        ),
        (&["user", "passwd", "a@acme.example", "--generate"], ""),
        (&["user", "rename", "a@acme.example", "b@acme.example"], ""),
        (&["user", "move", "b@acme.example", "--org", org], ""),
        (&["user", "set-status", "b@acme.example", "DEACTIVATED"], ""),
        (&["user", "unlock", "b@acme.example"], ""),
        (&["user", "show", "b@acme.example"], ""),
        (&["user", "history", "b@acme.example"], ""),
        (&["user", "export", "users.csv"], ""),
        (&["user", "import", "users.csv"], ""),
        (&["user", "list", "--locked"], ""),
        (&["token", "list"], ""),
        (&["token", "revoke", "--user", JWEIR], ""),
        (&["token", "purge"], ""),
        (&["user", "delete", "b@acme.example", "--yes"], ""),
        (&["org", "delete", "Acme-Retail", "--yes"], ""),
        (&["events", "list"], ""),
    ] {
        let args = [command, &["--db", &least]].concat();
        place.program(&args).input(input).finish().succeeded();
    }
    let owned = psql(
        &admin,
        "SELECT count(*) FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner WHERE rolname = 'thanos_login'",
    );
    assert_eq!(owned, "0");
    server.login(JWEIR, PASSWORD).token();
    assert_eq!(server.stop().stderr.matches("permission denied").count(), 0);

    psql(&admin, "UPDATE thanos_login.schema_version SET version = 0");
    for command in [&["serve"][..], &["user", "list"]] {
        let args = [command, &["--db", &least]].concat();
        place.run(&args).failed_naming(&least, missing);
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_role_without_any_right_is_reported() {
    let postgres = PostgresServer::start(&[]);
    let admin = postgres.create("accounts");
    let place = Place::new();
    place.run(&["init", "--db", &admin]).succeeded();
    psql(&admin, "CREATE ROLE stranger LOGIN");
    let url = admin.replace("postgres@", "stranger@");
    for command in [&["user", "list"][..], &["serve"], &["init"]] {
        let args = [command, &["--db", &url]].concat();
        place
            .run(&args)
            .failed_naming(&url, "permission denied for schema thanos_login");
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn what_pg_dump_copies_and_pg_restore_puts_back_works_with_its_tokens() {
    let postgres = PostgresServer::start(&[]);
    let url = postgres.create("accounts");
    let place = super::seeded(&url, &accounts::retailer([accounts::user(JWEIR)]));
    let server = super::serve(&place, &url, &[]);
    let token = server.login(JWEIR, PASSWORD).token();
    server.stop();

    for command in [
        &["backup", "copy.db"][..],
        &["restore", "copy.db", "--force"],
    ] {
        let args = [command, &["--db", &url]].concat();
        let finished = place.run(&args);
        finished.failed_naming(&url, "`pg_dump`");
        finished.failed_naming(&url, "`pg_restore`");
    }
    let copy = place.path("accounts.dump").display().to_string();
    let restored = postgres.create("restored");
    for args in [
        ["pg_dump", "-Fc", "-n", "thanos_login", "-f", &copy, &url],
        [
            "pg_restore",
            "--exit-on-error",
            "--no-owner",
            "-d",
            &restored,
            &copy,
            "--single-transaction",
        ],
    ] {
        let done = Command::new(args[0]).args(&args[1..]).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }
    assert_eq!(place.files(""), ["accounts.dump", "accounts.json", "tmp"]);
    let server = super::serve(&place, &restored, &[]);
    assert_good(&server, &token);
    server.login(JWEIR, PASSWORD).token();
}

#[test]
fn a_demo_takes_no_database_on_servers() {
    let place = Place::new();
    let url = "postgres://u@127.0.0.1:1/d";
    place
        .run(&["serve", "--demo", "--db", url])
        .was_wrong_usage(url);
    let demo = place
        .program(&["serve", "--demo"])
        .env("THANOS_LOGIN_DB", url)
        .start();
    demo.login(JWEIR, "thanosrocks").token();
}
