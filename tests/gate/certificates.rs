//! Certificates and keys that operators may have: expired, encrypted, of different kinds, half written.

use std::fs;
use std::process::Command;
use std::thread;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PKCS_ED25519, date_time_ymd,
};
use rustix::process::Signal;
use rustls::ALL_VERSIONS;

use super::tls::{assert_logs_in, connect, with_files, write_certificate};
use crate::harness::accounts::{self, JWEIR};
use crate::harness::{Place, Server, eventually, only_in_a_file};

const SELF_SIGNED: [&str; 2] = ["--tls-self-signed", "localhost"];
const REFUSED: &str = "clients will refuse TLS";

/// A certificate that is valid from the first day of one year to the first day of another.
fn dated(key: &KeyPair, from: i32, until: i32) -> String {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.not_before = date_time_ymd(from, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params.self_signed(key).unwrap().pem()
}

/// Writes `tls.pem` with a certificate for each pair of years, and `tls.key`.
fn write_chain(place: &Place, years: &[(i32, i32)]) {
    let key = KeyPair::generate().unwrap();
    let chain: String = years
        .iter()
        .map(|&(from, until)| dated(&key, from, until))
        .collect();
    place.write("tls.pem", chain);
    place.write("tls.key", key.serialize_pem());
}

/// Replaces the certificate of the authority with an expired one for the same key.
fn expire_authority(place: &Place) {
    let key = fs::read_to_string(place.path("thanos-login-ca.key")).unwrap();
    let key = KeyPair::from_pem(&key).unwrap();
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::CommonName, "thanos-login-ca");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.not_before = date_time_ymd(2010, 1, 1);
    params.not_after = date_time_ymd(2020, 1, 1);
    let expired = params.self_signed(&key).unwrap().pem();
    place.write("thanos-login-ca.pem", expired);
}

fn seeded() -> Place {
    Place::seeded(&accounts::retailer([accounts::user(JWEIR)]))
}

#[track_caller]
fn assert_trusted(server: &Server, authority: &str) {
    let authority = server.place.path(authority);
    assert_logs_in(connect(server, &authority, "localhost", ALL_VERSIONS));
}

#[test]
fn a_certificate_that_clients_will_refuse_is_a_warning_at_the_start_and_on_sighup() {
    let place = Place::new();
    let valid = (2020, 2090);
    write_chain(&place, &[valid, (2010, 2020)]);
    let server = with_files(&place);
    let warnings = || server.log().matches(REFUSED).count();
    eventually("it is logged", || warnings() == 1);
    for said in [
        "WARN",
        "tls.pem",
        "certificate 2 of 2 expired on 2020-01-01T00:00:00Z",
    ] {
        assert!(server.log().contains(said), "{}", server.log());
    }
    write_chain(&place, &[(2080, 2090)]);
    server.signal(Signal::HUP);
    let said = "certificate 1 of 1 is not valid before 2080-01-01T00:00:00Z";
    eventually("it is logged", || server.log().contains(said));
    assert_eq!(warnings(), 2);
    write_chain(&place, &[valid]);
    server.signal(Signal::HUP);
    eventually("the files are read", || {
        server.log().matches("read the TLS files again").count() == 2
    });
    assert_eq!(warnings(), 2);
    assert_trusted(&server, "tls.pem");
    server.stop();
}

#[test]
fn an_expired_authority_is_created_again_and_the_log_says_so() {
    let place = seeded();
    place.serve(&SELF_SIGNED).stop();
    let key = fs::read(place.path("thanos-login-ca.key")).unwrap();
    expire_authority(&place);
    let server = place.serve(&SELF_SIGNED);
    assert_trusted(&server, "thanos-login-ca.pem");
    eventually("it is logged", || server.log().contains("expired on"));
    let log = server.log();
    let line = log.lines().find(|line| line.contains("WARN")).unwrap();
    for said in ["expired on 2020-01-01T00:00:00Z", "thanos-login-ca.pem"] {
        assert!(line.contains(said), "{line}");
    }
    assert_eq!(fs::read(place.path("thanos-login-ca.key")).unwrap(), key);
    expire_authority(&place);
    server.signal(Signal::HUP);
    eventually("it is made again while the server runs", || {
        server.log().matches("expired on").count() == 2
    });
    assert_trusted(&server, "thanos-login-ca.pem");
}

#[test]
fn a_half_written_authority_does_not_prevent_a_start() {
    let place = seeded();
    place.serve(&SELF_SIGNED).stop();
    let key = fs::read(place.path("thanos-login-ca.key")).unwrap();
    for left in [&b""[..], &key[..key.len() / 2]] {
        fs::remove_file(place.path("thanos-login-ca.pem")).unwrap();
        place.write("thanos-login-ca.key", left);
        let server = place.serve(&SELF_SIGNED);
        assert_trusted(&server, "thanos-login-ca.pem");
        server.stop();
    }
    let certificate = fs::read(place.path("thanos-login-ca.pem")).unwrap();
    for left in [&b""[..], &certificate[..certificate.len() / 2]] {
        place.write("thanos-login-ca.pem", left);
        let server = place.serve(&SELF_SIGNED);
        assert_trusted(&server, "thanos-login-ca.pem");
        server.stop();
    }
    // Clients trust the existing certificate of the authority.
    fs::remove_file(place.path("thanos-login-ca.key")).unwrap();
    let args = [&["serve"][..], &SELF_SIGNED].concat();
    place.run(&args).failed_naming("no key", "remove both");
}

