//! A request's body, whole and within its limit.

use std::io::Read;

use zeroize::Zeroizing;

use super::{Error, Object};

/// The bytes of a body, wiped when dropped since a password is among them.
pub struct Body(Zeroizing<Vec<u8>>);

impl Body {
    /// Reads all there is, but not more than a byte past the limit.
    pub(super) fn read(
        source: impl Read,
        length: Option<usize>,
        max_bytes: usize,
    ) -> Result<Self, Error> {
        if length.is_some_and(|length| length > max_bytes) {
            return Err(Error::BodyTooLarge(max_bytes));
        }
        // Room for everything at once: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(length.unwrap_or(max_bytes) + 1));
        let limit = u64::try_from(max_bytes)
            .unwrap_or(u64::MAX)
            .saturating_add(1);
        source
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(Error::Read)?;
        if bytes.len() > max_bytes {
            return Err(Error::BodyTooLarge(max_bytes));
        }
        Ok(Self(bytes))
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// [`Error::NotJson`], [`Error::NotAnObject`] or [`Error::Null`].
    pub fn object(&self) -> Result<Object<'_>, Error> {
        Object::parse(&self.0)
    }
}
