//! A start that fails leaves nothing behind, whatever the reason; and when a start creates a database.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;

use rcgen::{CertificateParams, KeyPair};

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Launch, Place};

/// Flags for everything that a start can create besides the database.
const ALL: [&str; 4] = [
    "--listen",
    "unix:first.sock",
    "--tls-self-signed",
    "localhost",
];

fn write_certificate(place: &Place, name: &str) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    place.write(&format!("{name}.pem"), pem);
    place.write(&format!("{name}.key"), key.serialize_pem());
}

/// The names of all files in a test directory and in its temporary directory.
fn everything(place: &Place) -> Vec<String> {
    [place.files(""), place.files("tmp")].concat()
}

/// Checks that a start fails with a message that contains `named` and creates no file. The directory already has what makes
/// it fail.
#[track_caller]
fn fails_without_trace(place: &Place, start: Launch, label: &str, named: &str) {
    let before = everything(place);
    start.finish().failed_naming(label, named);
    assert_eq!(everything(place), before, "{label}");
}

#[test]
fn a_start_that_fails_leaves_no_database_no_certificate_and_no_socket_file() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let long = format!("unix:{}.sock", "a".repeat(120));
    let rows: &[(&[&str], &str)] = &[
        (
            &["--tls-cert", "nowhere.pem", "--tls-key", "a.key"],
            "nowhere.pem",
        ),
        (
            &["--tls-cert", "a.pem", "--tls-key", "nowhere.key"],
            "nowhere.key",
        ),
        (&["--tls-cert", "a.pem", "--tls-key", "b.key"], "b.key"),
        (&["--tls-cert", "text", "--tls-key", "a.key"], "text"),
        (&["--tls-self-signed", "not a name"], "not a name"),
        (
            &["--tls-self-signed", "localhost,under_score-"],
            "under_score-",
        ),
        (&[&ALL[..], &["--listen", &taken]].concat(), &taken),
        (&[&ALL[..], &["--listen", "unix:text"]].concat(), "text"),
        (
            &[&ALL[..], &["--listen", "unix:nowhere/a.sock"]].concat(),
            "nowhere/a.sock",
        ),
        (&[&ALL[..], &["--listen", &long]].concat(), &long),
        (
            &[&ALL[..], &["--listen", "unix:first.sock"]].concat(),
            "first.sock",
        ),
        (
            &[&ALL[..], &["--listen", "unix:answered.sock"]].concat(),
            "answered.sock",
        ),
        (&[&ALL[..], &["--metrics-listen", &taken]].concat(), &taken),
        (&[&ALL[..], &["--db", "text"]].concat(), "text"),
        (&[&ALL[..], &["--db", "tmp"]].concat(), "tmp"),
        (&[&ALL[..], &["--db", "nothing.db"]].concat(), "nothing.db"),
        (
            &[&ALL[..], &["--db", "link.db", "--create"]].concat(),
            "link.db",
        ),
        (
            &[&ALL[..], &["--db", "nowhere/a.db", "--create"]].concat(),
            "nowhere/a.db",
        ),
        (
            &[&ALL[..], &["--demo", "--fixture", "nowhere.json"]].concat(),
            "nowhere.json",
        ),
        (
            &[&ALL[..], &["--demo", "--fixture", "text"]].concat(),
            "JSON",
        ),
    ];
    let place = Place::new();
    write_certificate(&place, "a");
    write_certificate(&place, "b");
    place.write(
        "text",
        "no database, no certificate, no socket and no fixture\n".repeat(20),
    );
    symlink("nothing", place.path("link.db")).unwrap();
    let _answering = UnixListener::bind(place.path("answered.sock")).unwrap();
    for (flags, named) in rows {
        let start = place.program(&[&["serve"], *flags].concat());
        fails_without_trace(&place, start, &format!("{flags:?}"), named);
    }
    let nowhere = place.path("nowhere").display().to_string();
    let start = place.program(&[&["serve"], &ALL[..]].concat());
    fails_without_trace(&place, start.env("TMPDIR", &nowhere), "TMPDIR", &nowhere);

    // Something else than a file in the place of a file of the authority.
    for name in ["thanos-login-ca.pem", "thanos-login-ca.key"] {
        symlink("nothing", place.path(name)).unwrap();
        let start = place.program(&[&["serve"], &ALL[..]].concat());
        fails_without_trace(&place, start, "a dangling link", name);
        fs::remove_file(place.path(name)).unwrap();
    }

    // A key and a certificate that do not belong together.
    let key = KeyPair::generate().unwrap().serialize_pem();
    place.write("thanos-login-ca.key", key);
    place.write(
        "thanos-login-ca.pem",
        fs::read(place.path("a.pem")).unwrap(),
    );
    let start = place.program(&[&["serve"], &ALL[..]].concat());
    fails_without_trace(&place, start, "another authority", "remove both");
}

