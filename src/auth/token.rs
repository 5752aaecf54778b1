//! Access tokens: random, and stored only as a digest.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Random bytes in a token: 160 bits, sent as 40 hexadecimal characters.
const TOKEN_BYTES: usize = 20;

/// A token in clear text: wiped when dropped, and without `Debug`.
pub struct Token(Zeroizing<String>);

/// The SHA-256 of the 40 characters. No salt or slow hash is needed, since 160 random bits cannot be guessed.
#[derive(Clone, Copy)]
pub struct TokenDigest(pub [u8; 32]);

impl Token {
    /// A new random token.
    ///
    /// # Errors
    /// The operating system provided no random bytes.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        getrandom::fill(&mut *bytes)?;
        Ok(Self(Zeroizing::new(hex::encode(*bytes))))
    }

    /// A token that a client presents or a fixture pins. Whether it is valid is known only once its digest is looked
    /// up.
    pub fn from_text(text: impl Into<Zeroizing<String>>) -> Self {
        Self(text.into())
    }

    /// The 40 characters, for the login's answer.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digest under which the database stores it.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(Sha256::digest(self.0.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_40_lower_case_hexadecimal_characters_and_differ() {
        let (first, second) = (Token::random().unwrap(), Token::random().unwrap());
        assert_eq!(first.as_str().len(), 40);
        assert!(
            first
                .as_str()
                .bytes()
                .all(|byte| b"0123456789abcdef".contains(&byte))
        );
        assert_ne!(first.as_str(), second.as_str());
    }

    #[test]
    fn the_digest_is_that_of_the_text() {
        let token = Token::from_text("a0f17278bed479ee719ea890b8caf0329e1f3e5b".to_owned());
        let expected = "a2e5a7bc39442082eb1013f3cd0975d86f90f57b11e60e7b5a36d0117b1c84fe";
        assert_eq!(hex::encode(token.digest().0), expected);
    }
}
