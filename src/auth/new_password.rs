//! The rules for passwords that are set.

use zeroize::Zeroizing;

use crate::account::Username;
use crate::hashing::{MAX_PASSWORD_BYTES, Password};

/// The shortest password that is taken.
pub const MIN_PASSWORD_BYTES: usize = 8;

/// What zxcvbn must give at least, of 0 to 4: 2 is more than a million guesses.
const MIN_SCORE: u8 = 2;

/// What zxcvbn looks at: its work grows with the third power of the length, to more than a second for 72 bytes that could
/// be letters replaced by digits and signs.
const MAX_GUESSED_CHARS: usize = 32;
/// And of a username that has 127.
const MAX_NAME_PARTS: usize = 8;

/// Without letters and digits that are mistaken for each other; 32, so that each is 5 bits.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Why a password is not taken. None of the texts has any of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// Nothing at all.
    #[error("the password is empty")]
    Empty,
    /// bcrypt reads no further than 72 bytes.
    #[error("the password is longer than {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// A login refuses them.
    #[error("the password contains a null character")]
    HasNul,
    /// Under [`MIN_PASSWORD_BYTES`].
    #[error("the password is shorter than {MIN_PASSWORD_BYTES} bytes")]
    TooShort,
    /// Without regard to case.
    #[error("the password is the username")]
    IsUsername,
    /// zxcvbn finds it in few guesses.
    #[error("the password is too easily guessed{}", .hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default())]
    Guessable {
        /// What zxcvbn says about it.
        hint: Option<String>,
    },
}

/// Says whether a password may be set for a user. Without `policy` only what could never log in is refused.
///
/// # Errors
/// The first rule that it breaks.
pub fn check_new_password(
    password: &Password,
    username: Option<&Username>,
    policy: bool,
) -> Result<(), PasswordFault> {
    let bytes = password.as_bytes();
    if bytes.is_empty() {
        return Err(PasswordFault::Empty);
    }
    if password.is_too_long() {
        return Err(PasswordFault::TooLong);
    }
    if bytes.contains(&0) {
        return Err(PasswordFault::HasNul);
    }
    if !policy {
        return Ok(());
    }
    if bytes.len() < MIN_PASSWORD_BYTES {
        return Err(PasswordFault::TooShort);
    }
    let username = username.map_or("", Username::as_str);
    if bytes.eq_ignore_ascii_case(username.as_bytes()) {
        return Err(PasswordFault::IsUsername);
    }
    guess(password.as_str(), username)
}

fn guess(password: &str, username: &str) -> Result<(), PasswordFault> {
    let end = password.char_indices().nth(MAX_GUESSED_CHARS);
    let start = &password[..end.map_or(password.len(), |(end, _)| end)];
    // The parts of an address are what people append a digit to. Single letters are in every password.
    let mut inputs = vec![username];
    let parts = username.split(|char: char| !char.is_alphanumeric());
    inputs.extend(parts.filter(|part| part.len() > 2).take(MAX_NAME_PARTS));
    let entropy = zxcvbn::zxcvbn(start, &inputs);
    if u8::from(entropy.score()) >= MIN_SCORE {
        return Ok(());
    }
    let hint = entropy.feedback().and_then(|feedback| {
        let warning = feedback.warning().map(|warning| warning.to_string());
        warning.or_else(|| feedback.suggestions().first().map(ToString::to_string))
    });
    Err(PasswordFault::Guessable {
        hint: hint.map(|hint| hint.trim_end_matches('.').to_owned()),
    })
}

/// Four groups of five characters: 100 random bits that can be read aloud.
///
/// # Errors
/// When the operating system has no random bytes.
pub fn random_password() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0_u8; 20]);
    getrandom::fill(&mut *bytes)?;
    let mut text = Zeroizing::new(String::with_capacity(23));
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(password: &str, policy: bool) -> Result<(), PasswordFault> {
        let username = Username::parse("Jane@projectthanos.com").unwrap();
        check_new_password(&Password::new(password.to_owned()), Some(&username), policy)
    }

    #[test]
    fn each_rule_refuses_its_own() {
        for (password, fault) in [
            ("", PasswordFault::Empty),
            ("a\0bcdefgh", PasswordFault::HasNul),
            (&"ß".repeat(37), PasswordFault::TooLong),
            ("kX9-vq2", PasswordFault::TooShort),
            ("jane@projectthanos.com", PasswordFault::IsUsername),
        ] {
            assert_eq!(check(password, true), Err(fault), "{password:?}");
        }
        for guessable in ["password1", "abcdefgh", "projectthanos", "11111111"] {
            assert!(
                matches!(check(guessable, true), Err(PasswordFault::Guessable { .. })),
                "{guessable}"
            );
        }
        let tail = "kX9-vq2_Lw7.Tz4";
        let long = [
            format!("{}{tail}", "a".repeat(MAX_GUESSED_CHARS)),
            format!("{}{tail}", "é".repeat(MAX_GUESSED_CHARS - 10)),
        ];
        assert!(
            matches!(check(&long[0], true), Err(PasswordFault::Guessable { .. })),
            "only the start counts"
        );
        for good in [
            &long[1],
            // What takes longest.
            "4@({[<36!1|70$5+7%24@({[<36!1|70$5+7%24@({[<36!1|70$5+7%24@({[<36!1|70$",
            "thanosrocks-2042",
            "correct horse battery",
            // 72 bytes.
            "ü7q-Kräuter&Größe_2042/fünf#Äpfel:ölig;Über~weiß@Straße+süßn",
        ] {
            assert_eq!(check(good, true), Ok(()), "{good}");
        }
    }

    #[test]
    fn without_the_policy_only_what_can_never_log_in_is_refused() {
        assert_eq!(check("a", false), Ok(()));
        assert_eq!(check("jane@projectthanos.com", false), Ok(()));
        assert_eq!(check("", false), Err(PasswordFault::Empty));
        assert_eq!(check(&"a".repeat(73), false), Err(PasswordFault::TooLong));
    }

    #[test]
    fn a_made_password_passes_the_rules() {
        let (first, second) = (random_password().unwrap(), random_password().unwrap());
        assert_eq!(first.len(), 23);
        assert_ne!(first, second);
        assert_eq!(check(&first, true), Ok(()));
    }
}
