//! TLS at the gate: which certificate it shows, and reading it again.
//!
//! rustls with ring, TLS 1.2 and 1.3. Handshakes run in the connection's own thread; nothing process-wide is set.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};
use zeroize::Zeroizing;

use super::authority;

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// PEM files: the certificate with its chain, and its key.
    Files {
        /// The certificate first, then those that issued it.
        certificate: PathBuf,
        /// The certificate's key.
        key: PathBuf,
    },
    /// A certificate made for these names, issued by an authority of our own that clients can be told to trust.
    SelfSigned {
        /// The authority's certificate. Written if it is missing, otherwise used again.
        ca_certificate: PathBuf,
        /// The authority's key, for its owner only. Written if it is missing, otherwise used again.
        ca_key: PathBuf,
        /// Names and IP addresses that clients call the server by.
        names: Vec<String>,
    },
}

/// Why there is no certificate to show.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What stands in the way.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What stands in the way.
        #[source]
        source: io::Error,
    },
    /// The file has no PEM section `CERTIFICATE`, or a broken one.
    #[error("{0} holds no certificate in PEM form")]
    NoCertificate(PathBuf),
    /// The file has no PEM section with a private key, or a broken one.
    #[error("{0} holds no private key in PEM form")]
    NoKey(PathBuf),
    /// The two cannot be used together; most often they do not belong together.
    #[error("cannot use {certificate} with {key}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        #[source]
        source: rustls::Error,
    },
    /// A name that cannot stand in a certificate.
    #[error("no certificate can be made for {0:?}")]
    Name(String),
    /// Making a certificate failed.
    #[error("cannot make a certificate")]
    Issue(#[from] rcgen::Error),
}

/// A certificate's chain and key, ready to be shown.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
    /// The files to be named when the two do not go together.
    pub(super) files: (PathBuf, PathBuf),
}

/// What new connections are greeted with; it can be replaced while the gate runs.
#[derive(Debug)]
pub(super) struct Greeting {
    source: Tls,
    config: RwLock<Arc<ServerConfig>>,
}

impl Greeting {
    pub(super) fn new(source: Tls) -> Result<Greeting, TlsError> {
        let config = RwLock::new(load(&source)?);
        Ok(Greeting { source, config })
    }

    /// Reads the files again. After an error the old certificate stays.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let config = load(&self.source)?;
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
        Ok(())
    }

    pub(super) fn greet(&self) -> Result<ServerConnection, rustls::Error> {
        let config = self.config.read().unwrap_or_else(PoisonError::into_inner);
        ServerConnection::new(Arc::clone(&config))
    }
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn load(source: &Tls) -> Result<Arc<ServerConfig>, TlsError> {
    let identity = match source {
        Tls::Files { certificate, key } => read_files(certificate, key)?,
        Tls::SelfSigned {
            ca_certificate,
            ca_key,
            names,
        } => authority::issue(ca_certificate, ca_key, names)?,
    };
    let Identity { chain, key, files } = identity;
    let unusable = |source| TlsError::Unusable {
        certificate: files.0,
        key: files.1,
        source,
    };
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read_files(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
    Ok(Identity {
        chain: read_certificates(certificate)?,
        key: read_key(key)?,
        files: (certificate.to_owned(), key.to_owned()),
    })
}

pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError::NoCertificate(path.to_owned())),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = Zeroizing::new(read(path)?);
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| TlsError::NoKey(path.to_owned()))
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}
