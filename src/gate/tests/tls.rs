//! Clients under TLS.

use super::*;
use crate::gate::tls;

/// Serves `localhost` under an authority in `directory`.
fn tls_server(directory: &std::path::Path) -> Server {
    let tls = Tls::SelfSigned {
        ca_certificate: directory.join("ca.pem"),
        ca_key: directory.join("ca.key"),
        names: vec!["localhost".to_owned()],
    };
    Server::start_with(quick(), |config| Config {
        tls: Some(tls),
        ..config
    })
}

/// A client that trusts the authority in `directory`, and speaks these versions.
fn tls_client(
    directory: &std::path::Path,
    stream: TcpStream,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in tls::read_certificates(&directory.join("ca.pem")).unwrap() {
        roots.add(certificate).unwrap();
    }
    let config = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    rustls::StreamOwned::new(connection, stream)
}

#[test]
fn tls_1_2_and_1_3_carry_requests() {
    let directory = tempfile::tempdir().unwrap();
    let server = tls_server(directory.path());
    assert!(
        server.gate.addresses()[0]
            .to_string()
            .starts_with("https://")
    );
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = tls_client(directory.path(), server.connect(), &[version]);
        let body = "x".repeat(16 * 1024);
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        assert!(read_answer(&mut stream).1.ends_with(&body));
        write!(stream, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").unwrap();
        // Ends with TLS's own farewell, or reading would fail.
        assert_eq!(status(&read_to_end(&mut stream)), 400);
    }
}

#[test]
fn a_silent_or_clumsy_tls_client_holds_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let server = tls_server(directory.path());
    let mut silent = server.connect();
    let mut dripping = server.connect();
    dripping.write_all(&[22]).unwrap();
    assert_eq!(status(&server.talk("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), 0);
    let mut stream = tls_client(directory.path(), server.connect(), rustls::ALL_VERSIONS);
    write!(stream, "GET / HTTP/1.1\r\n{CLOSE}\r\n").unwrap();
    assert_eq!(status(&read_to_end(&mut stream)), 200);
    for stream in [&mut silent, &mut dripping] {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    }
}

#[test]
fn a_certificate_is_read_again_and_the_old_one_kept_when_it_is_bad() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let make = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        std::fs::write(path("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    };
    make();
    let server = Server::start_with(Limits::default(), |config| Config {
        tls: Some(Tls::Files {
            certificate: path("ca.pem"),
            key: path("key.pem"),
        }),
        ..config
    });
    let shown = || {
        let mut stream = tls_client(directory.path(), server.connect(), rustls::ALL_VERSIONS);
        let sent = write!(stream, "GET / HTTP/1.1\r\n{CLOSE}\r\n");
        sent.and_then(|()| stream.read_to_end(&mut Vec::new()))
            .is_ok()
    };
    assert!(shown());
    make();
    assert!(
        !shown(),
        "the client trusts what the server does not show yet"
    );
    server.gate.reload_tls().unwrap();
    assert!(shown());
    std::fs::write(path("key.pem"), "no key").unwrap();
    let error = server.gate.reload_tls().unwrap_err();
    assert!(error.to_string().contains("key.pem"), "{error}");
    assert!(shown());
}
