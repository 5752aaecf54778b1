//! A certificate authority of our own, for TLS without a name that a public one would vouch for.
//!
//! Two files: its certificate, which clients are made to trust, and its key. Both are used again at the next start, so
//! that trust lasts. They are made again only when no certificate is valid, since nobody can trust the authority then; a
//! key that is there is kept. The server's own certificate lives in memory only and is renewed at half its life.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use zeroize::Zeroizing;

use super::certificate::{self, Identity, TlsError};
use super::validity::{self, Validity};
use crate::files::{self, Existing};
use crate::random;

const AUTHORITY_DAYS: i64 = 3650;
/// Some clients take no certificate that is valid for longer.
const SERVER_DAYS: i64 = 397;
/// After so many days the server's certificate is renewed.
const RENEWAL_DAYS: i64 = 198;

/// The labels of the PEM sections in the two files.
const CERTIFICATE: &str = "CERTIFICATE";
const KEY: &str = "PRIVATE KEY";

/// Makes a certificate for `names`, and the authority first if there is none whose certificate is valid.
pub(crate) fn issue(
    certificate: &Path,
    key: &Path,
    names: &[String],
    now: Timestamp,
) -> Result<Identity, TlsError> {
    let files = Files { certificate, key };
    Authority::open(files, now)?.issue(names, files, now)
}

/// Does what [`issue`] would do, and writes nothing: an authority that would have to be made exists in memory only.
pub(crate) fn rehearse(
    certificate: &Path,
    key: &Path,
    names: &[String],
    now: Timestamp,
) -> Result<Identity, TlsError> {
    let files = Files { certificate, key };
    let authority = match Authority::read(files, now)? {
        Some(authority) => authority,
        None => {
            let pair = read_key(files)?.map_or_else(KeyPair::generate, Ok)?;
            Authority::signed_by_itself(pair, files, now)?.0
        }
    };
    authority.issue(names, files, now)
}

#[derive(Clone, Copy)]
struct Files<'a> {
    certificate: &'a Path,
    key: &'a Path,
}

struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn open(files: Files<'_>, now: Timestamp) -> Result<Self, TlsError> {
        if let Some(authority) = Self::read(files, now)? {
            return Ok(authority);
        }
        let _lock = files::lock_directory_of(files.certificate)
            .map_err(|source| cannot_write(files.certificate, source))?;
        // Another process may have made it by now.
        match Self::read(files, now)? {
            Some(authority) => Ok(authority),
            None => Self::make(files, now),
        }
    }

    /// `None` without a certificate that is valid. The key gets its name first, so where there is a certificate there is
    /// a key.
    fn read(files: Files<'_>, now: Timestamp) -> Result<Option<Self>, TlsError> {
        let Some(certificate) = read_certificate(files)? else {
            return Ok(None);
        };
        if validity::problem(&certificate, now).is_some() {
            return Ok(None);
        }
        let Some(pair) = read_key(files)? else {
            return Err(files.refused("the authority's key is missing or incomplete"));
        };
        let public_key = ParsedCertificate::try_from(&certificate)
            .map(|parsed| parsed.subject_public_key_info());
        if public_key.is_ok_and(|public_key| *public_key != *pair.subject_public_key_info()) {
            return Err(files.refused("the authority's key belongs to another certificate"));
        }
        Ok(Some(Self {
            certificate,
            issuer: Issuer::new(authority_params(files.certificate, now), pair),
        }))
    }

    /// Keeps a key that is there: who trusts an older certificate for it trusts what it signs as long as that is valid.
    fn make(files: Files<'_>, now: Timestamp) -> Result<Self, TlsError> {
        let old = read_certificate(files)?;
        let pair = match read_key(files)? {
            Some(pair) => pair,
            None => {
                let pair = KeyPair::generate()?;
                let pem = Zeroizing::new(pair.serialize_pem());
                write(files.key, pem.as_bytes(), 0o600)?;
                pair
            }
        };
        let (authority, pem) = Self::signed_by_itself(pair, files, now)?;
        write(files.certificate, pem.as_bytes(), 0o644)?;
        if let Some(problem) = old.and_then(|old| validity::problem(&old, now)) {
            let path = files.certificate.display();
            tracing::warn!(%path, "the authority {problem}: made a new certificate for it, which clients must trust");
        }
        Ok(authority)
    }

    /// With its certificate in PEM form.
    fn signed_by_itself(
        pair: KeyPair,
        files: Files<'_>,
        now: Timestamp,
    ) -> Result<(Self, String), TlsError> {
        let mut params = authority_params(files.certificate, now);
        // Browsers refuse two certificates of one issuer with the same number, which would follow from the key otherwise.
        let number = random::uuid().map_err(TlsError::Random)?;
        params.serial_number = Some(SerialNumber::from_slice(number.as_bytes()));
        let made = params.self_signed(&pair)?;
        let authority = Self {
            certificate: made.der().clone(),
            issuer: Issuer::new(params, pair),
        };
        Ok((authority, made.pem()))
    }

    fn issue(
        self,
        names: &[String],
        files: Files<'_>,
        now: Timestamp,
    ) -> Result<Identity, TlsError> {
        let server_key = KeyPair::generate()?;
        let server = server_params(names, now)?.signed_by(&server_key, &self.issuer)?;
        self.check(server.der(), names, files, now)?;
        let server_key = PrivateKeyDer::try_from(server_key.serialize_der());
        let renewed_before = Validity {
            from: days_after(now, -1),
            until: days_after(now, RENEWAL_DAYS),
        };
        Ok(Identity {
            validity: Validity::of_all(std::slice::from_ref(&self.certificate)).and(renewed_before),
            chain: vec![server.der().clone(), self.certificate],
            key: server_key.map_err(|_| TlsError::UnsupportedKey(files.key.to_owned()))?,
            files: (files.certificate.to_owned(), files.key.to_owned()),
        })
    }

    /// Looks at a certificate as a client will that trusts the authority: the files may be of another program.
    fn check(
        &self,
        server: &CertificateDer<'_>,
        names: &[String],
        files: Files<'_>,
        now: Timestamp,
    ) -> Result<(), TlsError> {
        let unusable = |error| TlsError::Unusable {
            certificate: files.certificate.to_owned(),
            key: files.key.to_owned(),
            problem: certificate::problem(&error),
        };
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(unusable)?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), certificate::provider());
        let verifier = verifier
            .build()
            .map_err(|error| unusable(rustls::Error::General(error.to_string())))?;
        let seconds = u64::try_from(now.as_second()).unwrap_or(0);
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        // A wildcard is a name in a certificate, but not one that a client calls.
        for given in names {
            let called = given.replacen('*', "www", 1);
            let name = ServerName::try_from(called).map_err(|_| TlsError::Name(given.clone()))?;
            let verified = verifier.verify_server_cert(server, &[], &name, &[], now);
            verified.map_err(unusable)?;
        }
        Ok(())
    }
}

