//! The URL of a database: a wrong one is wrong usage, and servers that cannot be used are named in one line.

use std::net::TcpListener;

use rcgen::SanType;

use super::network::{ENCODED, Network, SECRET, USER};
use crate::harness::postgres::PostgresServer;
use crate::harness::{HeldPort, Place};

#[test]
fn a_wrong_url_is_wrong_usage_and_shows_no_password() {
    let place = Place::new();
    for url in [
        "postgres://u:hunter2@127.0.0.1",
        "postgres://u:hunter2@127.0.0.1:x/d",
        "postgres://u:hunter2@127.0.0.1:1,b:2/d?port=1,2,3",
        "postgres://u:hunter2@127.0.0.1/d?sslmode=prefer",
        "postgres://u:hunter2@127.0.0.1/d?nonsense=1",
        "postgres://u:hunter2@127.0.0.1/d?target_session_attrs=standby",
        "postgres://u:hunter2%zz@127.0.0.1/d",
        "postgres://u:x@hunter2@127.0.0.1/d",
        "postgres://u:x/hunter2@127.0.0.1/d",
        "postgres://u:hunter2@/d",
        "mysql://u:hunter2@127.0.0.1/d",
        "postgresql+psycopg2://u:hunter2@127.0.0.1/d",
        "jdbc:postgresql://127.0.0.1/d?user=u&password=hunter2",
    ] {
        for command in [
            &["serve"][..],
            &["serve", "--check-config"],
            &["init"],
            &["seed"],
            &["user", "list"],
            &["backup", "copy.db"],
            &["restore", "copy.db"],
            &["check"],
        ] {
            let by_flag = place.run(&[command, &["--db", url]].concat());
            let by_variable = place.program(command).env("THANOS_LOGIN_DB", url).finish();
            for finished in [by_flag, by_variable] {
                let label = format!("{command:?} {url}");
                assert_eq!(finished.code, Some(2), "{label}: {finished:#?}");
                assert!(
                    !format!("{finished:?}").contains("hunter2"),
                    "{label}: {finished:#?}"
                );
            }
        }
    }
    assert_eq!(place.files(""), ["tmp"]);
}

#[test]
fn an_authority_needs_tls() {
    let place = Place::new();
    let clear = "postgres://u@127.0.0.1/d?sslmode=disable";
    for flags in [["--db", "x.db"], ["--db", clear]] {
        let args = [&["init", "--db-ca", "ca.pem"][..], &flags].concat();
        place.run(&args).was_wrong_usage(flags[1]);
    }
    let args = ["serve", "--demo", "--db-ca", "ca.pem"];
    place.run(&args).was_wrong_usage("--demo");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn servers_that_cannot_be_used_are_named_in_one_line() {
    let network = Network::start("host all all 127.0.0.1/32 scram-sha-256");
    let place = Place::new();
    let held = HeldPort::new();
    let nobody = held.number;
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let socket = place.path("").display().to_string().replace('/', "%2F");
    let right = format!("{USER}:{ENCODED}");
    let port = network.port.number;
    for (url, named) in [
        (
            format!("postgres://u@127.0.0.1:{nobody}/d"),
            format!(
                "127.0.0.1:{nobody}/d: cannot use the database server: the connection was refused"
            ),
        ),
        (
            format!("postgres://u@{socket}/d"),
            "no such socket".to_owned(),
        ),
        (
            format!("postgres://u@{silent}/d"),
            format!(
                "{silent}/d: cannot use the database server: the server gave no answer in time"
            ),
        ),
        (
            "postgres://u@nowhere.invalid/d".to_owned(),
            "nowhere.invalid:5432/d".to_owned(),
        ),
        (network.url(USER, ""), "asks for a password".to_owned()),
        (
            network.url(&format!("{USER}:hunter2"), ""),
            "PGPASSFILE".to_owned(),
        ),
        (
            format!("postgres://{right}@127.0.0.1:{port}/elsewhere"),
            "\"elsewhere\" does not exist; `createdb` creates it".to_owned(),
        ),
        (
            network.url(&right, "?sslmode=require"),
            "the server does not support TLS".to_owned(),
        ),
        (
            format!("postgres://{right}@127.0.0.1:{nobody},127.0.0.1:{nobody}/d"),
            format!("127.0.0.1:{nobody},127.0.0.1:{nobody}/d"),
        ),
    ] {
        for command in [&["serve"][..], &["init"], &["user", "list"]] {
            let finished = place.run(&[command, &["--db", &url]].concat());
            finished.failed_naming(&url, &named);
            assert!(!finished.stderr.contains("hunter2"), "{finished:#?}");
            assert!(!finished.stderr.contains(SECRET), "{finished:#?}");
        }
    }
}

#[test]
fn a_failure_names_the_variable_that_the_url_comes_from() {
    let place = Place::new();
    let port = HeldPort::new();
    let url = format!("postgres://u:hunter2@127.0.0.1:{}/d", port.number);
    let finished = place
        .program(&["user", "list"])
        .env("THANOS_LOGIN_DB", &url)
        .finish();
    finished.failed_naming(&url, "(from THANOS_LOGIN_DB)");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn hosts_and_ports_may_be_parameters() {
    let postgres = PostgresServer::start(&[]);
    postgres.create("accounts");
    let place = Place::new();
    let directory = postgres.directory().display();
    for url in [
        format!("postgres://postgres@/accounts?host={directory}"),
        format!("postgres:///accounts?host={directory}&user=postgres&port=5432"),
        format!("postgres://postgres@127.0.0.1/?host=/nowhere,{directory}&dbname=accounts"),
        format!(
            "postgresql://postgres@/accounts?host={directory}&application_name=x&connect_timeout=3&options=-c%20work_mem%3D1MB&sslmode=verify-full"
        ),
    ] {
        place.run(&["init", "--db", &url]).succeeded();
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_server_that_requires_tls_refuses_connections_without_it() {
    let (network, _) = Network::with_tls(
        "hostssl all all 127.0.0.1/32 scram-sha-256",
        SanType::IpAddress([127, 0, 0, 1].into()),
    );
    let url = network.url(&format!("{USER}:{ENCODED}"), "?sslmode=disable");
    let finished = Place::new().run(&["init", "--db", &url]);
    finished.failed_naming(&url, "no pg_hba.conf entry");
    finished.failed_naming(&url, &network.shown());
}
