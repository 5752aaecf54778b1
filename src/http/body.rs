//! A request's body, whole.

use std::io::Read;

use zeroize::Zeroizing;

use super::{Error, Object};

/// The bytes of a body, wiped when dropped since a password is among them.
pub struct Body(Zeroizing<Vec<u8>>);

impl Body {
    /// Reads as many bytes as were announced.
    pub(super) fn read(mut source: impl Read, length: usize) -> Result<Self, Error> {
        // Room for everything at once: a buffer that grows leaves copies behind.
        let mut bytes = Zeroizing::new(vec![0; length]);
        source.read_exact(&mut bytes).map_err(Error::Read)?;
        Ok(Self(bytes))
    }

    /// One that is here already.
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

    /// The body as a JSON list of objects; `None` when it is no list.
    ///
    /// # Errors
    /// [`Error::NotJson`].
    pub fn list(&self) -> Result<Option<Vec<Object<'_>>>, Error> {
        Object::parse_list(&self.0)
    }
}