#[test]
fn servers_that_start_at_once_in_one_directory_have_the_same_authority() {
    only_in_a_file();
    let place = seeded();
    let names = ["1.db", "2.db", "3.db", "4.db"];
    for name in names {
        fs::copy(place.path(Place::DATABASE), place.path(name)).unwrap();
    }
    let servers: Vec<Server> = thread::scope(|scope| {
        let start = |name| place.serve(&[&SELF_SIGNED[..], &["--db", name]].concat());
        let started = names.map(|name| scope.spawn(move || start(name)));
        started.map(|thread| thread.join().unwrap()).into()
    });
    for server in &servers {
        assert_trusted(server, "thanos-login-ca.pem");
    }
    let files = place.files("");
    assert!(!files.iter().any(|name| name.starts_with('.')), "{files:?}");
}

#[test]
#[ignore = "needs strace"]
fn a_start_killed_at_any_moment_does_not_prevent_a_later_one() {
    for call in ["openat", "fchmod", "write", "fsync", "rename"] {
        for when in 1.. {
            let place = Place::new();
            let paths = "-P thanos-login-ca.pem -P thanos-login-ca.key -P .";
            let paths = if call == "openat" { paths } else { "" };
            let strace = format!(
                "exec strace -f -o /dev/null {paths} -e trace={call} \
                 -e inject={call}:signal=KILL:when={when} \"$0\" \"$@\"; true"
            );
            let args = [&["serve"][..], &SELF_SIGNED].concat();
            let killed = place.program(&args).after(&strace).spawn();
            let is_ready = killed.line().is_some();
            drop(killed);
            place.serve(&SELF_SIGNED).stop();
            let files = place.files("");
            assert!(
                !files.iter().any(|name| name.contains("partial")),
                "{files:?}"
            );
            if is_ready {
                break;
            }
        }
    }
}

#[test]
fn keys_that_cannot_be_used_are_refused_with_the_reason() {
    let place = Place::new();
    write_certificate(&place, "tls");
    write_certificate(&place, "other");
    let traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                       DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    let pkcs8 =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let unknown = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    place.write("traditional", traditional);
    place.write("pkcs8", pkcs8);
    place.write("unknown", unknown);
    for (key, said) in [
        ("traditional", "encrypted; `openssl pkey -in traditional"),
        ("pkcs8", "encrypted; `openssl pkey -in pkcs8"),
        ("unknown", "Ed25519"),
        (
            "other.key",
            "does not belong to the first certificate in tls.pem",
        ),
    ] {
        let args = ["serve", "--demo", "--tls-cert", "tls.pem", "--tls-key", key];
        place.run(&args).failed_naming(key, said);
    }
}

#[test]
fn ecdsa_and_ed25519_keys_work() {
    for algorithm in [
        &PKCS_ECDSA_P256_SHA256,
        &PKCS_ECDSA_P384_SHA384,
        &PKCS_ED25519,
    ] {
        let place = Place::new();
        let key = KeyPair::generate_for(algorithm).unwrap();
        place.write("tls.pem", dated(&key, 2020, 2090));
        place.write("tls.key", key.serialize_pem());
        assert_trusted(&with_files(&place), "tls.pem");
    }
}

/// Creates `tls.key` with these openssl commands, and `tls.pem` for it.
#[track_caller]
fn openssl(place: &Place, commands: &str) {
    let script = format!(
        "set -e; {commands}; openssl req -x509 -key tls.key -subj /CN=localhost \
         -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:false -days 2 -out tls.pem"
    );
    let output = Command::new("sh")
        .args(["-c", &script])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert!(output.status.success(), "{commands}: {output:?}");
}

#[test]
#[ignore = "needs openssl"]
fn the_kinds_of_keys_that_openssl_makes_work_or_are_named() {
    for commands in [
        "openssl genrsa -traditional -out tls.key 2048",
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out tls.key",
        "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out tls.key",
        "openssl ecparam -genkey -name prime256v1 -out tls.key",
        "openssl ecparam -genkey -name secp384r1 -noout -out tls.key",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out tls.key",
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out tls.key",
        "openssl genpkey -algorithm ED25519 -out tls.key",
        "openssl genpkey -algorithm ED25519 -aes256 -pass pass:x -out encrypted; \
         openssl pkey -in encrypted -passin pass:x -out tls.key",
    ] {
        let place = Place::new();
        openssl(&place, commands);
        assert_trusted(&with_files(&place), "tls.pem");
    }
    let args = [
        "serve",
        "--demo",
        "--tls-cert",
        "tls.pem",
        "--tls-key",
        "tls.key",
    ];
    for commands in [
        "openssl genrsa -out tls.key 1024",
        "openssl ecparam -genkey -name secp521r1 -out tls.key",
        "openssl genpkey -algorithm ED448 -out tls.key",
    ] {
        let place = Place::new();
        openssl(&place, commands);
        place
            .run(&args)
            .failed_naming(commands, "supported are RSA with");
    }
    for encrypt in [
        "openssl pkey -in tls.key -aes256 -passout pass:x -out encrypted",
        "openssl rsa -traditional -in tls.key -aes256 -passout pass:x -out encrypted",
    ] {
        let place = Place::new();
        openssl(&place, "openssl genrsa -out tls.key 2048");
        openssl(&place, &format!("{encrypt}; cp tls.key plain"));
        fs::rename(place.path("encrypted"), place.path("tls.key")).unwrap();
        place.run(&args).failed_naming(encrypt, "encrypted");
    }
}
