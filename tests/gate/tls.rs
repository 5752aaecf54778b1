//! TLS: the certificate that clients get, its authority, and reloading it.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{
    ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

use super::login;
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{
    Connection, DEADLINE, HeldPort, JSON, LOGIN, Place, Server, eventually, login_body, request,
};

pub(super) type Stream = StreamOwned<ClientConnection, TcpStream>;

fn address(server: &Server) -> SocketAddr {
    let address = server.ready_line.strip_prefix("listening on https://");
    address.unwrap().parse().unwrap()
}

/// A client that trusts the certificates in this file, speaks these versions and calls the server by this name.
pub(super) fn connect(
    server: &Server,
    trusted: &Path,
    name: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> Stream {
    over(
        TcpStream::connect(address(server)).unwrap(),
        trusted,
        name,
        versions,
    )
}

/// A TLS client over a stream that is already connected.
pub(super) fn over(
    stream: TcpStream,
    trusted: &Path,
    name: &str,
    versions: &[&'static SupportedProtocolVersion],
) -> Stream {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(trusted).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    StreamOwned::new(
        ClientConnection::new(Arc::new(config), name).unwrap(),
        stream,
    )
}

/// Sends a request, reads the answer and returns its status.
pub(super) fn status(stream: &mut Stream, bytes: &[u8]) -> io::Result<u16> {
    Ok(answer(stream, bytes)?.0)
}

/// Sends a request, reads the answer and returns its status and body.
pub(super) fn answer(stream: &mut Stream, bytes: &[u8]) -> io::Result<(u16, String)> {
    stream.write_all(bytes)?;
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(value) = head[start..].strip_prefix("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok((
        head[9..12].parse().unwrap(),
        String::from_utf8(body).unwrap(),
    ))
}

fn login_status(stream: &mut Stream) -> io::Result<u16> {
    status(stream, &login())
}

#[track_caller]
pub(super) fn assert_logs_in(mut stream: Stream) {
    assert_eq!(login_status(&mut stream).unwrap(), 200);
    // The second login uses the same connection.
    assert_eq!(login_status(&mut stream).unwrap(), 200);
}

/// A self-signed certificate for `localhost`, and its key.
pub(super) fn write_certificate(place: &Place, name: &str) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    place.write(
        &format!("{name}.pem"),
        params.self_signed(&key).unwrap().pem(),
    );
    place.write(&format!("{name}.key"), key.serialize_pem());
}

pub(super) fn with_files(place: &Place) -> Server {
    let args = [
        "serve",
        "--demo",
        "--tls-cert",
        "tls.pem",
        "--tls-key",
        "tls.key",
    ];
    place.program(&args).start()
}

#[test]
fn a_byte_order_mark_is_not_part_of_a_certificate_or_key() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    write_certificate(&place, "tls");
    let trusted = place.path("trusted.pem");
    fs::copy(place.path("tls.pem"), &trusted).unwrap();
    for name in ["tls.pem", "tls.key"] {
        let pem = fs::read_to_string(place.path(name)).unwrap();
        place.write(name, format!("\u{feff}{pem}"));
    }
    let server = with_files(&place);
    assert_logs_in(connect(&server, &trusted, "localhost", ALL_VERSIONS));
}

#[test]
fn both_tls_versions_work_with_a_generated_certificate() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let names = [
        "--tls-self-signed",
        "stable.projectthanos.com",
        "--tls-self-signed",
        "127.0.0.1",
    ];
    let server = place.serve(&names);
    let authority = place.path("thanos-login-ca.pem");
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        for name in ["stable.projectthanos.com", "127.0.0.1"] {
            assert_logs_in(connect(&server, &authority, name, &[version]));
        }
    }
    let other_name = login_status(&mut connect(
        &server,
        &authority,
        "projectthanos.com",
        ALL_VERSIONS,
    ));
    assert!(other_name.is_err(), "it is not made for that name");
}

