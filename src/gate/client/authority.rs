//! A private certificate authority, for TLS with names for which no public authority issues certificates.
//!
//! The authority has two files: its certificate, which clients must trust, and its key. Both are used again at the next
//! start, so that clients keep trusting them. The certificate is created again only when it is missing or not valid, because
//! no client can trust the authority then; an existing key is kept. The server's own certificate is kept in memory only and
//! renewed at half its lifetime.

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

/// Lifetime of the authority's certificate, in days.
const AUTHORITY_DAYS: i64 = 3650;
/// Lifetime of the server's certificate, in days. Some clients accept no certificate that is valid for longer.
const SERVER_DAYS: i64 = 397;
/// Age at which the server's certificate is renewed, in days.
const RENEWAL_DAYS: i64 = 198;

/// The labels of the PEM sections in the two files.
const CERTIFICATE: &str = "CERTIFICATE";
const KEY: &str = "PRIVATE KEY";

/// Issues a certificate for `names`, after creating the authority if there is none with a valid certificate.
pub(crate) fn issue(
    certificate: &Path,
    key: &Path,
    names: &[String],
    now: Timestamp,
) -> Result<Identity, TlsError> {
    let files = Files { certificate, key };
    Authority::open(files, now)?.issue(names, files, now)
}

/// Does the same as [`issue`] without writing files: an authority that would have to be created exists in memory only. Checks
/// that its files would replace nothing but files.
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
            check_replaceable(files.certificate)?;
            let pair = match read_key(files)? {
                Some(pair) => pair,
                None => {
                    check_replaceable(files.key)?;
                    KeyPair::generate()?
                }
            };
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
        // Another process may have created it in the meantime.
        match Self::read(files, now)? {
            Some(authority) => Ok(authority),
            None => Self::make(files, now),
        }
    }

    /// Reads the authority from its files; `None` without a valid certificate. The key is written first, so a certificate
    /// without a key is an error.
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

    /// Creates the authority. An existing key is kept: clients that trust an older certificate for this key accept what it
    /// signs for as long as that certificate is valid.
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
            tracing::warn!(%path, "the authority's certificate {problem}: a new one was created, which clients must trust");
        }
        Ok(authority)
    }

    /// Creates an authority that signs its own certificate; also returns the certificate as PEM.
    fn signed_by_itself(
        pair: KeyPair,
        files: Files<'_>,
        now: Timestamp,
    ) -> Result<(Self, String), TlsError> {
        let mut params = authority_params(files.certificate, now);
        // Browsers refuse two certificates of one issuer with the same serial number. By default it would be derived from
        // the key, which does not change.
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

    /// Verifies a certificate as a client that trusts the authority does: the files may have been written by another
    /// program.
    fn check(
        &self,
        server: &CertificateDer<'_>,
        names: &[String],
        files: Files<'_>,
        now: Timestamp,
    ) -> Result<(), TlsError> {
        use rustls::CertificateError::{NotValidForName, NotValidForNameContext};

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
        // A certificate may contain a wildcard, but no client connects to one.
        for given in names {
            let called = given.replacen('*', "www", 1);
            let name = ServerName::try_from(called).map_err(|_| TlsError::Name(given.clone()))?;
            let verified = verifier.verify_server_cert(server, &[], &name, &[], now);
            verified.map_err(|error| match error {
                // The certificate was issued for this name, but clients accept no certificate for it.
                rustls::Error::InvalidCertificate(
                    NotValidForName | NotValidForNameContext { .. },
                ) => TlsError::Name(given.clone()),
                error => unusable(error),
            })?;
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

/// Reads the authority's certificate; `None` if the file is missing or cut short.
fn read_certificate(files: Files<'_>) -> Result<Option<CertificateDer<'static>>, TlsError> {
    let Some(pem) = read(files.certificate, CERTIFICATE)? else {
        return Ok(None);
    };
    CertificateDer::from_pem_slice(&pem)
        .map(Some)
        .map_err(|_| files.refused("the authority's certificate is not in PEM format"))
}

/// Reads the authority's key; `None` if the file is missing or cut short.
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

/// Whether a PEM file was cut short because the process that wrote it was killed. Version 0.1.0 wrote these files in place;
/// after a power failure, the missing part can also be zeros.
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

/// The parameters of the authority's certificate. The subject depends only on the file name, so that an authority that was
/// read from its file matches the issuer name of what it signs.
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

/// Makes a certificate valid from yesterday, because a client's clock may be slow.
fn set_validity(params: &mut CertificateParams, now: Timestamp, days: i64) {
    params.not_before = system_time(days_after(now, -1)).into();
    params.not_after = system_time(days_after(now, days - 1)).into();
}

fn system_time(moment: Timestamp) -> SystemTime {
    SystemTime::try_from(moment).expect("Unix time covers a wider range than Timestamp")
}

fn days_after(now: Timestamp, days: i64) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(24 * days))
        .unwrap_or(now)
}

fn write(path: &Path, content: &[u8], mode: u32) -> Result<(), TlsError> {
    files::write(path, content, mode, Existing::Replace)
        .map_err(|source| cannot_write(path, source))
}

fn check_replaceable(path: &Path) -> Result<(), TlsError> {
    files::check_replaceable(path).map_err(|source| cannot_write(path, source))
}

fn cannot_write(path: &Path, source: io::Error) -> TlsError {
    TlsError::Write {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests;