impl Files<'_> {
    fn refused(self, problem: &'static str) -> TlsError {
        TlsError::Authority {
            certificate: self.certificate.to_owned(),
            key: self.key.to_owned(),
            problem,
        }
    }
}

/// `None` when there is none, or only the beginning of one.
fn read_certificate(files: Files<'_>) -> Result<Option<CertificateDer<'static>>, TlsError> {
    let Some(pem) = read(files.certificate, CERTIFICATE)? else {
        return Ok(None);
    };
    CertificateDer::from_pem_slice(&pem)
        .map(Some)
        .map_err(|_| files.refused("the authority's certificate is not in PEM form"))
}

/// `None` when there is none, or only the beginning of one.
fn read_key(files: Files<'_>) -> Result<Option<KeyPair>, TlsError> {
    let Some(pem) = read(files.key, KEY)? else {
        return Ok(None);
    };
    if certificate::is_encrypted(&pem) {
        return Err(TlsError::Encrypted(files.key.to_owned()));
    }
    let pair = std::str::from_utf8(&pem).map(KeyPair::from_pem);
    match pair {
        Ok(Ok(pair)) => Ok(Some(pair)),
        _ => Err(files.refused("the authority's key cannot be read")),
    }
}

fn read(path: &Path, label: &str) -> Result<Option<Zeroizing<Vec<u8>>>, TlsError> {
    match files::read_own(path).map(Zeroizing::new) {
        Ok(content) if is_cut_short(&content, label) => Ok(None),
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TlsError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Whether it is what a process leaves that is killed while it writes a PEM section under the final name, as version 0.1.0
/// did; a power failure can leave zeros for the rest.
fn is_cut_short(content: &[u8], label: &str) -> bool {
    let Ok(text) = std::str::from_utf8(content) else {
        return false;
    };
    let text = text.trim_matches(|char: char| char == '\0' || char.is_whitespace());
    let (first, last) = (
        format!("-----BEGIN {label}-----"),
        format!("-----END {label}-----"),
    );
    (text.starts_with(&first) && !text.contains(&last)) || first.starts_with(text)
}

/// The same for every certificate of this name, so that one read from its file is one's own issuer.
fn authority_params(certificate: &Path, now: Timestamp) -> CertificateParams {
    let mut params = CertificateParams::default();
    let name = certificate.file_stem().unwrap_or_default();
    params.distinguished_name = distinguished_name(&name.to_string_lossy());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, now, AUTHORITY_DAYS);
    params
}

fn server_params(names: &[String], now: Timestamp) -> Result<CertificateParams, TlsError> {
    for name in names {
        if CertificateParams::new([name.clone()]).is_err() {
            return Err(TlsError::Name(name.clone()));
        }
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = distinguished_name(names.first().map_or("", String::as_str));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    set_validity(&mut params, now, SERVER_DAYS);
    Ok(params)
}

fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// From yesterday: a client's clock may be behind.
fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i64) {
    params.not_before = system_time(days_after(now, -1)).into();
    params.not_after = system_time(days_after(now, days - 1)).into();
}

fn system_time(moment: Timestamp) -> SystemTime {
    SystemTime::try_from(moment).expect("Unix counts far more seconds than a timestamp can have")
}

fn days_after(now: Timestamp, days: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(24 * days))
        .unwrap_or(now)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    files::write(path, content, mode, Existing::Replace)
        .map_err(|source| cannot_write(path, source))
}

fn cannot_write(path: &Path, source: io::Error) -> TlsError {
    TlsError::Write {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