#[test]
fn a_start_with_too_few_descriptors_leaves_nothing_behind() {
    let place = Place::new();
    let empty = everything(&place);
    let mut failed = 0;
    for limit in 8..48 {
        let flags = [
            "--tls-self-signed",
            "localhost",
            "--metrics-listen",
            "127.0.0.1:0",
        ];
        let start = place.program(&[&["serve"], &flags[..]].concat());
        match start.after(&format!("ulimit -n {limit}")).try_start() {
            Err(finished) => {
                assert_eq!(finished.code, Some(1), "{limit}: {finished:?}");
                assert!(
                    finished.stderr.contains("ulimit -n"),
                    "{limit}: {finished:?}"
                );
                assert_eq!(everything(&place), empty, "{limit}");
                failed += 1;
            }
            Ok(server) => {
                server.stop();
                break;
            }
        }
    }
    assert!((4..40).contains(&failed), "{failed}");
}

/// The limit applies to all processes of a user, so this needs a user of its own.
#[test]
#[ignore = "needs root"]
fn a_start_with_too_few_threads_leaves_nothing_behind() {
    let own_user = [
        "setpriv",
        "--reuid=64321",
        "--regid=64321",
        "--clear-groups",
    ];
    let place = Place::new();
    for name in ["", "tmp"] {
        fs::set_permissions(place.path(name), Permissions::from_mode(0o777)).unwrap();
    }
    let before = everything(&place);
    let mut failed = 0;
    for limit in 1..80 {
        let flags = [
            "--tls-self-signed",
            "localhost",
            "--metrics-listen",
            "127.0.0.1:0",
            "--hash-threads",
            "1",
        ];
        let start = place.program(&[&["serve"], &flags[..]].concat());
        let nproc = format!("--nproc={limit}");
        let limited = start.under(&own_user).under(&["prlimit", &nproc]);
        match limited.try_start() {
            Err(finished) => {
                finished.failed_naming(&limit.to_string(), "thread");
                assert_eq!(everything(&place), before, "{limit}");
                failed += 1;
            }
            Ok(server) => {
                server.stop();
                break;
            }
        }
    }
    assert!((20..60).contains(&failed), "{failed}");
}

#[test]
fn a_database_whose_name_is_given_is_created_only_when_requested() {
    let place = Place::new();
    let given = [
        (place.program(&["serve", "--db", "typo.db"]), ""),
        (
            place.program(&["serve"]).env("THANOS_LOGIN_DB", "typo.db"),
            "(from THANOS_LOGIN_DB)",
        ),
        (place.program(&["serve", "--db", "./typo.db"]), "./typo.db"),
    ];
    let absolute = place.path("typo.db").display().to_string();
    for (start, source) in given {
        let refused = start.finish();
        for named in [
            "typo.db` creates it",
            "thanos-login init --db ",
            "--create",
            source,
        ] {
            assert!(refused.stderr.contains(named), "{named}: {refused:?}");
        }
        refused.failed_naming("a typing error", &absolute);
    }
    place
        .run(&["serve", "--db", Place::DATABASE])
        .failed_naming("the default, given", Place::DATABASE);
    assert_eq!(everything(&place), ["tmp"]);

    place.serve(&[]).stop();
    place.serve(&["--db", "flag.db", "--create"]).stop();
    let variable = place.program(&["serve", "--db", "variable.db"]);
    variable.env("THANOS_LOGIN_CREATE", "true").start().stop();
    // An empty variable counts as unset.
    let empty = place.program(&["serve"]).env("THANOS_LOGIN_DB", "");
    empty.start().stop();
    let files = ["flag.db", Place::DATABASE, "tmp", "variable.db"];
    assert_eq!(everything(&place), files);

    place
        .seed(&accounts::retailer([accounts::user(JWEIR)]))
        .succeeded();
    let server = place.serve(&["--db", Place::DATABASE, "--create"]);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    place
        .run(&["serve", "--demo", "--create"])
        .was_wrong_usage("a demo has its own");
}

#[cfg(not(feature = "postgres"))]
#[test]
fn the_url_of_a_database_needs_a_build_with_postgresql() {
    let place = Place::new();
    for command in [&["serve"][..], &["init"], &["user", "list"]] {
        let args = [command, &["--db", "postgres://u:hunter2@127.0.0.1/d"]].concat();
        let finished = place.run(&args);
        finished.was_wrong_usage("a URL");
        assert!(finished.stderr.contains("this build has no PostgreSQL"));
        assert!(!finished.stderr.contains("hunter2"), "{finished:#?}");
    }
    assert_eq!(place.files(""), ["tmp"]);
}
