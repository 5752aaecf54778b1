//! Parses header fields and trailer fields whose lines are already known to end in CR LF.

use httparse::Header;

use super::refusal::{self, Refusal};
use super::request_line::is_token;

/// Parses field lines up to the empty line that ends them; `count` is the number of fields.
pub(crate) fn parse_fields(bytes: &[u8], count: usize) -> Result<Vec<Header<'_>>, Refusal> {
    let mut fields = vec![httparse::EMPTY_HEADER; count];
    match httparse::parse_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete((length, parsed))) if length == bytes.len() => {
            let parsed = parsed.len();
            fields.truncate(parsed);
            Ok(fields)
        }
        Err(_) if is_folded(bytes) => Err(refusal::FOLDED),
        Err(httparse::Error::HeaderName) => Err(refusal::FIELD_NAME),
        Err(httparse::Error::HeaderValue) => Err(refusal::FIELD_VALUE),
        _ => Err(refusal::FIELD),
    }
}

/// The name and value of one field line, given without its CR LF; `None` if it is malformed.
pub(crate) fn field(line: &[u8]) -> Option<(&str, &[u8])> {
    let (name, value) = line.split_at(line.iter().position(|byte| *byte == b':')?);
    let value = trim(&value[1..]);
    let is_text = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    let is_well_formed = is_token(name) && value.iter().all(is_text);
    let name = std::str::from_utf8(name).ok()?;
    is_well_formed.then_some((name, value))
}

fn is_folded(bytes: &[u8]) -> bool {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    let after_line = |pair: &[u8]| pair[0] == b'\n' && blank(pair.get(1));
    blank(bytes.first()) || bytes.windows(2).any(after_line)
}

/// The values of all fields with this name.
pub(crate) fn values<'a>(
    fields: &'a [Header<'_>],
    name: &'a str,
) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| trim(field.value))
}

/// Removes the optional white space around a value (RFC 9110, 5.6.3).
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte));
    let end = value.iter().rposition(|byte| !blank(byte));
    match (start, end) {
        (Some(start), Some(end)) => &value[start..=end],
        _ => &[],
    }
}
