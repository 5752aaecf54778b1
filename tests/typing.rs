//! What people type: flags in any position, commands of other programs, wrong values and wrong files. Each message says what
//! to do, without the wording of libraries.

use std::fs;
use std::process::Command;

use rcgen::{CertificateParams, KeyPair};
use serde_json::Value;

use crate::harness::accounts::{self, JWEIR};
use crate::harness::{Finished, Place, only_in_a_file};

/// Runs the program with these space-separated arguments.
#[track_caller]
fn run(place: &Place, words: &str) -> Finished {
    place.run(&words.split(' ').collect::<Vec<_>>())
}

/// Texts that only readers of the source, or of the libraries, understand.
const LIBRARY_WORDS: [&str; 20] = [
    "Error code",
    "file:",
    "mode=ro",
    "KeyMismatch",
    "InvalidCertificate",
    "BadEncoding",
    "InvalidContentType",
    "corrupt message",
    "peer certificate",
    "EOF while",
    "expected value",
    "invalid digit",
    "invalid character",
    "invalid length",
    "error parsing",
    "invalid socket address",
    "not a boolean",
    "filter directive",
    "readonly database",
    "unable to open",
];

#[track_caller]
fn is_plain(label: &str, finished: &Finished) {
    let text = &finished.stderr;
    let talk = LIBRARY_WORDS.iter().find(|talk| text.contains(**talk));
    assert_eq!(talk, None, "{label}: {text}");
    // An error number may follow plain words, as an explanation.
    let numbers = text.matches("os error").count();
    assert_eq!(
        text.matches(" (os error ").count(),
        numbers,
        "{label}: {text}"
    );
}

#[track_caller]
fn is_corrected(words: &str, correction: &str) {
    let place = Place::new();
    let refused = run(&place, words);
    refused.was_wrong_usage(words);
    assert!(
        refused.stderr.contains(correction),
        "{words}: {}",
        refused.stderr
    );
    is_plain(words, &refused);
    assert_eq!(place.files(""), ["tmp"], "{words}");
}

#[test]
fn a_flag_works_before_after_and_between_the_words_of_its_command() {
    only_in_a_file();
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    fs::rename(place.path(Place::DATABASE), place.path("x.db")).unwrap();
    let expected = run(&place, "user list --db x.db --json").succeeded().stdout;
    assert!(expected.contains(JWEIR));
    for words in [
        "--db x.db user list --json",
        "--db=x.db --json user list",
        "user --db x.db --json list",
        "--json user --db=x.db list",
        "--db x.db user --json list",
        "-q --db x.db user list --json",
    ] {
        assert_eq!(run(&place, words).succeeded().stdout, expected, "{words}");
    }
    let missing = place
        .program(&["--db", "nowhere.db", "user", "list"])
        .env("THANOS_LOGIN_DB", "x.db")
        .finish();
    missing.failed_naming("the flag wins", "nowhere.db");
    assert!(!missing.stderr.contains("THANOS_LOGIN_DB"), "{missing:?}");
    let server = place
        .program(&[
            "--db",
            "x.db",
            "--listen",
            "127.0.0.1:0",
            "serve",
            "--bcrypt-cost",
            "10",
        ])
        .start();
    assert_eq!(server.login(JWEIR, accounts::PASSWORD).status, 200);
    assert_eq!(
        place.files(""),
        ["accounts.json", "tmp", "x.db", "x.db-shm", "x.db-wal"]
    );
}

#[test]
fn a_flag_in_two_places_or_of_another_command_is_wrong_usage() {
    only_in_a_file();
    is_corrected(
        "--db a.db user list --db b.db",
        "cannot be used multiple times",
    );
    is_corrected("--demo user list", "--demo is a flag of `serve`");
    is_corrected("--demo", "--demo is a flag of `serve`");
    is_corrected(
        "user --with-users list",
        "--with-users is a flag of `org delete`",
    );
    is_corrected("--db", "--db");
    is_corrected("user list --db", "a value is required");
}