#[test]
fn a_full_body_arrives_and_a_refusal_ends_as_tls_ends() {
    let place = Place::new();
    write_certificate(&place, "tls");
    let server = with_files(&place);
    let body = format!("{:16384}", login_body(JWEIR, PASSWORD));
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = connect(&server, &place.path("tls.pem"), "localhost", &[version]);
        let login = request("POST", LOGIN, &[JSON], &body);
        assert_eq!(status(&mut stream, &login).unwrap(), 200);
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut refusal = String::new();
        // Reading fails unless the server ends the stream with close_notify.
        stream.read_to_string(&mut refusal).unwrap();
        assert!(refusal.starts_with("HTTP/1.1 400 "), "{refusal}");
    }
}

#[test]
fn the_authority_is_private_and_reused_and_its_path_is_logged() {
    let place = Place::new();
    let flags = ["--tls-self-signed", "localhost", "--log-level", "off"];
    let server = place.serve(&flags);
    let path = place.path("thanos-login-ca.pem");
    let shown_path = format!(" {} ", path.display());
    eventually("the certificate's path is logged", || {
        server.log().contains(&shown_path)
    });
    let line = server
        .log()
        .lines()
        .filter(|line| line.contains(&shown_path))
        .count();
    assert_eq!(line, 1);
    let mode = |name: &str| fs::metadata(place.path(name)).unwrap().permissions().mode();
    assert_eq!(mode("thanos-login-ca.key") & 0o777, 0o600);
    let before = fs::read(&path).unwrap();
    server.stop();
    let server = place.serve(&flags);
    assert_eq!(
        fs::read(&path).unwrap(),
        before,
        "clients go on trusting it"
    );
    let mut stream = connect(&server, &path, "localhost", ALL_VERSIONS);
    stream.flush().unwrap();
    assert!(
        stream
            .conn
            .peer_certificates()
            .is_none_or(|chain| !chain.is_empty())
    );
    server.stop();
}

#[test]
fn a_demo_leaves_no_authority_behind() {
    let place = Place::new();
    let server = place
        .program(&["serve", "--demo", "--tls-self-signed", "localhost"])
        .start();
    let mut path = None;
    eventually("the certificate's path is logged", || {
        path = server
            .log()
            .split_whitespace()
            .find(|word| word.ends_with("thanos-login-ca.pem"))
            .map(str::to_owned);
        path.is_some()
    });
    let path = path.unwrap();
    assert_logs_in(connect(
        &server,
        Path::new(&path),
        "localhost",
        ALL_VERSIONS,
    ));
    server.stop();
    assert!(!Path::new(&path).exists());
    assert_eq!(place.files(""), ["tmp"]);
}

#[test]
fn files_are_read_again_on_sighup_and_the_old_ones_stay_when_the_new_are_bad() {
    let place = Place::new();
    write_certificate(&place, "tls");
    fs::copy(place.path("tls.pem"), place.path("trusted.pem")).unwrap();
    let server = with_files(&place);
    let shows = |trusted: &str| {
        let trusted = place.path(trusted);
        login_status(&mut connect(&server, &trusted, "localhost", ALL_VERSIONS)).is_ok()
    };
    assert!(shows("trusted.pem"));
    let mut kept = connect(
        &server,
        &place.path("trusted.pem"),
        "localhost",
        ALL_VERSIONS,
    );
    login_status(&mut kept).unwrap();

    write_certificate(&place, "tls");
    assert!(shows("trusted.pem"), "nobody has said so yet");
    server.signal(Signal::HUP);
    eventually("the new one is shown", || shows("tls.pem"));
    assert!(!shows("trusted.pem"));
    login_status(&mut kept).unwrap();

    for (label, name, content) in [
        ("no key", "tls.key", "no key"),
        ("no certificate", "tls.pem", "no certificate"),
    ] {
        let good = fs::read(place.path(name)).unwrap();
        fs::copy(place.path("tls.pem"), place.path("trusted.pem")).unwrap();
        let logged = server.log().matches(" ERROR ").count();
        place.write(name, content);
        server.signal(Signal::HUP);
        eventually("the bad file is logged", || {
            server.log().matches(" ERROR ").count() > logged
        });
        assert!(server.log().contains(name), "{label}: {}", server.log());
        place.write(name, good);
        assert!(shows("tls.pem"), "{label}");
    }
    // This key belongs to another certificate.
    write_certificate(&place, "other");
    fs::copy(place.path("other.key"), place.path("tls.key")).unwrap();
    let logged = server.log().matches(" ERROR ").count();
    server.signal(Signal::HUP);
    eventually("the wrong key is logged", || {
        server.log().matches(" ERROR ").count() > logged
    });
    assert!(shows("tls.pem"));
    server.stop();
}

