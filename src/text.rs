//! Recognises byte-order marks and encodings other than UTF-8 in input, and formats numbers and dates for output.

use std::fmt::Display;

use jiff::Timestamp;

/// The byte-order mark in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Removes the byte-order mark that some programs put before UTF-8.
pub(crate) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

/// Whether the bytes are UTF-16 or UTF-32, with or without a mark and in either byte order. Assumes that the text
/// starts with an ASCII character.
pub(crate) fn is_wide(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe")
        || bytes.starts_with(b"\xfe\xff")
        || matches!(bytes, [0, _, ..] | [_, 0, ..])
}

/// Formats a number of things: `1 token`, `2 tokens`.
pub(crate) fn counted<N: Display + PartialEq + From<u8>>(count: N, what: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {what}{plural}")
}

/// Formats a date in UTC, to the second.
pub(crate) fn moment(moment: Timestamp) -> String {
    moment.strftime("%FT%TZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_removed_once_and_only_at_the_start() {
        for (text, expected) in [
            ("\u{feff}a", "a"),
            ("\u{feff}\u{feff}", "\u{feff}"),
            ("a\u{feff}", "a\u{feff}"),
            ("", ""),
        ] {
            assert_eq!(without_mark(text.as_bytes()), expected.as_bytes());
        }
    }

    #[test]
    fn wide_encodings_are_recognised_by_their_mark_or_their_zeros() {
        for text in ["\u{feff}a", "a"] {
            let units = || text.encode_utf16();
            let points = || text.chars().map(u32::from);
            for wide in [
                units().flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
                units().flat_map(u16::to_be_bytes).collect(),
                points().flat_map(u32::to_le_bytes).collect(),
                points().flat_map(u32::to_be_bytes).collect(),
            ] {
                assert!(is_wide(&wide), "{wide:?}");
            }
            assert!(!is_wide(text.as_bytes()));
        }
        assert!(!is_wide(b"") && !is_wide("é\0".as_bytes()));
    }
}
