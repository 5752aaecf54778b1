//! A password in clear text, which is wiped from memory when dropped.

use zeroize::Zeroizing;

/// The longest password in bytes: bcrypt ignores everything after it.
pub const MAX_PASSWORD_BYTES: usize = 72;

/// A password in clear text. It is wiped when dropped, and has no `Debug`, so that neither a log nor a panic can show
/// it.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the text as it is, without trimming or normalising.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Self {
        Self(text.into())
    }

    /// The UTF-8 bytes that are hashed.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The text, for the rules about new passwords.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is longer than [`MAX_PASSWORD_BYTES`]. Such a password never matches and is never hashed.
    pub fn is_too_long(&self) -> bool {
        self.0.len() > MAX_PASSWORD_BYTES
    }
}
