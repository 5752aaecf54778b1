//! The vocabulary of accounts that all modules share: organization types, statuses, usernames, people and permissions.
//!
//! This module defines only names, their spelling and their order. `auth` decides what a status allows.

mod invisible;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize, Serializer};
use unicode_normalization::is_nfc;
use uuid::Uuid;

pub use invisible::is_invisible;

/// The maximum length of a username in code points, after trimming. Longer ones are rejected before any look-up.
pub const MAX_USERNAME_CHARS: usize = 254;

/// Defines an enum whose variants have names, spelled alike in the API, the fixtures and the database.
macro_rules! spelled {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// All names, in the order of declaration.
            pub const NAMES: &[&str] = &[$($text),+];

            /// The name in the API, the fixtures and the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::account::UnknownName;

            /// Accepts a name in any case, with `-` or `_` for a space, and with white space around it.
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
    /// The JSON key, and the database column, of the UUID that belongs to this type.
    pub(crate) fn party_key(self) -> &'static str {
        match self {
            Self::Retailer => "retailer_uuid",
            Self::Supplier => "supplier_uuid",
        }
    }

    /// The pair (value for a retailer, value for a supplier), in which the value of the other type is empty.
    pub(crate) fn split<T: Default>(self, own: T) -> (T, T) {
        match self {
            Self::Retailer => (own, T::default()),
            Self::Supplier => (T::default(), own),
        }
    }
}

spelled! {
    /// The status of an organization.
    OrganizationStatus {
        /// It has asked to join.
        Pending = "PENDING",
        /// Its users may log in.
        Active = "ACTIVE",
        /// It has been deactivated.
        Deactivated = "DEACTIVATED",
    }
}

spelled! {
    /// The status of a user.
    UserStatus {
        /// The user has been invited and has not confirmed yet.
        ConfirmationWaiting = "CONFIRMATION WAITING",
        /// The user may log in if the organization is active.
        Active = "ACTIVE",
        /// The user has been deactivated.
        Deactivated = "DEACTIVATED",
    }
}

/// Whether a text is an accepted spelling of a name: in upper or lower case, with `-` or `_` for a space, and with
/// white space around it.
pub(crate) fn is_spelling_of(text: &str, name: &str) -> bool {
    let plain = |byte: u8| match byte {
        b'-' | b'_' => b' ',
        byte => byte.to_ascii_lowercase(),
    };
    trimmed(text).bytes().map(plain).eq(name.bytes().map(plain))
}

/// The text is not one of an enum's names.
#[derive(Debug, thiserror::Error)]
#[error("expected {}", .expected.join(", "))]
pub struct UnknownName {
    /// The names that are accepted.
    pub(crate) expected: &'static [&'static str],
}

/// The personal data of a user or an account manager. The fields are in the order of the API. A file may omit any of
/// them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// The person's UUID. If a file omits it, it is derived from the username or the organization's name.
    pub uuid: Option<String>,
    /// The first name, stored as given.
    pub first_name: Option<String>,
    /// The last name, stored as given.
    pub last_name: Option<String>,
    /// The e-mail address. For a user, the default is the username.
    pub email: Option<String>,
    /// The phone number, in any notation.
    pub phone: Option<String>,
}

/// A permission that users may have. The fields are in the order of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// The permission's UUID.
    pub uuid: String,
    /// The name that programs use.
    pub name: String,
    /// The name that is displayed to people.
    pub display_name: Option<String>,
    /// The description that is displayed to people.
    pub description: Option<String>,
}

/// A permission of one user. The fields are in the order of the API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assignment {
    /// Whether the user has the permission.
    pub assigned: bool,
    /// The permission itself.
    pub permission: Permission,
}

/// A valid username: trimmed, not blank, at most 254 code points, without NUL. Usernames are compared by their
/// [`key`](Self::key), which ignores ASCII case.
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

/// The reasons why a text is not a valid username.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UsernameFaults {
    /// The trimmed text is empty.
    pub is_blank: bool,
    /// The trimmed text is longer than [`MAX_USERNAME_CHARS`].
    pub is_too_long: bool,
    /// The text contains U+0000.
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
    /// Trims and checks a text.
    ///
    /// # Errors
    /// [`UsernameFaults`] with all faults of the text.
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

    /// Why the name is rejected for a new user: it could be mistaken for another name. Existing users with such a name
    /// keep it.
    pub fn rejection_reason(&self) -> Option<String> {
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

    /// The name with its ASCII letters in lower case. Two names with the same key identify the same user.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    /// The trimmed text, with upper and lower case as given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The text without leading and trailing white space.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches(is_white_space)
}

/// Converts a UUID in any common notation to the hyphenated, lower-case form. `None` if the text is not a UUID.
pub fn normalized_uuid(text: &str) -> Option<String> {
    let uuid = Uuid::try_parse(trimmed(text)).ok()?;
    Some(uuid.to_string())
}

/// White space as defined by Python's `str.strip`, which the published service uses: Unicode white space and U+001C to
/// U+001F.
fn is_white_space(char: char) -> bool {
    char.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&char)
}

/// The last character of the shortest prefix of the text that is not in NFC. `None` if the text is in NFC.
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
    fn all_faults_of_a_username_are_reported_together() {
        let long = "é".repeat(254);
        assert!(Username::parse(&long).is_ok());
        let faults = Username::parse(&format!("{long}\0")).unwrap_err();
        assert!(faults.is_too_long && faults.has_nul && !faults.is_blank);
        assert!(Username::parse("\u{1d} ").unwrap_err().is_blank);
    }

    #[test]
    fn a_name_that_could_be_mistaken_for_another_is_rejected() {
        let code_of = |text: &str| Username::parse(text).unwrap().rejection_reason();
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
            // Not in NFC: a mark that composes, marks in the wrong order, a sign that is equivalent to a letter, and
            // two letters that compose.
            ("zoe\u{308}@acme.com", "U+0308"),
            ("q\u{307}\u{323}", "U+0323"),
            ("\u{212b}ngstrom", "U+212B"),
            ("\u{1100}\u{1161}", "U+1161"),
        ] {
            let rejection_reason = code_of(text).unwrap_or_else(|| panic!("{text:?} is accepted"));
            let named = rejection_reason.split([' ', ',']).any(|word| word == code);
            assert!(named, "{text:?}: {rejection_reason}");
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
    fn names_are_spelled_as_in_the_api() {
        for name in UserStatus::NAMES {
            assert_eq!(name.parse::<UserStatus>().unwrap().as_str(), *name);
        }
        let error = "on".parse::<OrganizationStatus>().unwrap_err();
        assert_eq!(error.to_string(), "expected PENDING, ACTIVE, DEACTIVATED");
    }

    #[test]
    fn names_are_accepted_in_any_case_and_with_separators_for_spaces() {
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
