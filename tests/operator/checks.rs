//! `check`: one line per finding, and exit code 1 if there are any.

use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::json;

use super::{fails_with, json_lines, run};
use crate::harness::accounts;
use crate::harness::{Place, eventually, only_in_a_file};

/// The name of a check, and the function that causes its finding.
type Problem = (&'static str, fn(&Place));

fn good() -> Place {
    let place = Place::new();
    run(&place, &["init"]);
    run(&place, &["org", "add", "Acme", "--type", "RETAILER"]);
    place
        .program(&[
            "user",
            "add",
            "jane@acme.com",
            "--org",
            "Acme",
            "--generate",
        ])
        .finish()
        .succeeded();
    place
}

/// The names of the checks that found something.
#[track_caller]
fn found(place: &Place) -> Vec<String> {
    let checked = place.run(&["check", "--json"]);
    assert_eq!(checked.stderr, "");
    let names: Vec<String> = json_lines(&checked)
        .iter()
        .map(|finding| {
            assert!(finding["message"].is_string());
            finding["check"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(checked.code, Some(i32::from(!names.is_empty())));
    let text = place.run(&["check"]);
    assert_eq!(text.code, checked.code);
    assert_eq!(text.stdout, "");
    assert_eq!(text.stderr.lines().count(), names.len(), "{text:?}");
    names
}

/// A certificate that is valid from the first day of one year to the first day of another.
fn certificate(from: i32, until: i32) -> String {
    let mut params = CertificateParams::default();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    let made = params.self_signed(&KeyPair::generate().unwrap());
    made.unwrap().pem()
}

#[test]
fn a_good_database_has_no_findings_beside_a_server_too() {
    let place = good();
    assert_eq!(found(&place), [""; 0]);
    let _server = place.program(&["serve"]).start();
    assert_eq!(found(&place), [""; 0]);
}

#[test]
fn each_check_finds_its_own_problem() {
    only_in_a_file();
    let rows: &[Problem] = &[
        ("file_mode", |place| {
            let path = place.path(Place::DATABASE);
            fs::set_permissions(path, Permissions::from_mode(0o640)).unwrap();
        }),
        ("directory_mode", |place| {
            fs::set_permissions(place.path(""), Permissions::from_mode(0o777)).unwrap();
        }),
        ("bcrypt_cost", |place| {
            place
                .seed(&accounts::retailer([accounts::user("x")]))
                .succeeded();
        }),
        ("demo_users", |place| {
            let jweir = "3a7acb28-ab13-437e-8c35-46cf4f0bea49";
            place
                .sql()
                .execute("UPDATE users SET uuid = ?1", &[&jweir])
                .unwrap();
        }),
        ("pinned_tokens", |place| {
            let pin = "INSERT INTO tokens (digest, user_id, issued_at, pinned) \
                       VALUES (randomblob(32), 1, 0, '0000000000000000000000000000000000000000')";
            place.sql().execute(pin, &[]).unwrap();
        }),
        ("expired_tokens", |place| {
            let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= 10000) \
                        INSERT INTO tokens (digest, user_id, issued_at, expires_at) \
                        SELECT randomblob(32), 1, 0, 1 FROM n";
            place.sql().execute(many, &[]).unwrap();
        }),
        ("wal", |place| {
            // A log that is as long as one that was never restarted, but without a page in it.
            let log = place.path(&format!("{}-wal", Place::DATABASE));
            let mut options = OpenOptions::new();
            let log = options.create_new(true).write(true).mode(0o600).open(log);
            log.unwrap().set_len(65 << 20).unwrap();
        }),
        ("foreign_keys", |place| {
            let sql = place.file();
            sql.pragma_update(None, "foreign_keys", false).unwrap();
            sql.execute("DELETE FROM organizations", []).unwrap();
        }),
        ("schema", |place| {
            place
                .file()
                .pragma_update(None, "user_version", 99)
                .unwrap();
        }),
        ("integrity", |place| {
            let path = place.path(Place::DATABASE);
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() - 4096]).unwrap();
        }),
        ("certificate", |place| {
            place.write("thanos-login-ca.pem", certificate(2010, 2020))
        }),
        ("certificate", |place| {
            place.write("thanos-login-ca.pem", "")
        }),
        ("database", |place| {
            fs::write(place.path(Place::DATABASE), "x".repeat(5000)).unwrap();
        }),
        ("database", |place| {
            fs::remove_file(place.path(Place::DATABASE)).unwrap();
        }),
    ];
    for (check, cause) in rows {
        let place = good();
        cause(&place);
        assert_eq!(found(&place), [*check]);
    }
}

#[test]
fn users_who_make_every_login_expensive_are_named_if_they_can_log_in() {
    let place = good();
    let hash = bcrypt::hash(accounts::PASSWORD, 13).unwrap();
    let users =
        ["bomb", "off"].map(|username| json!({"username": username, "password_hash": hash}));
    let mut fixture = accounts::retailer(users);
    fixture["organizations"][0]["users"][1]["status"] = "DEACTIVATED".into();
    let said = place.seed(&fixture).succeeded();
    assert!(
        said.stderr.starts_with("warning: ") && said.stderr.contains("than 10: 2, up to cost 13"),
        "{said:?}"
    );
    let text = place.run(&["check"]).stderr;
    let finding = text
        .lines()
        .find(|line| line.starts_with("expensive_hash: "));
    let finding = finding.unwrap_or_else(|| panic!("{text}"));
    assert!(finding.contains("\"bomb\" (cost 13);"), "{finding}");
    let server = place.serve(&[]);
    server.login("bomb", accounts::PASSWORD).token();
    eventually("its login changes it", || {
        !place.run(&["check"]).stderr.contains("expensive_hash")
    });
}

#[test]
fn findings_name_the_next_step() {
    only_in_a_file();
    let place = good();
    place.seed(&json!({"organizations": []})).succeeded();
    fs::set_permissions(place.path(Place::DATABASE), Permissions::from_mode(0o644)).unwrap();
    let text = place.run(&["check"]).stderr;
    assert!(
        text.contains("chmod 600") && text.contains("0644"),
        "{text}"
    );
}

#[test]
fn each_certificate_that_clients_will_refuse_is_a_finding() {
    let place = good();
    let valid = certificate(2020, 2090);
    let (expired, early) = (certificate(2010, 2020), certificate(2080, 2090));
    place.write("tls.pem", [&*valid, &expired, &early].concat());
    // With a certificate of the operator, the program's own authority is not in use.
    place.write("thanos-login-ca.pem", &expired);
    let by_flag = place.run(&["check", "--tls-cert", "tls.pem"]);
    let variable = ("THANOS_LOGIN_TLS_CERT", "tls.pem");
    let by_variable = place
        .program(&["check"])
        .env(variable.0, variable.1)
        .finish();
    for (checked, source) in [
        (by_flag, ""),
        (by_variable, " (from THANOS_LOGIN_TLS_CERT)"),
    ] {
        assert_eq!(
            checked.stderr,
            format!(
                "certificate: tls.pem: certificate 2 of 3 expired on 2020-01-01T00:00:00Z; \
                 put a valid one there and send SIGHUP to the server{source}\n\
                 certificate: tls.pem: certificate 3 of 3 is not valid before 2080-01-01T00:00:00Z; \
                 put a valid one there and send SIGHUP to the server{source}\n"
            )
        );
        assert_eq!(checked.code, Some(1));
    }
    place.write("tls.pem", valid);
    run(&place, &["check", "--tls-cert", "tls.pem"]);
    fails_with(
        &place,
        &["check", "--tls-cert", "missing.pem"],
        "missing.pem",
    );
}
