//! Channel binding: a digest of the server's certificate is part of the proof of a password. So a man in the middle,
//! even with a trusted certificate, cannot relay the proof.

use sha2::{Digest, Sha256, Sha384, Sha512};
use yasna::models::ObjectIdentifier;

/// The object identifier of a signature algorithm, and a digest function.
type Algorithm = (&'static [u64], fn(&[u8]) -> Vec<u8>);

/// Signature algorithms, each with the digest function that channel binding uses for it (RFC 5929, section 4.1: the
/// function of the signature, but SHA-256 instead of MD5 and SHA-1).
const ALGORITHMS: &[Algorithm] = &[
    (&[1, 2, 840, 113_549, 1, 1, 4], sha256),
    (&[1, 2, 840, 113_549, 1, 1, 5], sha256),
    (&[1, 2, 840, 113_549, 1, 1, 11], sha256),
    (&[1, 2, 840, 113_549, 1, 1, 12], sha384),
    (&[1, 2, 840, 113_549, 1, 1, 13], sha512),
    (&[1, 2, 840, 10045, 4, 3, 2], sha256),
    (&[1, 2, 840, 10045, 4, 3, 3], sha384),
    (&[1, 2, 840, 10045, 4, 3, 4], sha512),
];

/// The digest of a certificate (DER). `None` for signature algorithms without a separate digest function, such as
/// Ed25519.
pub(super) fn digest(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = yasna::parse_der(certificate, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_der()?;
            let algorithm = reader.next().read_sequence(|reader| {
                let algorithm = reader.next().read_oid()?;
                reader.read_optional(|reader| reader.read_der())?;
                Ok(algorithm)
            })?;
            reader.next().read_der()?;
            Ok(algorithm)
        })
    });
    let algorithm: ObjectIdentifier = algorithm.ok()?;
    let known = ALGORITHMS.iter();
    let (_, digest) = known
        .copied()
        .find(|(known, _)| algorithm.components() == *known)?;
    Some(digest(certificate))
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn sha384(bytes: &[u8]) -> Vec<u8> {
    Sha384::digest(bytes).to_vec()
}

fn sha512(bytes: &[u8]) -> Vec<u8> {
    Sha512::digest(bytes).to_vec()
}