#[test]
fn words_of_other_programs_are_answered_with_those_of_this_one() {
    only_in_a_file();
    for (words, correction) in [
        ("adduser", "thanos-login user add"),
        ("useradd jane", "thanos-login user add"),
        ("add-user", "thanos-login user add"),
        ("user create", "thanos-login user add"),
        ("createsuperuser", "thanos-login user add"),
        ("user remove jane", "thanos-login user delete"),
        ("userdel", "thanos-login user delete"),
        ("users", "thanos-login user list"),
        ("orgs", "thanos-login org list"),
        ("list users", "thanos-login user list"),
        ("ls tokens", "thanos-login token list"),
        ("list", "thanos-login org list"),
        ("organization show Acme", "thanos-login org show"),
        ("user info jane", "thanos-login user show"),
        ("start", "thanos-login serve"),
        ("run", "thanos-login serve"),
        ("server", "thanos-login serve"),
        ("demo", "thanos-login serve --demo"),
        ("passwd jane", "thanos-login user passwd"),
        ("lock jane", "thanos-login user set-status USER DEACTIVATED"),
        (
            "user disable jane",
            "thanos-login user set-status USER DEACTIVATED",
        ),
        ("unlock jane", "thanos-login user unlock"),
        ("event list", "thanos-login events list"),
        ("audit", "thanos-login events list"),
        ("history jane", "thanos-login user history"),
        ("user log jane", "thanos-login user history"),
        ("user transfer jane", "thanos-login user move"),
        ("token logout", "thanos-login token revoke"),
        ("version", "thanos-login --version"),
        ("history", "thanos-login user history"),
        ("logs", "thanos-login events list"),
        ("user search jane", "thanos-login user list"),
        ("migrate", "thanos-login init"),
        ("user lst", "list"),
        ("serve --port 8080", "--listen 127.0.0.1:8080"),
        ("serve --port=80 --host 0.0.0.0", "--listen 0.0.0.0:80"),
        ("serve -p 8080", "--listen 127.0.0.1:8080"),
        ("--port 8080 serve", "--listen 127.0.0.1:8080"),
        ("serve --host ::1", "--listen [::1]:8080"),
        ("serve --socket /run/x.sock", "--listen unix:/run/x.sock"),
        ("serve 8080", "--listen 127.0.0.1:8080"),
        ("serve --database x.db", "--db x.db"),
        ("serve --cert x.pem", "--tls-cert x.pem"),
        ("serve -v", "--log-level debug"),
        ("user list --organization Acme", "--org Acme"),
        ("user delete jane -y", "--yes"),
        ("user list --output json", "--json"),
        ("serve --listen 8080", "127.0.0.1:8080"),
        ("serve --listen :8080", "127.0.0.1:8080"),
        ("serve --listen host.example:80", "0.0.0.0:80"),
        ("serve --listen ::1:80", "[::1]:80"),
        ("serve --listen /run/x.sock", "unix:/run/x.sock"),
        ("serve --metrics-listen 9464", "127.0.0.1:9464"),
        (
            "serve --metrics-listen unix:x",
            "not IP:PORT or localhost:PORT",
        ),
    ] {
        is_corrected(words, correction);
    }
    let help = run(&Place::new(), "help user add").succeeded().stdout;
    assert!(help.contains("Usage: thanos-login user add"), "{help}");
}

#[test]
fn conflicting_flags_are_answered_with_the_usage_of_their_command() {
    for (words, usage) in [
        ("user set jane", "thanos-login user set [OPTIONS] <USER>"),
        ("serve --tls-cert x.pem", "thanos-login serve [OPTIONS]"),
    ] {
        is_corrected(words, &format!("Usage: {usage}\n"));
    }
}

