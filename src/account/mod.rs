//! The words for accounts that every module shares: kinds of organization, statuses, usernames, people.
//!
//! Only names, their spelling and their order. What a status allows is decided in `auth`.

mod invisible;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use unicode_normalization::is_nfc;
use uuid::Uuid;

pub use invisible::is_invisible;

/// The longest username in code points, after trimming; longer ones are refused at the door.
pub const MAX_USERNAME_CHARS: usize = 254;

/// Gives an enum its names as the API, the fixtures and the database spell them.
macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// Every spelling, in the order of declaration.
            pub const NAMES: &[&str] = &[$($text),+];

            /// The spelling of the API, the fixtures and the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::account::UnknownName;

            /// In any spelling that [`is_spelling_of`](crate::account::is_spelling_of) takes.
            fn from_str(text: &str) -> Result<Self, $crate::account::UnknownName> {
                [$(Self::$variant),+]
                    .into_iter()
                    .find(|known| $crate::account::is_spelling_of(text, known.as_str()))
                    .ok_or($crate::account::UnknownName { expected: Self::NAMES })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(crate) use spelled;

spelled! {
    /// What an organization does on the market place.
    OrgType {
        /// Sells to the public; has a `retailer_uuid`.
        Retailer = "RETAILER",
        /// Sells to retailers; has a `supplier_uuid`.
        Supplier = "SUPPLIER",
    }
}

impl OrgType {
    /// The key, and the column, of the UUID that goes with it.
    pub(crate) fn party_key(self) -> &'static str {
        match self {
            Self::Retailer => "retailer_uuid",
            Self::Supplier => "supplier_uuid",
        }
    }

    /// What only a retailer has, and what only a supplier has: the other one is empty.
    pub(crate) fn split<T: Default>(self, own: T) -> (T, T) {
        match self {
            Self::Retailer => (own, T::default()),
            Self::Supplier => (T::default(), own),
        }
    }
}

spelled! {
    /// Where an organization stands.
    OrganizationStatus {
        /// Asked to join.
        Pending = "PENDING",
        /// Its users may log in.
        Active = "ACTIVE",
        /// Switched off.
        Deactivated = "DEACTIVATED",
    }
}

spelled! {
    /// Where a user stands.
    UserStatus {
        /// Invited, not confirmed yet.
        ConfirmationWaiting = "CONFIRMATION WAITING",
        /// May log in, if the organization may.
        Active = "ACTIVE",
        /// Switched off.
        Deactivated = "DEACTIVATED",
    }
}

/// Whether a text is a name of this program as somebody may type it: in any case, `-` and `_` for a space, and white space
/// around it.
pub(crate) fn is_spelling_of(text: &str, name: &str) -> bool {
    let plain = |byte: u8| match byte {
        b'-' | b'_' => b' ',
        byte => byte.to_ascii_lowercase(),
    };
    trimmed(text).bytes().map(plain).eq(name.bytes().map(plain))
}

/// A word that is none of an enum's names.
#[derive(Debug, thiserror::Error)]
#[error("expected {}", .expected.join(", "))]
pub struct UnknownName {
    /// The names there are.
    pub(crate) expected: &'static [&'static str],
}

/// A user or an account manager as other people see them; the order of the fields is that of the API. A file may leave out
/// any of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Identity; in a file, derived from the username, or the organization's name, where it is left out.
    pub uuid: Option<String>,
    /// As written by the person.
    pub first_name: Option<String>,
    /// As written by the person.
    pub last_name: Option<String>,
    /// A user's username unless something else is given.
    pub email: Option<String>,
    /// In any notation.
    pub phone: Option<String>,
}

/// Something that users may be allowed to do; the order of the fields is that of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// Identity.
    pub uuid: String,
    /// For programs.
    pub name: String,
    /// For people.
    pub display_name: Option<String>,
    /// For people.
    pub description: Option<String>,
}

/// A permission of one user; the order of the fields is that of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assignment {
    /// Whether the user has it.
    pub assigned: bool,
    /// What it is.
    pub permission: Permission,
}

/// A username as it is looked up: trimmed, not blank, at most 254 code points, without NUL. Compared without regard to
/// ASCII case, by their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username(String);

impl FromStr for Username {
    type Err = UsernameFaults;

    fn from_str(text: &str) -> Result<Self, UsernameFaults> {
        Self::parse(text)
    }
}

impl Serialize for Username {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Everything that keeps a text from being a username.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsernameFaults {
    /// Nothing is left after trimming.
    pub is_blank: bool,
    /// Over [`MAX_USERNAME_CHARS`].
    pub is_too_long: bool,
    /// Contains U+0000.
    pub has_nul: bool,
}

impl std::error::Error for UsernameFaults {}

impl fmt::Display for UsernameFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let too_long = format!("more than {MAX_USERNAME_CHARS} characters");
        let faults = [
            (self.is_blank, "blank"),
            (self.is_too_long, &too_long),
            (self.has_nul, "contains a null character"),
        ];
        let faults: Vec<&str> = faults
            .iter()
            .filter_map(|(is_there, fault)| is_there.then_some(*fault))
            .collect();
        f.write_str(&faults.join(", "))
    }
}

impl Username {
    /// Trims and checks.
    ///
    /// # Errors
    /// All faults at once.
    pub fn parse(text: &str) -> Result<Self, UsernameFaults> {
        let trimmed = trimmed(text);
        let faults = UsernameFaults {
            is_blank: trimmed.is_empty(),
            is_too_long: trimmed.chars().nth(MAX_USERNAME_CHARS).is_some(),
            has_nul: trimmed.contains('\0'),
        };
        if faults == UsernameFaults::default() {
            Ok(Self(trimmed.to_owned()))
        } else {
            Err(faults)
        }
    }

