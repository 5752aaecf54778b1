//! The rules for new passwords, and random passwords.

use zeroize::Zeroizing;

use crate::account::Username;
use crate::hashing::{MAX_PASSWORD_BYTES, Password};

/// The minimum length of a new password in bytes.
pub const MIN_PASSWORD_BYTES: usize = 8;

/// The minimum score by zxcvbn, which is 0 to 4. A score of 2 means more than a million guesses.
const MIN_SCORE: u8 = 2;

/// The length of the start of the password that zxcvbn rates. Its work grows with the third power of the length, to
/// more than a second for 72 bytes of digits and signs that could stand for letters.
const MAX_GUESSED_CHARS: usize = 32;
/// How many parts of the username zxcvbn looks for; a username can have 127 parts.
const MAX_NAME_PARTS: usize = 8;

/// 32 characters, so that each is 5 bits; without characters that are mistaken for each other.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Why a new password is refused. None of the texts contains any part of the password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordFault {
    /// It has no characters.
    #[error("the password is empty")]
    Empty,
    /// It is longer than 72 bytes, of which bcrypt would ignore the rest.
    #[error("the password is longer than {MAX_PASSWORD_BYTES} bytes")]
    TooLong,
    /// It contains a NUL, which the login call refuses.
    #[error("the password contains a null character")]
    HasNul,
    /// It is shorter than [`MIN_PASSWORD_BYTES`].
    #[error("the password is shorter than {MIN_PASSWORD_BYTES} bytes")]
    TooShort,
    /// It is the username, ignoring case.
    #[error("the password is the username")]
    IsUsername,
    /// zxcvbn estimates that few guesses find it.
    #[error("the password is too easily guessed{}", .hint.as_ref().map(|hint| format!(": {hint}")).unwrap_or_default())]
    Guessable {
        /// zxcvbn's explanation or advice, in English.
        hint: Option<String>,
    },
}

/// Checks a new password of a user. Without `policy`, only a password that could never log in is refused.
///
/// # Errors
/// The first rule that the password breaks.
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
    // People append a digit to a part of their address. Shorter parts occur in every password.
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

/// A random password of four groups of five characters: 100 random bits that can be read aloud.
///
/// # Errors
/// The operating system provided no random bytes.
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
    fn each_rule_refuses_a_password_that_breaks_it() {
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
            "only the start is rated"
        );
        for good in [
            &long[1],
            // The password that takes zxcvbn longest.
            "4@({[<36!1|70$5+7%24@({[<36!1|70$5+7%24@({[<36!1|70$5+7%24@({[<36!1|70$",
            "thanosrocks-2042",
            "correct horse battery",
            // This password has 72 bytes.
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
    fn a_random_password_passes_the_rules() {
        let (first, second) = (random_password().unwrap(), random_password().unwrap());
        assert_eq!(first.len(), 23);
        assert_ne!(first, second);
        assert_eq!(check(&first, true), Ok(()));
    }
}
