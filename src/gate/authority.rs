//! A certificate authority of our own, for TLS without a name that a public one would vouch for.
//!
//! Two files: its certificate, which clients are told to trust, and its key. Both are used again at the next start, so
//! that trust lasts. The server's own certificate is made anew each time and lives in memory only.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};
use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use zeroize::Zeroizing;

use super::tls::{self, Identity, TlsError};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const AUTHORITY_DAYS: u32 = 3650;
/// Some clients take no certificate that is valid for longer.
const SERVER_DAYS: u32 = 397;

/// Makes a certificate for `names`, and the authority first if there is none.
pub(super) fn issue(
    certificate: &Path,
    key: &Path,
    names: &[String],
) -> Result<Identity, TlsError> {
    let authority = Authority::open(certificate, key)?;
    let server_key = KeyPair::generate()?;
    let server = server_params(names)?.signed_by(&server_key, &authority.issuer)?;
    authority.check(server.der(), names, (certificate, key))?;
    let server_key = PrivateKeyDer::try_from(server_key.serialize_der());
    Ok(Identity {
        chain: vec![server.der().clone(), authority.certificate],
        key: server_key.map_err(|_| TlsError::NoKey(key.to_owned()))?,
        files: (certificate.to_owned(), key.to_owned()),
    })
}

struct Authority {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn open(certificate: &Path, key: &Path) -> Result<Authority, TlsError> {
        let pair = open_key(key, certificate)?;
        let params = authority_params(certificate);
        if !certificate.exists() {
            let made = params.self_signed(&pair)?;
            write(certificate, made.pem().as_bytes(), 0o644)?;
        }
        let first = tls::read_certificates(certificate)?.into_iter().next();
        Ok(Authority {
            certificate: first.ok_or_else(|| TlsError::NoCertificate(certificate.to_owned()))?,
            issuer: Issuer::new(params, pair),
        })
    }

    /// Looks at a certificate as a client will that trusts the authority: the files may be of two authorities, of
    /// another program, or too old.
    fn check(
        &self,
        server: &CertificateDer<'_>,
        names: &[String],
        (certificate, key): (&Path, &Path),
    ) -> Result<(), TlsError> {
        let unusable = |source| TlsError::Unusable {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            source,
        };
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone()).map_err(unusable)?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), tls::provider());
        let verifier = verifier
            .build()
            .map_err(|error| unusable(rustls::Error::General(error.to_string())))?;
        // A wildcard is a name in a certificate, but not one that a client calls.
        let called = names.iter().map(|name| name.replacen('*', "www", 1));
        for name in called {
            let name = ServerName::try_from(name.clone()).map_err(|_| TlsError::Name(name))?;
            let verified = verifier.verify_server_cert(server, &[], &name, &[], UnixTime::now());
            verified.map_err(unusable)?;
        }
        Ok(())
    }
}

/// Opens the authority's key, or makes one. None is made for a certificate that exists: clients may trust it already.
fn open_key(path: &Path, certificate: &Path) -> Result<KeyPair, TlsError> {
    if !path.exists() && !certificate.exists() {
        let pair = KeyPair::generate()?;
        let pem = Zeroizing::new(pair.serialize_pem());
        write(path, pem.as_bytes(), 0o600)?;
        return Ok(pair);
    }
    let pem = Zeroizing::new(tls::read(path)?);
    let pem = std::str::from_utf8(&pem).map_err(|_| TlsError::NoKey(path.to_owned()))?;
    KeyPair::from_pem(pem).map_err(|_| TlsError::NoKey(path.to_owned()))
}

/// The same for every certificate of this name, so that one read from its file is one's own issuer.
fn authority_params(certificate: &Path) -> CertificateParams {
    let mut params = CertificateParams::default();
    let name = certificate.file_stem().unwrap_or_default();
    params.distinguished_name = distinguished_name(&name.to_string_lossy());
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    set_validity(&mut params, AUTHORITY_DAYS);
    params
}

fn server_params(names: &[String]) -> Result<CertificateParams, TlsError> {
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
    set_validity(&mut params, SERVER_DAYS);
    Ok(params)
}

fn distinguished_name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

/// From yesterday: a client's clock may be behind.
fn set_validity(params: &mut CertificateParams, days: u32) {
    let yesterday = SystemTime::now() - DAY;
    params.not_before = yesterday.into();
    params.not_after = (yesterday + DAY * days).into();
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), TlsError> {
    let create = || -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(mode);
        let mut file: File = options.open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    create().map_err(|source| TlsError::Write {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_authority_is_made_once_and_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (
            directory.path().join("ca.pem"),
            directory.path().join("ca.key"),
        );
        let names = ["stable.example.com", "*.example.org", "127.0.0.1", "::1"].map(str::to_owned);
        issue(&certificate, &key, &names).unwrap();
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let before = (fs::read(&certificate).unwrap(), fs::read(&key).unwrap());
        issue(&certificate, &key, &names).unwrap();
        assert_eq!(
            before,
            (fs::read(&certificate).unwrap(), fs::read(&key).unwrap())
        );

        // A start killed between the two files is made good.
        fs::remove_file(&certificate).unwrap();
        issue(&certificate, &key, &names).unwrap();

        for name in ["", "a b", "\u{e9}.example"] {
            let error = issue(&certificate, &key, &[name.to_owned()]).err().unwrap();
            assert!(matches!(error, TlsError::Name(_)), "{name}: {error}");
        }
        fs::remove_file(&key).unwrap();
        let error = issue(&certificate, &key, &names).err().unwrap();
        assert!(error.to_string().contains("ca.key"), "{error}");
    }

    #[test]
    fn files_of_two_authorities_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let names = ["localhost".to_owned()];
        issue(&path("ca.pem"), &path("a.key"), &names).unwrap();
        fs::rename(path("ca.pem"), path("kept.pem")).unwrap();
        issue(&path("ca.pem"), &path("b.key"), &names).unwrap();
        fs::rename(path("kept.pem"), path("ca.pem")).unwrap();
        let error = issue(&path("ca.pem"), &path("b.key"), &names)
            .err()
            .unwrap();
        assert!(matches!(error, TlsError::Unusable { .. }), "{error}");
    }
}
