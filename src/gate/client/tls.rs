//! TLS at the gate: loads the certificate, reloads and renews it.
//!
//! Uses rustls with ring, and offers TLS 1.2 and 1.3. Handshakes run in the connection's own thread. No process-wide
//! setting is changed.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Mutex, RwLock};
use rustls::pki_types::CertificateDer;
use rustls::{InconsistentKeys, InvalidMessage, ServerConfig, ServerConnection};

use super::authority;
use super::certificate::{
    Identity, Tls, TlsError, certificate_problems, problem, provider, read_files,
};
use super::validity::{self, Validity};

/// Time between two attempts to renew a certificate, or two warnings that it has expired.
const ATTENTION_PAUSE: Duration = Duration::from_secs(60 * 60);

/// The permission bits that let every user read or write a file.
const OTHERS: u32 = 0o006;

/// Starts the TLS sessions of new connections, with a certificate that can be replaced while the gate runs.
#[derive(Debug)]
pub(crate) struct TlsAcceptor {
    source: Tls,
    current: RwLock<LoadedCertificate>,
    /// When the last attempt was made to renew the certificate or warn about it.
    attended: Mutex<Option<Instant>>,
}

#[derive(Debug)]
struct LoadedCertificate {
    config: Arc<ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
    validity: Validity,
}

impl TlsAcceptor {
    pub(crate) fn new(source: Tls) -> Result<Self, TlsError> {
        Self::at(source, Timestamp::now())
    }

    fn at(source: Tls, now: Timestamp) -> Result<Self, TlsError> {
        let current = RwLock::new(load(&source, now)?);
        Ok(Self {
            source,
            current,
            attended: Mutex::new(None),
        })
    }

    /// Reads the files again. After an error the old certificate stays in use.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let now = Timestamp::now();
        self.reload_at(now)?;
        self.warn(now);
        Ok(())
    }

    fn reload_at(&self, now: Timestamp) -> Result<(), TlsError> {
        if let Tls::SelfSigned {
            ca_certificate,
            ca_key,
            ..
        } = &self.source
        {
            // Clients trust the authority in use, so no other one is created in its place.
            for path in [ca_certificate, ca_key] {
                fs::metadata(path).map_err(|source| TlsError::Read {
                    path: path.clone(),
                    source,
                })?;
            }
        }
        let loaded = load(&self.source, now)?;
        let is_valid = loaded.validity.includes(now);
        *self.current.write() = loaded;
        if is_valid {
            *self.attended.lock() = None;
        }
        Ok(())
    }

    /// The earliest expiry of any certificate in the chain.
    pub(crate) fn expires(&self) -> Timestamp {
        Validity::of_all(&self.current.read().chain).until
    }

    pub(crate) fn start_session(self: &Arc<Self>) -> Result<ServerConnection, rustls::Error> {
        let now = Timestamp::now();
        if self.needs_attention(now) {
            let acceptor = Arc::clone(self);
            // In a new thread, because it reads files and must not block the accepting thread.
            let thread = thread::Builder::new().name("gate-certificate".to_owned());
            if let Err(error) = thread.spawn(move || acceptor.attend(now)) {
                tracing::warn!(%error, "cannot start a thread to renew the certificate");
            }
        }
        let current = self.current.read();
        ServerConnection::new(Arc::clone(&current.config))
    }

    fn needs_attention(&self, now: Timestamp) -> bool {
        let current = self.current.read();
        if current.validity.includes(now) {
            return false;
        }
        let mut attended = self.attended.lock();
        if attended.is_some_and(|attended| attended.elapsed() < ATTENTION_PAUSE) {
            return false;
        }
        *attended = Some(Instant::now());
        true
    }

    /// Renews a certificate of the private authority. For certificate files it only warns the operator, since they are read
    /// again only on request.
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

    /// Logs problems of the files that do not prevent their use.
    pub(crate) fn warn(&self, now: Timestamp) {
        if let Some(Warning { path, text }) = warning_of_mode(&self.source) {
            tracing::warn!(path = %path.display(), "{text}");
        }
        self.warn_of_dates(now);
    }

    /// Logs the problems for which clients will refuse the certificate. If there are any, the next check is due after
    /// [`ATTENTION_PAUSE`].
    fn warn_of_dates(&self, now: Timestamp) {
        let warnings = warnings_of_dates(&self.source, &self.current.read().chain, now);
        for Warning { path, text } in warnings {
            tracing::warn!(path = %path.display(), "{text}");
            *self.attended.lock() = Some(Instant::now());
        }
    }
}

/// A problem of a certificate or its key that does not prevent its use.
#[derive(Debug)]
pub struct Warning {
    /// The file.
    pub path: PathBuf,
    /// The problem, as a sentence for the operator.
    pub text: String,
}

/// Checks the certificate as a start would, without writing files. Returns the warnings that a start would log.
pub(crate) fn check(source: &Tls, now: Timestamp) -> Result<Vec<Warning>, TlsError> {
    let loaded = prepare(identity(source, authority::rehearse, now)?)?;
    let mut warnings: Vec<Warning> = warning_of_mode(source).into_iter().collect();
    warnings.extend(warnings_of_dates(source, &loaded.chain, now));
    warnings.extend(warning_of_renewal(source, now));
    Ok(warnings)
}

/// The warning that a start would create a new certificate for the authority, because the existing one is not valid.
fn warning_of_renewal(source: &Tls, now: Timestamp) -> Option<Warning> {
    let Tls::SelfSigned { ca_certificate, .. } = source else {
        return None;
    };
    let problem = certificate_problems(ca_certificate, now).ok()?.pop()?;
    Some(Warning {
        path: ca_certificate.clone(),
        text: format!("{problem}: a start creates a new one, which clients must trust"),
    })
}

