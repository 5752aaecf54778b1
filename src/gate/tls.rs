//! TLS at the gate: which certificate it shows, and reading it again.
//!
//! rustls with ring, TLS 1.2 and 1.3. Handshakes run in the connection's own thread; nothing process-wide is set.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig, ServerConnection};
use zeroize::Zeroizing;

use super::authority;
use super::validity::{self, Validity};
use crate::text::without_mark;

/// Between two attempts to renew a certificate, or two warnings that it has expired.
const ATTENTION_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The permissions of a file by which every user can read or write it.
const EVERYBODY: u32 = 0o006;

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
        /// The authority's certificate. Written if it is missing or has expired, otherwise used again.
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
    /// The private key is protected by a password.
    #[error("the key in {0} is encrypted; `openssl pkey -in {0} -out FILE` writes it decrypted")]
    Encrypted(PathBuf),
    /// The private key is of a kind that rustls with ring does not know.
    #[error(
        "the key in {0} cannot be used: RSA of 2048 to 4096 bits, ECDSA on P-256 or P-384, and Ed25519 can"
    )]
    UnsupportedKey(PathBuf),
    /// The key is another certificate's.
    #[error("the key in {key} does not belong to the first certificate in {certificate}")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The files of an own authority that clients may trust already, so that it is not made again.
    #[error(
        "{problem}: put back the files that belong together, or remove both {certificate} and {key} and let clients trust the new certificate"
    )]
    Authority {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What is wrong with them.
        problem: &'static str,
    },
    /// The two cannot be used.
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
    /// The operating system gave no random bytes.
    #[error("no random number for a certificate")]
    Random(#[source] io::Error),
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
    /// Outside of this it needs attention.
    pub(super) validity: Validity,
}

/// What new connections are greeted with; it can be replaced while the gate runs.
#[derive(Debug)]
pub(super) struct Greeting {
    source: Tls,
    shown: RwLock<Shown>,
    /// When a certificate outside of its validity was last looked after.
    attended: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct Shown {
    config: Arc<ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
    validity: Validity,
}

impl Greeting {
    pub(super) fn new(source: Tls) -> Result<Greeting, TlsError> {
        Greeting::at(source, Timestamp::now())
    }

    fn at(source: Tls, now: Timestamp) -> Result<Greeting, TlsError> {
        let shown = RwLock::new(load(&source, now)?);
        Ok(Greeting {
            source,
            shown,
            attended: Mutex::new(None),
        })
    }

    /// Reads the files again. After an error the old certificate stays.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let now = Timestamp::now();
        self.reload_at(now)?;
        self.warn(now);
        Ok(())
    }

    fn reload_at(&self, now: Timestamp) -> Result<(), TlsError> {
        let shown = load(&self.source, now)?;
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = shown;
        Ok(())
    }

    pub(super) fn greet(self: &Arc<Self>) -> Result<ServerConnection, rustls::Error> {
        let now = Timestamp::now();
        if self.needs_attention(now) {
            let greeting = Arc::clone(self);
            // It reads files, and the thread that accepts connections waits for nothing.
            let thread = thread::Builder::new().name("gate-certificate".to_owned());
            if let Err(error) = thread.spawn(move || greeting.attend(now)) {
                tracing::warn!(%error, "no thread to renew the certificate");
            }
        }
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        ServerConnection::new(Arc::clone(&shown.config))
    }

    fn needs_attention(&self, now: Timestamp) -> bool {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        if shown.validity.includes(now) {
            return false;
        }
        let mut attended = self.attended.lock().unwrap_or_else(PoisonError::into_inner);
        if attended.is_some_and(|attended| attended.elapsed() < ATTENTION_PAUSE) {
            return false;
        }
        *attended = Some(Instant::now());
        true
    }

    /// Renews a certificate of our own; about any other the operator is warned, since its files are read on request only.
    fn attend(&self, now: Timestamp) {
        match &self.source {
            Tls::Files { .. } => self.warn_of_dates(now),
            Tls::SelfSigned { .. } => match self.reload_at(now) {
                Ok(()) => tracing::info!("renewed the TLS certificate"),
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(%error, cause, "cannot renew the TLS certificate");
                }
            },
        }
    }

    /// Logs what is wrong with the files, which can be used all the same.
    pub(super) fn warn(&self, now: Timestamp) {
        let key = match &self.source {
            Tls::Files { key, .. } => key,
            Tls::SelfSigned { ca_key, .. } => ca_key,
        };
        if fs::metadata(key).is_ok_and(|key| key.permissions().mode() & EVERYBODY != 0) {
            tracing::warn!(path = %key.display(), "every user of this machine can read or replace the TLS key: `chmod o-rw` keeps them out");
        }
        self.warn_of_dates(now);
    }

    /// Logs what clients will refuse; the next attention is due after a pause.
    fn warn_of_dates(&self, now: Timestamp) {
        let path = match &self.source {
            Tls::Files { certificate, .. } => certificate,
            Tls::SelfSigned { ca_certificate, .. } => ca_certificate,
        };
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner);
        let problems = validity::problems(&shown.chain, now);
        drop(shown);
        for problem in problems {
            tracing::warn!(path = %path.display(), "clients will refuse TLS: {problem}");
        }
        *self.attended.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }
}

