//! Explains why a text is not a bcrypt hash, so that the error says which part of the file to remove. Never repeats any
//! part of a hash, or of a text that could be part of one.

use super::Error;

/// Prefixes with which other programs name the algorithm of a bcrypt hash.
const SCHEMES: [&str; 4] = ["{bcrypt}", "{blf-crypt}", "{crypt}", "bcrypt$"];

/// The length of a bcrypt hash.
const LENGTH: usize = 60;

/// Why a text is refused. `is_hash` checks whether a part of the text is a valid hash.
pub(super) fn reason(text: &str, is_hash: impl Fn(&str) -> bool) -> Error {
    let scheme = text.trim_start().trim_start_matches(['{', '$']);
    let scheme = scheme.to_ascii_lowercase();
    if scheme.starts_with("bcrypt_")
        || scheme.starts_with("bcrypt-")
        || scheme.starts_with("bcrypt+")
    {
        return Error::HashOfHash;
    }
    match around(text, is_hash) {
        Some((before, after)) => Error::NotHashAlone(part(before, after)),
        None => Error::BadFormat,
    }
}

/// The text before and after a bcrypt hash.
fn around(text: &str, is_hash: impl Fn(&str) -> bool) -> Option<(&str, &str)> {
    let (start, _) = text
        .match_indices("$2")
        .find(|(start, _)| text.get(*start..start + LENGTH).is_some_and(&is_hash))?;
    Some((&text[..start], &text[start + LENGTH..]))
}

/// Names the part to remove.
fn part(before: &str, after: &str) -> String {
    let is_only = |chars: &dyn Fn(char) -> bool| before.chars().chain(after.chars()).all(chars);
    let scheme = before.trim();
    if is_only(&char::is_whitespace) {
        "the white space around it".to_owned()
    } else if is_only(&|char| char.is_whitespace() || matches!(char, '"' | '\'' | '`')) {
        "the quotes around it".to_owned()
    } else if SCHEMES.contains(&scheme.to_ascii_lowercase().as_str()) {
        format!("the prefix {scheme:?}")
    } else if scheme.ends_with(':') {
        "everything up to the colon before it".to_owned()
    } else {
        "the other text around it".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use crate::hashing::PasswordHash;

    const HASH: &str = "$2y$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie";

    fn message(text: &str) -> String {
        let error = text.parse::<PasswordHash>().err().unwrap().to_string();
        assert!(
            !error.contains("EGdr") && !error.contains("dxcie"),
            "{error}"
        );
        error
    }

    #[test]
    fn the_text_around_a_hash_is_named() {
        for (before, after, part) in [
            ("{bcrypt}", "", "the prefix \"{bcrypt}\""),
            ("{BCRYPT}", "", "the prefix \"{BCRYPT}\""),
            ("{CRYPT}", "", "the prefix \"{CRYPT}\""),
            ("{BLF-CRYPT}", "\n", "the prefix \"{BLF-CRYPT}\""),
            ("bcrypt$", "", "the prefix \"bcrypt$\""),
            ("jane:", "", "everything up to the colon before it"),
            ("jane:", "\r\n", "everything up to the colon before it"),
            (" ", "", "the white space around it"),
            ("", "\t\r\n", "the white space around it"),
            ("\u{a0}", "\u{3000}", "the white space around it"),
            ("\"", "\"", "the quotes around it"),
            (" '", "' ", "the quotes around it"),
            ("$2y$04$", "", "the other text around it"),
            ("{x}", "", "the other text around it"),
            ("é", "", "the other text around it"),
            ("", ".", "the other text around it"),
        ] {
            assert_eq!(
                message(&format!("{before}{HASH}{after}")),
                format!("not a bcrypt hash alone: cut off {part}"),
                "{before:?} {after:?}"
            );
        }
    }

    #[test]
    fn a_hash_of_another_hash_is_not_accepted_as_one_of_the_password() {
        for before in [
            "bcrypt_sha256$",
            "$bcrypt-sha256$v=2,t=2b,r=4$",
            "$bcrypt+blake2b-512$v=1$",
            "BCRYPT_SHA256$",
        ] {
            assert!(
                message(&format!("{before}{HASH}")).contains("of another hash"),
                "{before}"
            );
        }
    }

    #[test]
    fn a_text_without_a_bcrypt_hash_is_reported_as_such() {
        for text in [
            "",
            "{bcrypt}",
            "{CRYPT}$6$saltsalt$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie",
            "{bcrypt}$2x$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie",
            "$2y$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxci",
        ] {
            assert!(message(text).starts_with("not a bcrypt hash ("), "{text}");
        }
    }
}