    /// Why a new user may not have this name, which looks like another one; users who have such a name keep it.
    pub fn oddity(&self) -> Option<String> {
        let text = self.as_str();
        let is_hidden = |char: char| char.is_control() || is_invisible(char);
        if let Some(hidden) = text.chars().find(|char| is_hidden(*char)) {
            let code = u32::from(hidden);
            return Some(format!(
                "contains U+{code:04X}, a control, invisible or unassigned character"
            ));
        }
        let code = u32::from(first_outside_nfc(text)?);
        Some(format!(
            "is not in the composed form of Unicode (NFC) at U+{code:04X}"
        ))
    }

    /// What is the same for two names that mean one user: the name with its ASCII letters in lower case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The trimmed text, in the case it was given in.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Without the white space around it.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(is_white_space)
}

/// The hyphenated, lower-case form of a UUID that somebody wrote in any form.
pub fn written_uuid(text: &str) -> Option<String> {
    let uuid = Uuid::try_parse(trimmed(text)).ok()?;
    Some(uuid.to_string())
}

/// White space as Python's `str.strip` sees it, which the published service uses: Unicode's and four separators.
fn is_white_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

/// The last character of the shortest start of the text that is not in NFC.
fn first_outside_nfc(text: &str) -> Option<char> {
    if is_nfc(text) {
        return None;
    }
    text.char_indices()
        .find(|(start, char)| !is_nfc(&text[..start + char.len_utf8()]))
        .map(|(_, char)| char)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surrounding_white_space_is_not_part_of_a_username() {
        for padding in [
            " ",
            "\t\r\n",
            "\u{1c}\u{1f}",
            "\u{a0}",
            "\u{3000}",
            "\u{85}",
        ] {
            let username = Username::parse(&format!("{padding}a b{padding}")).unwrap();
            assert_eq!(username.as_str(), "a b", "{padding:?}");
        }
    }

    #[test]
    fn faults_are_found_all_at_once() {
        let long = "é".repeat(254);
        assert!(Username::parse(&long).is_ok());
        let faults = Username::parse(&format!("{long}\0")).unwrap_err();
        assert!(faults.is_too_long && faults.has_nul && !faults.is_blank);
        assert!(Username::parse("\u{1d} ").unwrap_err().is_blank);
    }

    #[test]
    fn a_name_that_looks_like_another_is_odd() {
        let code_of = |text: &str| Username::parse(text).unwrap().oddity();
        for (text, code) in [
            ("jane\t@acme.com", "U+0009"),
            ("jane\x7f@acme.com", "U+007F"),
            ("jane\u{85}@acme.com", "U+0085"),
            ("jane\u{a0}doe", "U+00A0"),
            ("jane\u{ad}@acme.com", "U+00AD"),
            ("jane@acme.com\u{200b}", "U+200B"),
            ("jane\u{200d}@acme.com", "U+200D"),
            ("\u{202e}jane@acme.com", "U+202E"),
            ("jane\u{2028}@acme.com", "U+2028"),
            ("jane\u{3000}doe", "U+3000"),
            ("jane\u{3164}@acme.com", "U+3164"),
            ("\u{e000}", "U+E000"),
            ("jane\u{fe0f}@acme.com", "U+FE0F"),
            ("\u{feff}jane@acme.com", "U+FEFF"),
            ("jane\u{e0041}", "U+E0041"),
            ("jane\u{10ffff}", "U+10FFFF"),
            // Not in NFC: a mark that composes, one out of order, a sign that is a letter, and two letters that are one.
            ("zoe\u{308}@acme.com", "U+0308"),
            ("q\u{307}\u{323}", "U+0323"),
            ("\u{212b}ngstrom", "U+212B"),
            ("\u{1100}\u{1161}", "U+1161"),
        ] {
            let oddity = code_of(text).unwrap_or_else(|| panic!("{text:?} is odd"));
            let named = oddity.split([' ', ',']).any(|word| word == code);
            assert!(named, "{text:?}: {oddity}");
        }
        for text in [
            "jane doe",
            "zo\u{eb}@acme.com",
            "日本@example.jp",
            "q\u{323}\u{307}",
            "हिन्दी",
            "😀",
        ] {
            assert_eq!(code_of(text), None, "{text}");
        }
    }

    #[test]
    fn names_are_spelled_as_the_api_does() {
        for name in UserStatus::NAMES {
            assert_eq!(name.parse::<UserStatus>().unwrap().as_str(), *name);
        }
        let error = "on".parse::<OrganizationStatus>().unwrap_err();
        assert_eq!(error.to_string(), "expected PENDING, ACTIVE, DEACTIVATED");
    }

    #[test]
    fn names_are_taken_whatever_their_case() {
        for text in [
            "CONFIRMATION WAITING",
            "confirmation waiting",
            "Confirmation-Waiting",
            "confirmation_waiting",
            " Confirmation Waiting\t",
        ] {
            assert_eq!(
                text.parse::<UserStatus>().unwrap(),
                UserStatus::ConfirmationWaiting,
                "{text:?}"
            );
        }
        for text in [
            "",
            "CONFIRMATION",
            "CONFIRMATIONWAITING",
            "ACTIVE.",
            "ÄCTIVE",
        ] {
            assert!(text.parse::<UserStatus>().is_err(), "{text:?}");
        }
    }
}