/// What clients will refuse at this moment about the certificates in a file, one sentence for each.
///
/// # Errors
/// When the file cannot be read, or holds no certificate.
pub fn certificate_problems(path: &Path, now: Timestamp) -> Result<Vec<String>, TlsError> {
    Ok(validity::problems(&read_certificates(path)?, now))
}

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn load(source: &Tls, now: Timestamp) -> Result<Shown, TlsError> {
    let identity = match source {
        Tls::Files { certificate, key } => read_files(certificate, key)?,
        Tls::SelfSigned {
            ca_certificate,
            ca_key,
            names,
        } => authority::issue(ca_certificate, ca_key, names, now)?,
    };
    let chain = identity.chain.clone();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = builder.with_no_client_auth();
            builder.with_single_cert(identity.chain, identity.key)
        });
    let mut config = config.map_err(|error| unusable(identity.files, error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Shown {
        config: Arc::new(config),
        chain,
        validity: identity.validity,
    })
}

fn unusable((certificate, key): (PathBuf, PathBuf), error: rustls::Error) -> TlsError {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            TlsError::Mismatch { certificate, key }
        }
        // Only what reads the key has errors that are so general.
        rustls::Error::General(_) => TlsError::UnsupportedKey(key),
        source => TlsError::Unusable {
            certificate,
            key,
            source,
        },
    }
}

fn read_files(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
    let chain = read_certificates(certificate)?;
    Ok(Identity {
        validity: Validity::of_all(&chain),
        chain,
        key: read_key(key)?,
        files: (certificate.to_owned(), key.to_owned()),
    })
}

pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(without_mark(&bytes));
    match certificates.collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError::NoCertificate(path.to_owned())),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = Zeroizing::new(read(path)?);
    let pem = without_mark(&bytes);
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        if is_encrypted(pem) {
            TlsError::Encrypted(path.to_owned())
        } else {
            TlsError::NoKey(path.to_owned())
        }
    })
}

/// In PKCS #8, or as OpenSSL encrypted keys before.
pub(super) fn is_encrypted(pem: &[u8]) -> bool {
    pem.split(|&byte| byte == b'\n').any(|line| {
        line.starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
            || line.starts_with(b"Proc-Type: 4,ENCRYPTED")
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|source| TlsError::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    #[test]
    fn a_certificate_of_our_own_is_renewed_at_half_its_life_and_tried_no_more_than_hourly() {
        let directory = tempfile::tempdir().unwrap();
        let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let source = Tls::SelfSigned {
            ca_certificate: directory.path().join("ca.pem"),
            ca_key: directory.path().join("ca.key"),
            names: vec!["localhost".to_owned()],
        };
        let greeting = Greeting::at(source, start).unwrap();
        let chain = || greeting.shown.read().unwrap().chain.clone();
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        assert!(!greeting.needs_attention(start));
        assert!(!greeting.needs_attention(start + days(190)));
        let (first, late) = (chain(), start + days(200));
        assert!(greeting.needs_attention(late));
        assert!(!greeting.needs_attention(late), "somebody is at it");
        greeting.attend(late);
        let second = chain();
        assert_ne!(first[0], second[0]);
        assert_eq!(first[1], second[1], "clients trust the authority");
        assert!(!greeting.needs_attention(late));
        assert!(validity::problems(&second, late + days(190)).is_empty());

        fs::write(directory.path().join("ca.key"), "").unwrap();
        greeting.attend(late + days(200));
        assert_eq!(chain(), second, "after an error the old one stays");
    }

    #[test]
    fn a_certificate_that_expires_while_it_is_shown_is_noticed_once_an_hour() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let pair = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2030, 1, 1);
        let pem = params.self_signed(&pair).unwrap().pem();
        fs::write(path("tls.pem"), pem).unwrap();
        fs::write(path("tls.key"), pair.serialize_pem()).unwrap();
        let source = Tls::Files {
            certificate: path("tls.pem"),
            key: path("tls.key"),
        };
        let greeting = Greeting::at(source, Timestamp::UNIX_EPOCH).unwrap();
        let expired: Timestamp = "2030-01-01T00:00:01Z".parse().unwrap();
        assert!(!greeting.needs_attention("2030-01-01T00:00:00Z".parse().unwrap()));
        assert!(greeting.needs_attention(expired));
        assert!(!greeting.needs_attention(expired));
    }
}
