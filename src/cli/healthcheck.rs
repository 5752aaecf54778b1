//! `healthcheck`: asks a running server at its first address whether it can answer logins, for containers and systemd.
//!
//! Takes the flags of `serve`. Does not open the database, since only the answer of the running server counts.

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, SignatureScheme, StreamOwned,
};

use super::serve;
use crate::endpoint::health::READY_PATH;
use crate::gate::Address;

/// The maximum time from the start to the answer, however slowly its bytes arrive.
const DEADLINE: Duration = Duration::from_secs(5);

/// The maximum length of a status line, far more than is needed.
const MAX_LINE_BYTES: u64 = 1024;

pub(super) fn run(args: &serve::Args) -> anyhow::Result<()> {
    args.check_tls()?;
    let (address, is_tls) = args.first_address().context("no address to ask at")?;
    let (answered, answer) = mpsc::channel();
    let asked = address.clone();
    // A thread, so that one deadline covers connecting, the handshake and the answer.
    thread::Builder::new()
        .spawn(move || answered.send(ask(&asked, is_tls)))
        .context("cannot start a thread")?;
    let status_line = answer
        .recv_timeout(DEADLINE)
        .map_err(|_| anyhow::anyhow!("no answer within {} s", DEADLINE.as_secs()))
        .and_then(|answer| answer)
        .map_err(|error| explained(address, is_tls, error))?;
    if !status_line.starts_with("HTTP/") {
        bail!(
            "{address}: not ready: what listens there does not speak plain HTTP; give the flags that the server has, such as --tls-cert and --tls-key"
        );
    }
    if status_line.split(' ').nth(1) != Some("200") {
        bail!("{address}: not ready: {}", status_line.trim_end());
    }
    Ok(())
}

/// Adds the address and the probable cause to an error.
fn explained(address: &Address, is_tls: bool, error: anyhow::Error) -> anyhow::Error {
    let io = error.downcast_ref::<io::Error>();
    match io.map(io::Error::kind) {
        Some(ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {
            error.context(format!("{address}: not ready (no server listens there)"))
        }
        Some(ErrorKind::InvalidData | ErrorKind::UnexpectedEof) if is_tls => {
            anyhow::anyhow!("{address}: not ready: what listens there does not speak TLS")
        }
        _ => error.context(format!("{address}: not ready")),
    }
}

fn ask(address: &Address, is_tls: bool) -> anyhow::Result<String> {
    match address {
        Address::Tcp(address) => {
            let stream = TcpStream::connect(reachable(*address))?;
            if is_tls {
                status_line(StreamOwned::new(tls_client()?, stream))
            } else {
                status_line(stream)
            }
        }
        Address::Unix(path) => status_line(UnixStream::connect(path)?),
    }
}

fn status_line(mut stream: impl Read + Write) -> anyhow::Result<String> {
    let request =
        format!("GET {READY_PATH} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE_BYTES)).read_line(&mut line)?;
    Ok(line)
}

/// The address to connect to: loopback instead of an unspecified address.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn tls_client() -> anyhow::Result<ClientConnection> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(ClientConnection::new(
        Arc::new(config),
        ServerName::try_from("localhost")?,
    )?)
}

/// Accepts any certificate: nothing secret is sent, and whether clients trust the certificate is not checked here.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
