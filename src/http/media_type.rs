//! Checks whether a Content-Type is JSON (RFC 9110, 5.6.6 and 8.3), and whether a Content-Encoding means no encoding.

/// Whether a Content-Type is `application/json`. Any parameters are allowed, but a `charset` must be UTF-8.
///
/// Type, subtype, parameter names and charset are compared case-insensitively. Empty parameters are allowed. A parameter
/// without `name=value` makes the whole value malformed.
pub(super) fn is_json(content_type: &[u8]) -> bool {
    let (essence, parameters) = match content_type.iter().position(|&byte| byte == b';') {
        Some(semicolon) => content_type.split_at(semicolon),
        None => (content_type, &[][..]),
    };
    let essence = trim_blanks(essence);
    essence.eq_ignore_ascii_case(b"application/json") && has_valid_parameters(parameters)
}

/// Whether a Content-Encoding is a list (RFC 9110, 5.6.1) of nothing but `identity`, which means no encoding (RFC 9110,
/// 12.5.3).
pub(super) fn is_identity(content_encoding: &[u8]) -> bool {
    content_encoding
        .split(|&byte| byte == b',')
        .map(trim_blanks)
        .all(|coding| coding.is_empty() || coding.eq_ignore_ascii_case(b"identity"))
}

fn has_valid_parameters(mut rest: &[u8]) -> bool {
    while let Some(after) = rest.strip_prefix(b";") {
        rest = skip_blanks(after);
        if rest.is_empty() || rest.starts_with(b";") {
            continue;
        }
        let Some((name, value, after)) = parameter(rest) else {
            return false;
        };
        if name.eq_ignore_ascii_case(b"charset") && !value.eq_ignore_ascii_case(b"utf-8") {
            return false;
        }
        rest = skip_blanks(after);
    }
    rest.is_empty()
}

/// Parses `name=value`, without blanks around the `=`. Returns the name, the value and the rest of the text.
fn parameter(text: &[u8]) -> Option<(&[u8], Vec<u8>, &[u8])> {
    let (name, rest) = token(text)?;
    let rest = rest.strip_prefix(b"=")?;
    match rest.strip_prefix(b"\"") {
        Some(quoted) => quoted_string(quoted).map(|(value, rest)| (name, value, rest)),
        None => token(rest).map(|(value, rest)| (name, value.to_vec(), rest)),
    }
}

fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let length = text.iter().take_while(|&&byte| is_token_byte(byte)).count();
    (length > 0).then(|| text.split_at(length))
}

/// Parses a quoted string whose opening quote was already removed. Returns its value and the rest of the text.
fn quoted_string(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut bytes = text.iter().enumerate();
    while let Some((index, &byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value, &text[index + 1..])),
            b'\\' => value.push(
                *bytes
                    .next()
                    .map(|(_, byte)| byte)
                    .filter(|byte| is_text(**byte))?,
            ),
            byte if is_text(byte) => value.push(byte),
            _ => return None,
        }
    }
    None
}

/// Whether a token may contain this byte (RFC 9110, 5.6.2).
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

fn is_blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn skip_blanks(text: &[u8]) -> &[u8] {
    let blanks = text.iter().take_while(|&&byte| is_blank(byte)).count();
    &text[blanks..]
}

/// Removes spaces and tabs from both ends.
pub(super) fn trim_blanks(text: &[u8]) -> &[u8] {
    let text = skip_blanks(text);
    let blanks = text
        .iter()
        .rev()
        .take_while(|&&byte| is_blank(byte))
        .count();
    &text[..text.len() - blanks]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_application_json_in_utf_8_is_json() {
        for content_type in [
            "application/json",
            " Application/JSON\t",
            "application/json; charset=utf-8",
            "application/json;charset=UTF-8",
            "application/json \t;\t Charset=\"Utf-8\" ",
            "application/json; charset=\"u\\tf\\-8\"",
            "application/json; indent=4; profile=\"a;b, \\\"c\\\"\"; charset=utf-8",
            "application/json; profile=\"charset=latin-1\"",
            "application/json; profile=\"\"; note=\"\u{e9}\"",
            "application/json; x-charset=latin-1",
            "application/json;",
            "application/json;;; ; charset=utf-8;",
        ] {
            assert!(is_json(content_type.as_bytes()), "{content_type:?}");
        }
        for content_type in [
            "",
            ";",
            "json",
            "/json",
            "application",
            "application/",
            "text/plain",
            "text/json",
            "*/*",
            "application/*",
            "application/vnd.api+json",
            "application/json5",
            "application/json/json",
            "application /json",
            "application/ json",
            "\"application/json\"",
            "application/json charset=utf-8",
            "application/json, application/json",
            "application/json, charset=utf-8",
            "application/json; charset=latin-1",
            "application/json; charset=utf8",
            "application/json; charset='utf-8'",
            "application/json; profile=1; CHARSET=\"ascii\"",
            "application/json; charset=utf-8; charset=latin-1",
            "application/json; charset=latin-1; charset=utf-8",
            "application/json; charset=",
            "application/json; charset=\"\"",
            "application/json; charset",
            "application/json; charset =utf-8",
            "application/json; charset= utf-8",
            "application/json; charset=utf-8 x",
            "application/json; charset=\"utf-8",
            "application/json; charset=\"utf-8\"x",
            "application/json; =utf-8",
            "application/json; pro file=a",
            "application/json; a=b\u{7f}",
        ] {
            assert!(!is_json(content_type.as_bytes()), "{content_type:?}");
        }
    }

    #[test]
    fn identity_means_no_encoding() {
        for (expected, content_encoding) in [
            (true, ""),
            (true, "identity"),
            (true, " Identity\t, ,IDENTITY,"),
            (false, "gzip"),
            (false, "identity, gzip"),
            (false, "identity;q=1"),
            (false, "identity gzip"),
            (false, "\u{e9}"),
        ] {
            let is_identity = is_identity(content_encoding.as_bytes());
            assert_eq!(is_identity, expected, "{content_encoding:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_checked_without_a_panic(bytes: Vec<u8>) {
            is_json(&bytes);
            is_json(&[b"application/json;", &bytes[..]].concat());
        }

        #[test]
        fn any_well_formed_parameter_is_accepted(
            name in "[a-z!#$%&'*+.^_`|~-]{1,9}",
            token in "[A-Za-z0-9!#$%&'*+.^_`|~-]{1,9}",
            quoted in "[^\"\\\\\u{0}-\u{1f}\u{7f}]{0,9}",
        ) {
            prop_assume!(name != "charset");
            let content_type = format!("application/json; {name}={token};{name}=\"{quoted}\"");
            prop_assert!(is_json(content_type.as_bytes()));
        }

        #[test]
        fn only_utf_8_is_accepted_as_charset(charset in "[A-Za-z0-9-]{1,12}") {
            let accepted = charset.eq_ignore_ascii_case("utf-8");
            for content_type in [
                format!("application/json; charset={charset}"),
                format!("application/json; CharSet=\"{charset}\""),
            ] {
                prop_assert_eq!(is_json(content_type.as_bytes()), accepted);
            }
        }
    }
}
