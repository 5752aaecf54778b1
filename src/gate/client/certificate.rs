//! Reads certificates and their keys from files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use super::validity::{self, Validity};
use crate::files::remedy;
use crate::text::without_mark;

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// PEM files with the certificate chain and the key.
    Files {
        /// The file with the server's certificate, followed by the certificates that issued it.
        certificate: PathBuf,
        /// The file with the private key of the server's certificate.
        key: PathBuf,
    },
    /// A certificate for `names`, issued by a private authority that clients must be configured to trust.
    SelfSigned {
        /// The file with the authority's certificate. Created if it is missing or has expired.
        ca_certificate: PathBuf,
        /// The file with the authority's key, readable by its owner only. Created if it is missing.
        ca_key: PathBuf,
        /// The host names and IP addresses that clients use to connect.
        names: Vec<String>,
    },
}

/// Why there is no usable certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}{}", remedy(.path, .source))]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}{}", remedy(.path, .source))]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The file has no valid PEM section `CERTIFICATE`.
    #[error("{path} contains no certificate in PEM format{}", .found.remedy("x509", .path))]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What the file contains instead.
        found: FileContent,
    },
    /// The file has no valid PEM section with a private key.
    #[error("{path} contains no private key in PEM format{}", .found.remedy("pkey", .path))]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What the file contains instead.
        found: FileContent,
    },
    /// The private key is protected by a password.
    #[error("the key in {0} is encrypted; `openssl pkey -in {0} -out FILE` decrypts it")]
    Encrypted(PathBuf),
    /// The private key is of a type that rustls with ring does not support.
    #[error(
        "the key in {0} is not supported; supported are RSA with 2048 to 4096 bits, ECDSA on P-256 or P-384, and Ed25519"
    )]
    UnsupportedKey(PathBuf),
    /// The key belongs to another certificate.
    #[error("the key in {key} does not belong to the first certificate in {certificate}")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// The files of the private authority do not fit together. They are not replaced, since clients may already trust the
    /// authority.
    #[error(
        "{problem}: restore the files that belong together, or remove both {certificate} and {key} and have clients trust the new certificate"
    )]
    Authority {
        /// The authority's certificate file.
        certificate: PathBuf,
        /// The authority's key file.
        key: PathBuf,
        /// What is wrong with the files.
        problem: &'static str,
    },
    /// The certificate cannot be used with the key.
    #[error("cannot use {certificate} with {key}: {problem}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why they cannot be used.
        problem: String,
    },
    /// The name cannot be in a certificate.
    #[error(
        "cannot create a certificate for {0:?}: use a host name such as login.example, a wildcard such as *.example, or an IP address"
    )]
    Name(String),
    /// The operating system returned no random bytes.
    #[error("cannot generate a random serial number for a certificate")]
    Random(#[source] io::Error),
    /// Generating or signing a certificate failed.
    #[error("cannot create a certificate")]
    Issue(#[from] rcgen::Error),
}

/// The content of a file without a PEM section of the expected type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// The file is empty.
    Nothing,
    /// The file starts like an ASN.1 sequence, so it is probably in DER format.
    Der,
    /// The file has a PEM section of another type, or a damaged one.
    OtherPem,
    /// The file is neither PEM nor DER.
    Other,
}

impl FileContent {
    fn in_bytes(bytes: &[u8]) -> Self {
        match bytes {
            [] => Self::Nothing,
            [0x30, 0x80..=0x84, ..] => Self::Der,
            bytes if bytes.windows(11).any(|part| part == b"-----BEGIN ") => Self::OtherPem,
            _ => Self::Other,
        }
    }

    /// What to do about the file, to follow a message that names it. `command` is the OpenSSL command for the expected type.
    fn remedy(self, command: &str, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Nothing => ": the file is empty".to_owned(),
            Self::Der => format!(
                ": it is in DER format; `openssl {command} -inform DER -in {path} -out {path}.pem` converts it"
            ),
            Self::OtherPem => {
                ": its PEM section is of another type or damaged; --tls-cert takes the certificate and --tls-key its key"
                    .to_owned()
            }
            Self::Other => ": a PEM file has a line that starts with -----BEGIN".to_owned(),
        }
    }
}

/// Describes for the operator what rustls finds wrong with a certificate.
pub(crate) fn problem(error: &rustls::Error) -> String {
    use rustls::CertificateError as Wrong;
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return "it is not a certificate that TLS can use".to_owned();
    };
    match wrong {
        Wrong::BadEncoding => "a certificate is damaged; copy the file again",
        Wrong::Expired | Wrong::ExpiredContext { .. } => "a certificate has expired",
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            "a certificate is not valid yet; check this machine's clock"
        }
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
            "the certificate is for other names"
        }
        Wrong::UnknownIssuer => {
            "the certificate was not issued by the authority in the same directory"
        }
        Wrong::BadSignature | Wrong::UnsupportedSignatureAlgorithmContext { .. } => {
            "its signature is wrong, or made with an algorithm that TLS no longer supports"
        }
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => {
            "the certificate is not a server certificate"
        }
        _ => "TLS clients do not accept the certificate",
    }
    .to_owned()
}

/// A certificate chain and its key, ready for use.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    /// The files of the certificate and the key, for the error when the two do not match.
    pub(crate) files: (PathBuf, PathBuf),
    /// Outside of this period the certificate must be renewed, or the operator be warned.
    pub(crate) validity: Validity,
}

/// The reasons for which clients would refuse the certificates in a file at `now`, one sentence for each.
///
/// # Errors
/// When the file cannot be read, or contains no certificate.
pub fn certificate_problems(path: &Path, now: Timestamp) -> Result<Vec<String>, TlsError> {
    Ok(validity::problems(&read_certificates(path)?, now))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(crate) fn read_files(certificate: &Path, key: &Path) -> Result<Identity, TlsError> {
    let chain = read_certificates(certificate)?;
    Ok(Identity {
        validity: Validity::of_all(&chain),
        chain,
        key: read_key(key)?,
        files: (certificate.to_owned(), key.to_owned()),
    })
}

pub(crate) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = read(path)?;
    let certificates = CertificateDer::pem_slice_iter(without_mark(&bytes));
    match certificates.collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(TlsError::NoCertificate {
            path: path.to_owned(),
            found: FileContent::in_bytes(&bytes),
        }),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let bytes = Zeroizing::new(read(path)?);
    let pem = without_mark(&bytes);
    PrivateKeyDer::from_pem_slice(pem).map_err(|_| {
        if is_encrypted(pem) {
            TlsError::Encrypted(path.to_owned())
        } else {
            TlsError::NoKey {
                path: path.to_owned(),
                found: FileContent::in_bytes(&bytes),
            }
        }
    })
}

/// Whether a PEM file has an encrypted key, in PKCS #8 or in OpenSSL's traditional format.
pub(crate) fn is_encrypted(pem: &[u8]) -> bool {
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