#[test]
fn a_missing_file_is_answered_with_the_command_that_creates_it() {
    only_in_a_file();
    let place = Place::new();
    for words in [
        "user list --db typo.db",
        "backup copy.db --db typo.db",
        "serve --db typo.db",
    ] {
        run(&place, words).failed_naming(words, "`thanos-login init --db typo.db`");
    }
    let words = "restore missing.db";
    let refused = run(&place, words);
    refused.failed_naming(words, "missing.db: there is no such backup");
    assert!(!refused.stderr.contains("init"), "{refused:?}");
}

#[test]
fn a_password_that_is_an_argument_is_not_shown() {
    for flag in ["--password=geheim1", "--pass=geheim1"] {
        let refused = run(&Place::new(), &format!("user add jane {flag} --org Acme"));
        refused.was_wrong_usage(flag);
        assert!(refused.stderr.contains("--password-stdin"), "{refused:?}");
        assert!(!refused.stderr.contains("geheim1"), "{refused:?}");
    }
}

#[test]
fn a_message_about_a_wrong_value_says_what_a_right_one_is() {
    for (words, named) in [
        ("user list --limit x", "whole number"),
        ("user list --limit -1", "whole number from 0"),
        ("user list --limit 99999999999", "too large"),
        (
            "user add jane --org Acme --uuid zz",
            "32 hexadecimal digits",
        ),
        (
            "org add A --type RETAILER --party-uuid 1",
            "32 hexadecimal digits",
        ),
        ("serve --max-tokens-per-user x", "whole number from 1"),
        ("serve --failed-logins-per-user x", "whole number from 0"),
        ("serve --failed-logins-per-user -1", "whole number from 0"),
        (
            "serve --max-connections-per-client x",
            "whole number from 0",
        ),
        ("serve --max-head 0", "whole number from 1"),
        ("serve --log-level loud", "info, debug"),
        ("serve --trusted-proxy x", "10.0.0.0/8"),
        ("serve --socket-mode x", "0660"),
        ("serve --token-ttl 10", "250ms"),
        ("calibrate --hash-lanes 99", "from 1 to 10"),
    ] {
        is_corrected(words, named);
    }
    for (name, value, named) in [
        ("RUST_LOG", "x=y=z", "warn,thanos_login"),
        ("RUST_LOG", "[", "warn,thanos_login"),
        ("THANOS_LOGIN_DEMO", "maybe", "true or false"),
        ("THANOS_LOGIN_METRICS_LISTEN", "9464", "127.0.0.1:9464"),
    ] {
        let refused = Place::new().program(&["serve"]).env(name, value).finish();
        refused.was_wrong_usage(name);
        assert!(refused.stderr.contains(named), "{refused:?}");
        is_plain(name, &refused);
    }
}

fn write_certificates(place: &Place) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    place.write("cert.pem", certificate.pem());
    place.write("cert.der", certificate.der());
    place.write("key.pem", key.serialize_pem());
    place.write("key.der", key.serialize_der());
    place.write("other.key", KeyPair::generate().unwrap().serialize_pem());
    let broken = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n";
    place.write("broken.pem", broken);
    place.write("empty", "");
    place.write("text", "a text");
    fs::create_dir(place.path("dir")).unwrap();
}