#[test]
fn bad_files_at_the_start_are_one_line_and_exit_1() {
    let place = Place::new();
    write_certificate(&place, "good");
    write_certificate(&place, "other");
    place.write("empty", "");
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    place.write("broken", broken);
    for (certificate, key, named) in [
        ("missing", "good.key", "missing"),
        ("good.pem", "missing", "missing"),
        ("empty", "good.key", "empty"),
        ("good.pem", "empty", "empty"),
        ("broken", "good.key", "broken"),
        ("good.pem", "good.pem", "good.pem"),
        ("good.pem", "other.key", "other.key"),
    ] {
        let args = [
            "serve",
            "--demo",
            "--tls-cert",
            certificate,
            "--tls-key",
            key,
        ];
        place
            .run(&args)
            .failed_naming(&format!("{certificate}, {key}"), named);
    }
    place
        .run(&["serve", "--demo", "--tls-cert", "good.pem"])
        .was_wrong_usage("no key");
}

#[test]
fn a_handshake_that_fails_is_logged_and_counted() {
    let metrics = HeldPort::new();
    let metrics_address = metrics.on_loopback().to_string();
    let flags = ["--tls-self-signed", "localhost", "--metrics-listen"];
    let server = Server::demo_with(&[&flags[..], &[&metrics_address]].concat());
    let count = "thanos_login_connections_refused_total{reason=\"tls_handshake\"}";
    let counted = || {
        let mut connection = Connection::to(metrics.on_loopback());
        connection.send(request("GET", "/metrics", &[], ""));
        let metrics = connection.answer();
        let value = metrics.text().split_once(count).unwrap().1;
        value.lines().next().unwrap().trim().to_owned()
    };
    let send = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(address(&server)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes).unwrap();
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    };
    // A health check of a load balancer.
    send(b"");
    assert_eq!(counted(), "0");
    let hello = [0x16, 3, 1, 0, 100, 1];
    for (bytes, problem) in [
        (&login()[..], "the client did not use TLS"),
        (&hello, "the client closed the connection"),
    ] {
        send(bytes);
        eventually("it is logged", || server.log().contains(problem));
    }
    assert_eq!(counted(), "2");
    let log = server.stop().stderr;
    assert_eq!(log.matches("TLS handshake failed").count(), 2, "{log}");
    assert!(log.contains("peer=\"127.0.0.1\""), "{log}");
}

#[test]
fn plain_http_on_a_tls_port_is_closed_and_half_a_handshake_blocks_nobody() {
    let place = Place::new();
    write_certificate(&place, "tls");
    let server = with_files(&place);
    let mut half = TcpStream::connect(address(&server)).unwrap();
    half.write_all(&[22]).unwrap();
    let _silent = TcpStream::connect(address(&server)).unwrap();
    for bytes in [login(), b"\r\n\r\n".to_vec(), vec![0xFF; 3_000]] {
        let mut stream = TcpStream::connect(address(&server)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(&bytes).unwrap();
        let mut alert = Vec::new();
        // A reset ends the connection too.
        let _ = stream.read_to_end(&mut alert);
        assert!(!alert.starts_with(b"HTTP"), "{}", alert.escape_ascii());
    }
    assert_logs_in(connect(
        &server,
        &place.path("tls.pem"),
        "localhost",
        ALL_VERSIONS,
    ));
}
