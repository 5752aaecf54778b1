//! TLS to the servers of a database: certificates are verified.

use std::fs;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, SanType, date_time_ymd};

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

/// The program itself accepts such an authority, so that nothing else shows it.
#[test]
fn an_authority_that_is_not_valid_now_is_a_warning_and_a_finding() {
    let place = Place::new();
    let write = |name: &str, from: i32, until: i32| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        place.write(name, params.self_signed(&key).unwrap().pem());
    };
    write("old.pem", 2010, 2020);
    write("early.pem", 2080, 2090);
    write("valid.pem", 2020, 2090);
    // Nothing listens there.
    let url = "postgres://somebody@127.0.0.1:1/accounts";
    for (authority, problem) in [
        ("old.pem", "expired on 2020-01-01T00:00:00Z"),
        ("early.pem", "is not valid before 2080-01-01T00:00:00Z"),
    ] {
        let flags = ["--db", url, "--db-ca", authority];
        let checked = place.run(&[&["serve", "--check-config"][..], &flags].concat());
        let warning = format!("warning: --db-ca {authority}: certificate 1 of 1 {problem}");
        assert!(checked.stderr.contains(&warning), "{checked:#?}");
        let found = place.run(&[&["check"][..], &flags].concat()).stderr;
        let finding = format!("certificate: {authority}: certificate 1 of 1 {problem}");
        assert!(found.contains(&finding), "{found}");
    }
    for authority in ["valid.pem", "missing.pem"] {
        let flags = ["--db", url, "--db-ca", authority];
        let checked = place.run(&[&["serve", "--check-config"][..], &flags].concat());
        assert!(!checked.stderr.contains("warning"), "{checked:#?}");
        let found = place.run(&[&["check"][..], &flags].concat()).stderr;
        assert!(!found.contains("certificate:"), "{found}");
    }
}