#[test]
fn a_failure_names_its_cause_and_what_to_do_about_it() {
    only_in_a_file();
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    write_certificates(&place);
    place.write("cut.json", "{\"organizations\": [");
    let long = "x".repeat(120);
    let unix_too_long = format!("serve --demo --listen unix:{long}");
    let demo = "serve --demo --listen 127.0.0.1:0";
    let tls = |files: &str| format!("{demo} {files}");
    for (words, named) in [
        (
            tls("--tls-cert cert.der --tls-key key.pem"),
            "openssl x509 -inform DER -in cert.der",
        ),
        (
            tls("--tls-cert cert.pem --tls-key key.der"),
            "openssl pkey -inform DER -in key.der",
        ),
        (
            tls("--tls-cert empty --tls-key key.pem"),
            "empty contains no certificate in PEM format: the file is empty",
        ),
        (tls("--tls-cert text --tls-key key.pem"), "-----BEGIN"),
        (
            tls("--tls-cert dir --tls-key key.pem"),
            "cannot read dir: Is a directory",
        ),
        (
            tls("--tls-cert key.pem --tls-key key.pem"),
            "--tls-cert takes the certificate",
        ),
        (
            tls("--tls-cert cert.pem --tls-key other.key"),
            "does not belong to",
        ),
        (
            tls("--tls-cert broken.pem --tls-key key.pem"),
            "a certificate is damaged",
        ),
        (
            tls("--tls-self-signed *.*.x"),
            "\"*.*.x\": use a host name such as",
        ),
        (
            "serve --demo --listen unix:nowhere/x".to_owned(),
            "there is no directory nowhere",
        ),
        (unix_too_long, "107 bytes"),
        (
            "serve --demo --allow-remote-demo --listen [fe80::1]:80".to_owned(),
            "ip link",
        ),
        (
            "serve --demo --allow-remote-demo --listen 203.0.113.7:80".to_owned(),
            "ip address",
        ),
        (
            "init --db nowhere/x.db".to_owned(),
            "there is no directory nowhere",
        ),
        ("init --db text/x.db".to_owned(), "text is not a directory"),
        ("init --db dir".to_owned(), "not a regular file"),
        ("user list --db text".to_owned(), "not an SQLite database"),
        ("user list --db nowhere.db".to_owned(), "thanos-login init"),
        (
            "backup nowhere/x.db".to_owned(),
            "there is no directory nowhere",
        ),
        (
            "user export nowhere/x.csv".to_owned(),
            "there is no directory nowhere",
        ),
        (
            "man --out nowhere".to_owned(),
            "there is no directory nowhere",
        ),
        (
            "seed nowhere.json".to_owned(),
            "nowhere.json: cannot read the fixture",
        ),
        ("seed cut.json".to_owned(), "the file ends too early"),
        ("seed empty".to_owned(), "the file is empty"),
        (
            "seed text".to_owned(),
            "not JSON: a mistake at line 1 column 1",
        ),
        (
            "healthcheck --listen unix:nowhere.sock".to_owned(),
            "no server listens there",
        ),
    ] {
        let failed = run(&place, &words);
        failed.failed_naming(&words, named);
        is_plain(&words, &failed);
    }
    let failed = place
        .program(&["serve", "--demo"])
        .env("TMPDIR", "/nowhere")
        .finish();
    failed.failed_naming("TMPDIR", "there is no directory /nowhere");
}

#[test]
fn an_address_in_use_says_how_to_find_the_other_program() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let words = format!("serve --demo --listen {}", taken.local_addr().unwrap());
    run(&Place::new(), &words).failed_naming(&words, "ss -ltnp");
}

#[test]
fn healthcheck_says_that_the_flags_are_not_those_of_the_server() {
    let place = Place::new();
    write_certificates(&place);
    let tls = "--tls-cert cert.pem --tls-key key.pem";
    let plain = place.serve(&[]);
    let asked = run(
        &place,
        &format!("healthcheck --listen {} {tls}", plain.address()),
    );
    asked.failed_naming("TLS", "does not speak TLS");
    is_plain("TLS", &asked);
    let secure = place.serve(&tls.split(' ').collect::<Vec<_>>());
    let address = secure
        .ready_line
        .trim_start_matches("listening on https://");
    let asked = run(&place, &format!("healthcheck --listen {address}"));
    asked.failed_naming("plain", "does not speak plain HTTP");
}

