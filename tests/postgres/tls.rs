//! TLS to the servers of a database: certificates are verified.

use std::fs;

use rcgen::SanType;

use super::network::{ENCODED, Network, USER, certificate};
use crate::harness::Place;
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::postgres::psql;

const RULE: &str = "hostssl all all 127.0.0.1/32 scram-sha-256";

fn this_machine() -> SanType {
    SanType::IpAddress([127, 0, 0, 1].into())
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_server_with_a_certificate_of_the_authority_is_used() {
    let (network, authority) = Network::with_tls(RULE, this_machine());
    let authority = authority.display().to_string();
    let user = format!("{USER}:{ENCODED}");
    let url = network.url(&user, "?channel_binding=require");
    let place = Place::new();
    place.write(
        "accounts.json",
        accounts::retailer([accounts::user(JWEIR)]).to_string(),
    );
    let with_authority = ["--db-ca", &authority, "--db", &url];
    let seed = [
        &["seed", "accounts.json", "--bcrypt-cost", "10"],
        &with_authority[..],
    ]
    .concat();
    place.run(&seed).succeeded();
    let server = place.serve(&with_authority);
    server.login(JWEIR, PASSWORD).token();
    let sessions = psql(
        &network.admin(),
        &format!(
            "SELECT bool_and(ssl), count(*) > 0 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = '{USER}'"
        ),
    );
    assert_eq!(sessions, "t|t");
    for mode in ["require", "verify-ca", "verify-full"] {
        let url = network.url(&user, &format!("?sslmode={mode}"));
        place
            .run(&["user", "list", "--db", &url, "--db-ca", &authority])
            .succeeded();
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_certificate_of_another_authority_or_host_is_refused() {
    let (network, authority) =
        Network::with_tls(RULE, SanType::DnsName("db.example".try_into().unwrap()));
    let authority = authority.display().to_string();
    let user = format!("{USER}:{ENCODED}");
    let place = Place::new();
    let (other, ..) = certificate(this_machine());
    place.write("other.pem", other);
    place.write("empty.pem", "");
    place.write("text.pem", "not a certificate");
    let of_no_authority = "not signed by a trusted authority";
    let of_another_host = "for another host";
    for (mode, authority, named) in [
        ("require", "other.pem", of_no_authority),
        ("verify-ca", "other.pem", of_no_authority),
        ("verify-full", "other.pem", of_no_authority),
        ("require", &authority, of_another_host),
        ("verify-full", &authority, of_another_host),
        ("verify-full", "missing.pem", "missing.pem"),
        ("verify-full", "empty.pem", "empty.pem"),
        ("verify-full", "text.pem", "text.pem"),
    ] {
        let url = network.url(&user, &format!("?sslmode={mode}"));
        for command in [&["init"][..], &["serve"]] {
            let args = [command, &["--db", &url, "--db-ca", authority]].concat();
            place.run(&args).failed_naming(&url, named);
        }
    }
    let url = network.url(&user, "?sslmode=require");
    place
        .run(&["init", "--db", &url])
        .failed_naming(&url, of_no_authority);
    let url = network.url(&user, "?sslmode=verify-ca");
    place
        .run(&["init", "--db", &url, "--db-ca", &authority])
        .succeeded();
    assert!(fs::exists(&authority).unwrap());
}
