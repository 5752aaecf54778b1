//! Determines where the body of a request ends (RFC 9112, 6).
//!
//! A request that two parsers could frame differently is refused, even if the RFC says which length applies: a proxy in
//! front of the gate may implement it differently.

use httparse::Header;

use super::fields::values;
use super::refusal::{self, Refusal};
use super::request_line::{Version, is_token};

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Neither a length nor a transfer coding: there is no body.
    None,
    /// A body of this many bytes.
    Length(u64),
    /// A body in chunked transfer coding.
    Chunked,
}

/// The framing of a request with these header fields.
pub(crate) fn of(fields: &[Header<'_>], version: Version) -> Result<Framing, Refusal> {
    let mut lengths = values(fields, "Content-Length");
    let mut codings = values(fields, "Transfer-Encoding");
    let (length, coding) = (lengths.next(), codings.next());
    if lengths.next().is_some() {
        return Err(refusal::TWO_LENGTHS);
    }
    match (length, coding) {
        (None, None) => Ok(Framing::None),
        (Some(length), None) => content_length(length).map(Framing::Length),
        (_, Some(_)) if version == Version::Http10 => Err(refusal::CODING_IN_1_0),
        (Some(_), Some(_)) => Err(refusal::LENGTH_AND_CODING),
        (None, Some(_)) if codings.next().is_some() => Err(refusal::TWO_CODINGS),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        (None, Some(coding)) if is_token(coding) => Err(refusal::UNKNOWN_CODING),
        (None, Some(_)) => Err(refusal::CODING),
    }
}

/// Parses a Content-Length, which must be digits only. A leading zero is refused: some parsers read such a number as octal,
/// and no client sends one.
fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    let well_formed = match value {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    std::str::from_utf8(value)
        .ok()
        .filter(|_| well_formed)
        .and_then(|digits| digits.parse().ok())
        .ok_or(refusal::LENGTH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(version: Version, fields: &[(&str, &str)]) -> Result<Framing, Refusal> {
        let field = |(name, value): &(&'static str, &'static str)| Header {
            name,
            value: value.as_bytes(),
        };
        let fields: Vec<(&'static str, &'static str)> = fields
            .iter()
            .map(|(name, value)| (&*String::from(*name).leak(), &*String::from(*value).leak()))
            .collect();
        of(&fields.iter().map(field).collect::<Vec<_>>(), version)
    }

    #[test]
    fn a_content_length_is_one_decimal_number() {
        let of_length = |value| framing(Version::Http11, &[("content-length", value)]);
        for (value, length) in [
            ("0", 0),
            ("5", 5),
            (" 5\t", 5),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(of_length(value), Ok(Framing::Length(length)), "{value}");
        }
        for value in [
            "",
            "+5",
            "-1",
            "-0",
            "5, 5",
            "5,5",
            "1 0",
            "1_0",
            "0x5",
            "0o5",
            "05",
            "00",
            "abc",
            "5x",
            "18446744073709551616",
            "5\u{b}",
            "\u{665}",
        ] {
            assert_eq!(of_length(value), Err(refusal::LENGTH), "{value}");
        }
    }

    #[test]
    fn the_only_transfer_coding_is_a_single_chunked() {
        let of_coding = |value| framing(Version::Http11, &[("Transfer-Encoding", value)]);
        for value in ["chunked", "CHUNKED", " chunked "] {
            assert_eq!(of_coding(value), Ok(Framing::Chunked), "{value}");
        }
        for value in ["gzip", "identity", "xchunked"] {
            assert_eq!(of_coding(value), Err(refusal::UNKNOWN_CODING), "{value}");
        }
        for value in [
            "",
            ",",
            ", chunked",
            "chunked,",
            "chunked, chunked",
            "gzip, chunked",
            "chunked, gzip",
            "chunked;a=b",
            "\"chunked\"",
            "chunked\u{b}",
            "chun ked",
        ] {
            assert_eq!(of_coding(value), Err(refusal::CODING), "{value}");
        }
    }

    #[test]
    fn a_length_that_is_given_twice_is_refused() {
        let (length, coding) = (("Content-Length", "5"), ("Transfer-Encoding", "chunked"));
        let http11 = |fields: &[_]| framing(Version::Http11, fields);
        assert_eq!(http11(&[]), Ok(Framing::None));
        assert_eq!(http11(&[length, length]), Err(refusal::TWO_LENGTHS));
        assert_eq!(http11(&[coding, coding]), Err(refusal::TWO_CODINGS));
        assert_eq!(http11(&[length, coding]), Err(refusal::LENGTH_AND_CODING));
        assert_eq!(http11(&[coding, length]), Err(refusal::LENGTH_AND_CODING));
        let unknown = ("Transfer-Encoding", "gzip");
        assert_eq!(http11(&[length, unknown]), Err(refusal::LENGTH_AND_CODING));
        for fields in [&[coding][..], &[unknown], &[length, coding]] {
            assert_eq!(
                framing(Version::Http10, fields),
                Err(refusal::CODING_IN_1_0)
            );
        }
        // A similar name is a different field.
        assert_eq!(
            http11(&[("Content_Length", "9"), length]),
            Ok(Framing::Length(5))
        );
    }
}
