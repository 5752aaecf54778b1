//! The complete body of a request.

use std::io::Read;

use zeroize::Zeroizing;

use super::{Error, Object};

/// The bytes of a body. They are wiped on drop because they may contain a password.
pub struct Body(Zeroizing<Vec<u8>>);

impl Body {
    /// Reads a body of `length` bytes.
    pub(super) fn read(mut source: impl Read, length: usize) -> Result<Self, Error> {
        // Allocated in full at once: a growing buffer would leave copies of the bytes behind.
        let mut bytes = Zeroizing::new(vec![0; length]);
        source.read_exact(&mut bytes).map_err(Error::Read)?;
        Ok(Self(bytes))
    }

    /// A body of these bytes.
    pub fn from_bytes(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(bytes)
    }

    /// The bytes as they were sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The body as a JSON object.
    ///
    /// # Errors
    /// [`Error::NotJson`], [`Error::NotAnObject`] or [`Error::Null`].
    pub fn object(&self) -> Result<Object<'_>, Error> {
        Object::parse(&self.0)
    }

    /// The body as a JSON list of objects; `None` if it is not a list.
    ///
    /// # Errors
    /// [`Error::NotJson`].
    pub fn list(&self) -> Result<Option<Vec<Object<'_>>>, Error> {
        Object::parse_list(&self.0)
    }
}
