//! A password in clear, for as short as possible.

use zeroize::Zeroizing;

/// What bcrypt reads of a password, in bytes; it ignores the rest.
pub const MAX_PASSWORD_BYTES: usize = 72;

/// A password in clear: wiped when dropped, and without `Debug` so that no log and no panic can show it.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the text as it is: nothing is trimmed or normalised.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Self {
        Self(text.into())
    }

    /// The UTF-8 bytes that are hashed.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The text, for the rules about passwords that are set.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether bcrypt would ignore the end of it; such a password never matches and is never hashed.
    pub fn is_too_long(&self) -> bool {
        self.0.len() > MAX_PASSWORD_BYTES
    }
}