fn warning_of_mode(source: &Tls) -> Option<Warning> {
    let (Tls::Files { key, .. } | Tls::SelfSigned { ca_key: key, .. }) = source;
    let mode = fs::metadata(key).ok()?.permissions().mode();
    (mode & OTHERS != 0).then(|| Warning {
        path: key.clone(),
        text:
            "every user of this machine can read or replace the TLS key: `chmod o-rw` prevents that"
                .to_owned(),
    })
}

/// The problems for which clients will refuse the certificate.
fn warnings_of_dates(source: &Tls, chain: &[CertificateDer<'_>], now: Timestamp) -> Vec<Warning> {
    let (Tls::Files { certificate, .. }
    | Tls::SelfSigned {
        ca_certificate: certificate,
        ..
    }) = source;
    let problems = validity::problems(chain, now).into_iter();
    problems
        .map(|problem| Warning {
            path: certificate.clone(),
            text: format!("clients will refuse TLS: {problem}"),
        })
        .collect()
}

/// A function that issues a certificate of the private authority, given its certificate file, its key file, the names and
/// the current time.
type Issue = fn(&Path, &Path, &[String], Timestamp) -> Result<Identity, TlsError>;

fn load(source: &Tls, now: Timestamp) -> Result<LoadedCertificate, TlsError> {
    prepare(identity(source, authority::issue, now)?)
}

fn identity(source: &Tls, issue: Issue, now: Timestamp) -> Result<Identity, TlsError> {
    match source {
        Tls::Files { certificate, key } => read_files(certificate, key),
        Tls::SelfSigned {
            ca_certificate,
            ca_key,
            names,
        } => issue(ca_certificate, ca_key, names, now),
    }
}

fn prepare(identity: Identity) -> Result<LoadedCertificate, TlsError> {
    let chain = identity.chain.clone();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            let builder = builder.with_no_client_auth();
            builder.with_single_cert(identity.chain, identity.key)
        });
    let mut config = config.map_err(|error| unusable(identity.files, error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(LoadedCertificate {
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
        // Only the key parser returns this general error.
        rustls::Error::General(_) => TlsError::UnsupportedKey(key),
        source => TlsError::Unusable {
            certificate,
            key,
            problem: problem(&source),
        },
    }
}

/// Describes for the operator why a handshake failed.
pub(crate) fn handshake_problem(error: &io::Error) -> String {
    let of_tls = error.get_ref().and_then(|error| error.downcast_ref());
    match of_tls {
        Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
            "the client did not use TLS, for example http:// instead of https://".to_owned()
        }
        Some(error) => error.to_string(),
        None if error.kind() == io::ErrorKind::UnexpectedEof => {
            "the client closed the connection".to_owned()
        }
        None if error.kind() == io::ErrorKind::TimedOut => "it took too long".to_owned(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::SignedDuration;

    fn self_signed(directory: &tempfile::TempDir) -> Tls {
        Tls::SelfSigned {
            ca_certificate: directory.path().join("ca.pem"),
            ca_key: directory.path().join("ca.key"),
            names: vec!["localhost".to_owned()],
        }
    }

    #[test]
    fn a_self_signed_certificate_is_renewed_at_half_its_lifetime_and_retried_at_most_hourly() {
        let directory = tempfile::tempdir().unwrap();
        let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let acceptor = TlsAcceptor::at(self_signed(&directory), start).unwrap();
        let chain = || acceptor.current.read().chain.clone();
        let days = |days: i64| SignedDuration::from_hours(24 * days);
        assert!(!acceptor.needs_attention(start));
        assert!(!acceptor.needs_attention(start + days(190)));
        let (first, late) = (chain(), start + days(200));
        assert!(acceptor.needs_attention(late));
        assert!(
            !acceptor.needs_attention(late),
            "another thread renews it already"
        );
        acceptor.attend(late);
        let second = chain();
        assert_ne!(first[0], second[0]);
        assert_eq!(first[1], second[1], "clients trust the authority");
        assert!(!acceptor.needs_attention(late));
        assert!(validity::problems(&second, late + days(190)).is_empty());

        fs::write(directory.path().join("ca.key"), "").unwrap();
        acceptor.attend(late + days(200));
        assert_eq!(chain(), second, "after an error the old one stays in use");
    }

    #[test]
    fn a_self_signed_certificate_is_renewed_whenever_the_date_is_set() {
        let directory = tempfile::tempdir().unwrap();
        let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let acceptor = TlsAcceptor::at(self_signed(&directory), start).unwrap();
        acceptor.warn(start);
        let later = start + SignedDuration::from_hours(24 * 300);
        for date in [later, start, later] {
            assert!(acceptor.needs_attention(date), "{date}");
            acceptor.attend(date);
            let chain = acceptor.current.read().chain.clone();
            assert!(validity::problems(&chain, date).is_empty(), "{date}");
        }
    }

    #[test]
    fn a_certificate_that_expires_while_in_use_is_noticed_once_an_hour() {
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
        let [last, expired]: [Timestamp; 2] =
            ["2030-01-01T00:00:00Z", "2030-01-01T00:00:01Z"].map(|time| time.parse().unwrap());
        let acceptor = TlsAcceptor::at(source, last).unwrap();
        acceptor.warn(last);
        assert!(!acceptor.needs_attention(last));
        assert!(acceptor.needs_attention(expired));
        assert!(!acceptor.needs_attention(expired));
    }
}
