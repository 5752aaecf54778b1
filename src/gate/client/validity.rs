//! The validity periods of certificates, and messages about invalid ones. Nothing here reads a clock.

use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use yasna::tags::{TAG_GENERALIZEDTIME, TAG_UTCTIME};
use yasna::{ASN1Error, ASN1ErrorKind, ASN1Result, BERReader, BERReaderSeq, Tag};

/// The period in which a certificate is valid, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

impl Validity {
    pub(crate) const ALWAYS: Self = Self {
        from: Timestamp::MIN,
        until: Timestamp::MAX,
    };

    /// The validity period of a certificate; `None` if it is malformed.
    pub(crate) fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        yasna::parse_ber(certificate, |reader| {
            reader.read_sequence(|reader| {
                let validity = reader.next().read_sequence(read_to_be_signed)?;
                skip(reader, 2)?;
                Ok(validity)
            })
        })
        .ok()
    }

    /// The period in which all certificates are valid; those that cannot be parsed are ignored.
    pub(crate) fn of_all(certificates: &[CertificateDer<'_>]) -> Self {
        let each = certificates.iter().filter_map(Self::of);
        each.fold(Self::ALWAYS, Self::and)
    }

    pub(crate) fn includes(self, now: Timestamp) -> bool {
        (self.from..=self.until).contains(&now)
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            from: self.from.max(other.from),
            until: self.until.min(other.until),
        }
    }
}

/// The problems for which clients would refuse a chain at `now`, one sentence for each invalid certificate.
pub(crate) fn problems(chain: &[CertificateDer<'_>], now: Timestamp) -> Vec<String> {
    let count = chain.len();
    let problems = chain.iter().zip(1..).filter_map(|(certificate, number)| {
        let problem = problem(certificate, now)?;
        Some(format!("certificate {number} of {count} {problem}"))
    });
    problems.collect()
}

/// Why a certificate is not valid at `now`, as a clause to follow its name; `None` if it is valid.
pub(crate) fn problem(certificate: &CertificateDer<'_>, now: Timestamp) -> Option<String> {
    match Validity::of(certificate) {
        None => Some("has no dates that can be read".to_owned()),
        Some(Validity { until, .. }) if now > until => Some(format!("expired on {until}")),
        Some(Validity { from, .. }) if now < from => Some(format!("is not valid before {from}")),
        Some(_) => None,
    }
}

/// Reads the validity from a TBSCertificate (RFC 5280, 4.1): version, serial number, signature algorithm, issuer, validity.
/// The fields that follow are skipped.
fn read_to_be_signed(reader: &mut BERReaderSeq<'_, '_>) -> ASN1Result<Validity> {
    reader
        .read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_der()))?;
    skip(reader, 3)?;
    let validity = reader.next().read_sequence(|reader| {
        Ok(Validity {
            from: read_time(reader.next())?,
            until: read_time(reader.next())?,
        })
    })?;
    while reader.read_optional(|reader| reader.read_der())?.is_some() {}
    Ok(validity)
}

fn skip(reader: &mut BERReaderSeq<'_, '_>, count: usize) -> ASN1Result<()> {
    (0..count).try_for_each(|_| reader.next().read_der().map(drop))
}

fn read_time(reader: BERReader<'_, '_>) -> ASN1Result<Timestamp> {
    let second = match reader.lookahead_tag()? {
        TAG_UTCTIME => reader.read_utctime()?.datetime().unix_timestamp(),
        TAG_GENERALIZEDTIME => reader.read_generalized_time()?.datetime().unix_timestamp(),
        _ => return Err(ASN1Error::new(ASN1ErrorKind::Invalid)),
    };
    // The end of the year 9999 means that a certificate never expires; it is later than the maximum timestamp.
    Ok(Timestamp::from_second(second).unwrap_or(Timestamp::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use std::time::SystemTime;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn certificate(from: &str, until: &str) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = SystemTime::try_from(moment(from)).unwrap().into();
        params.not_after = SystemTime::try_from(moment(until)).unwrap().into();
        let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        made.der().clone()
    }

    #[test]
    fn both_date_formats_of_certificates_are_parsed() {
        for (from, until) in [
            ("1996-02-29T23:59:59Z", "2049-12-31T23:59:59Z"),
            ("2024-01-01T00:00:00Z", "2050-01-01T00:00:00Z"),
        ] {
            let validity = Validity {
                from: moment(from),
                until: moment(until),
            };
            assert_eq!(Validity::of(&certificate(from, until)), Some(validity));
        }
        let mut params = CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(9999, 12, 31);
        let unlimited = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let validity = Validity::of(unlimited.der()).unwrap();
        assert_eq!(validity.until, Timestamp::MAX);
    }

    #[test]
    fn bytes_that_are_not_a_certificate_have_no_validity() {
        let whole = certificate("2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z");
        assert_eq!(Validity::of(&CertificateDer::from_slice(b"")), None);
        for length in 1..whole.len() {
            let cut = CertificateDer::from_slice(&whole[..length]);
            assert_eq!(Validity::of(&cut), None, "{length}");
        }
    }

    #[test]
    fn each_invalid_certificate_of_a_chain_is_reported_with_its_number() {
        let chain = [
            certificate("2024-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
            certificate("2023-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
        ];
        let early = "certificate 1 of 2 is not valid before 2024-01-01T00:00:00Z";
        let second = "certificate 2 of 2 expired on 2025-01-01T00:00:00Z";
        for (now, expected) in [
            ("2023-12-31T23:59:59Z", &[early][..]),
            ("2024-01-01T00:00:00Z", &[]),
            ("2025-01-01T00:00:00Z", &[]),
            ("2025-01-01T00:00:01Z", &[second]),
            (
                "2026-01-01T00:00:01Z",
                &["certificate 1 of 2 expired on 2026-01-01T00:00:00Z", second],
            ),
        ] {
            let now = moment(now);
            assert_eq!(problems(&chain, now), expected, "{now}");
            assert_eq!(Validity::of_all(&chain).includes(now), expected.is_empty());
        }
        let broken = [CertificateDer::from_slice(b"\x30\x00")];
        assert_eq!(
            problems(&broken, moment("2025-01-01T00:00:00Z")),
            ["certificate 1 of 1 has no dates that can be read"]
        );
    }
}