/// Root can read and write every file, so the program runs as another user.
#[test]
fn a_file_without_permission_says_who_needs_what() {
    only_in_a_file();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    write_certificates(&place);
    let open = |mode: &str, name: &str| {
        let status = Command::new("chmod")
            .args([mode, name])
            .current_dir(place.path(""))
            .status();
        assert!(status.unwrap().success());
    };
    open("777", ".");
    open("777", "tmp");
    open("755", "dir");
    open("600", "key.pem");
    place.run(&["init", "--db", "dir/x.db"]).succeeded();
    open("644", "dir/x.db");
    for (words, named) in [
        ("user list", "user 65534, who runs this"),
        (
            "user list --db dir/x.db",
            "not writable: user 65534, who runs this",
        ),
        ("init --db dir/new.db", "user 65534, who runs this"),
        (
            "serve --demo --tls-cert cert.pem --tls-key key.pem",
            "user 65534, who runs this",
        ),
        (
            "serve --demo --listen unix:dir/x.sock",
            "user 65534, who runs this",
        ),
        ("user export --db dir/x.db out.csv", "not writable"),
    ] {
        let failed = place
            .program(&words.split(' ').collect::<Vec<_>>())
            .without_root()
            .finish();
        failed.failed_naming(words, named);
        is_plain(words, &failed);
    }
}

#[test]
fn quiet_suppresses_messages_and_no_results() {
    only_in_a_file();
    let place = Place::new();
    for words in [
        "init -q",
        "-q org add Acme --type RETAILER",
        "org set-status Acme PENDING --quiet",
        "org -q rename Acme Acme-Retail",
        "token purge -q -q",
        "backup copy.db -q",
    ] {
        let finished = run(&place, words).succeeded();
        assert_eq!(
            (finished.stdout.as_str(), finished.stderr.as_str()),
            ("", ""),
            "{words}"
        );
    }
    let added = run(
        &place,
        "-q user add jane@acme.example --org Acme-Retail --generate --bcrypt-cost 10",
    );
    let added = added.succeeded().stdout;
    assert!(
        added.starts_with("password: ") && added.lines().count() == 1,
        "{added}"
    );
    let json = run(&place, "-q org set-status Acme-Retail ACTIVE --json").succeeded();
    assert!(json.stdout.contains("\"status\":\"ACTIVE\""), "{json:?}");
    let listed = run(&place, "-q org list").succeeded();
    assert!(listed.stdout.contains("Acme-Retail"), "{listed:?}");
    run(&place, "-q org show nothing").failed_naming("an error", "no such organization");
}

#[test]
fn the_help_names_every_field_that_is_shown() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    for words in ["user list", "user list --locked", "org list", "events list"] {
        let table = run(&place, words).succeeded().stdout;
        let headings = table.lines().next().unwrap().split("  ");
        let help = run(&place, &format!("{words} --help")).succeeded().stdout;
        for heading in headings.filter(|heading| !heading.is_empty()) {
            assert!(help.contains(&format!("{} (", heading.trim())), "{heading}");
        }
    }
    let org = run(&place, "org list --json").succeeded().stdout;
    let org: Value = serde_json::from_str(&org).unwrap();
    let org = org["uuid"].as_str().unwrap().to_owned();
    for (shows, words) in [
        ("user show", format!("user show {JWEIR} --json")),
        ("org show", format!("org show {org} --json")),
        ("token purge", "token purge --json".to_owned()),
        ("events list", "events list --json --limit 1".to_owned()),
    ] {
        let object = run(&place, &words).succeeded().stdout;
        let help = run(&place, &format!("{shows} --help")).succeeded().stdout;
        let (_, named) = help.split_once("Fields (keys of --json):").unwrap();
        let named: Vec<&str> = named.lines().nth(1).unwrap().trim().split(", ").collect();
        let object: Value = serde_json::from_str(&object).unwrap();
        let mut keys: Vec<&String> = object.as_object().unwrap().keys().collect();
        keys.sort();
        let mut sorted = named.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, keys, "{shows}");
    }
}
