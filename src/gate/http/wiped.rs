//! A byte buffer that is wiped after use, because heads, bodies and answers contain passwords and tokens.

use std::ops::{Deref, DerefMut};

use zeroize::{Zeroize, Zeroizing};

/// A growing buffer that leaves no copy of its bytes in memory, neither when it is reallocated nor when it is dropped.
#[derive(Default)]
pub(crate) struct Wiped(Zeroizing<Vec<u8>>);

impl Wiped {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    pub(crate) fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Changes the length to `length` bytes. New bytes are zero, removed bytes are wiped.
    pub(crate) fn resize(&mut self, length: usize) {
        match length.checked_sub(self.0.len()) {
            Some(more) => self.reserve(more),
            None => self.0[length..].zeroize(),
        }
        self.0.resize(length, 0);
    }

    /// Reserves space for `more` bytes. A `Vec` that reallocates by itself would leave a copy of its bytes behind.
    fn reserve(&mut self, more: usize) {
        let needed = self.0.len() + more;
        if needed > self.0.capacity() {
            let mut larger = Vec::with_capacity(needed.max(self.0.capacity() * 2));
            larger.extend_from_slice(&self.0);
            self.0 = Zeroizing::new(larger);
        }
    }
}

impl Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wiped_buffer_grows_and_shrinks_like_a_vector() {
        let mut wiped = Wiped::with_capacity(2);
        for part in ["a", "bc", "", "defghijk"] {
            wiped.extend_from_slice(part.as_bytes());
        }
        assert_eq!(&*wiped, b"abcdefghijk");
        wiped.resize(3);
        wiped.resize(5);
        assert_eq!(&*wiped, b"abc\0\0");
    }
}
