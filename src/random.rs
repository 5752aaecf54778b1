//! Random UUIDs. Unlike the generator of the `uuid` crate, this returns an error instead of a panic when the operating
//! system provides no random bytes.

use std::io;

use uuid::{Builder, Uuid};

/// A random UUID of version 4.
pub(crate) fn uuid() -> io::Result<Uuid> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| io::Error::other(format!("no random bytes: {error}")))?;
    Ok(Builder::from_random_bytes(bytes).into_uuid())
}
