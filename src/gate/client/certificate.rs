//! Certificates and their keys, as they are in files.

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
    /// PEM files: the certificate with its chain, and its key.
    Files {
        /// The certificate first, then those that issued it.
        certificate: PathBuf,
        /// The certificate's key.
        key: PathBuf,
    },
    /// A certificate made for these names, issued by an authority of our own that clients can be made to trust.
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
    #[error("cannot read {path}{}", remedy(.path, .source))]
    Read {
        /// The file.
        path: PathBuf,
        /// What stands in the way.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {path}{}", remedy(.path, .source))]
    Write {
        /// The file.
        path: PathBuf,
        /// What stands in the way.
        #[source]
        source: io::Error,
    },
    /// The file has no PEM section `CERTIFICATE`, or a broken one.
    #[error("{path} holds no certificate in PEM form{}", .found.remedy("x509", .path))]
    NoCertificate {
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        found: FileContent,
    },
    /// The file has no PEM section with a private key, or a broken one.
    #[error("{path} holds no private key in PEM form{}", .found.remedy("pkey", .path))]
    NoKey {
        /// The file.
        path: PathBuf,
        /// What it holds instead.
        found: FileContent,
    },
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
    #[error("cannot use {certificate} with {key}: {problem}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why not.
        problem: String,
    },
    /// A name that cannot be in a certificate.
    #[error(
        "no certificate can be made for {0:?}: a name such as login.example, *.example or an IP address can be in one"
    )]
    Name(String),
    /// The operating system gave no random bytes.
    #[error("no random number for a certificate")]
    Random(#[source] io::Error),
    /// Making a certificate failed.
    #[error("cannot make a certificate")]
    Issue(#[from] rcgen::Error),
}

/// What is in a file that holds no PEM section of the kind that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileContent {
    /// Nothing.
    Nothing,
    /// DER, which starts as every ASN.1 sequence does.
    Der,
    /// A section of another kind, or a broken one.
    OtherPem,
    /// Something else.
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

    /// For the end of a message; `command` is that of OpenSSL for what is wanted.
    fn remedy(self, command: &str, path: &Path) -> String {
        let path = path.display();
        match self {
            Self::Nothing => ": the file is empty".to_owned(),
            Self::Der => format!(
                ": it is in DER form, which `openssl {command} -inform DER -in {path} -out {path}.pem` turns into PEM"
            ),
            Self::OtherPem => {
                ": it holds another thing, or a damaged one; --tls-cert takes the certificate and --tls-key its key"
                    .to_owned()
            }
            Self::Other => ": such a file has a line that begins with -----BEGIN".to_owned(),
        }
    }
}

/// What rustls finds wrong with a certificate, in words of the field.
pub(crate) fn problem(error: &rustls::Error) -> String {
    use rustls::CertificateError as Wrong;
    let rustls::Error::InvalidCertificate(wrong) = error else {
        return "it is not a certificate that TLS can use".to_owned();
    };
    match wrong {
        Wrong::BadEncoding => "a certificate is damaged; copy the file again",
        Wrong::Expired | Wrong::ExpiredContext { .. } => "a certificate has expired",
        Wrong::NotValidYet | Wrong::NotValidYetContext { .. } => {
            "a certificate is not valid yet; look at this machine's clock"
        }
        Wrong::NotValidForName | Wrong::NotValidForNameContext { .. } => {
            "the certificate is for other names"
        }
        Wrong::UnknownIssuer => "the certificate is not one of the authority beside it",
        Wrong::BadSignature | Wrong::UnsupportedSignatureAlgorithmContext { .. } => {
            "its signature is wrong, or of a kind that TLS no longer takes"
        }
        Wrong::InvalidPurpose | Wrong::InvalidPurposeContext { .. } => {
            "the certificate is not one for servers"
        }
        _ => "the certificate is not one that TLS clients take",
    }
    .to_owned()
}

/// A certificate's chain and key, ready to be shown.
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    /// The files to be named when the two do not go together.
    pub(crate) files: (PathBuf, PathBuf),
    /// Outside of this it needs attention.
    pub(crate) validity: Validity,
}

/// What clients will refuse at this moment about the certificates in a file, one sentence for each.
///
/// # Errors
/// When the file cannot be read, or holds no certificate.
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

/// In PKCS #8, or as OpenSSL encrypted keys before.
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
