//! Where a database is: in a file, or on servers.

use std::path::{Path, PathBuf};

#[cfg(feature = "postgres")]
use super::engine::postgres::Address;

/// Where a database is.
#[derive(Clone)]
pub enum Location {
    /// A file.
    File(PathBuf),
    /// PostgreSQL servers.
    #[cfg(feature = "postgres")]
    Servers {
        /// Their hosts, the database, and as whom to log in.
        address: Box<Address>,
        /// The certificates of the authority that theirs are of (PEM); the system's without it.
        authority: Option<PathBuf>,
    },
}

/// Why a text says of no database where it is. Shows no password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// A URL of servers that this program was built without.
    #[cfg(not(feature = "postgres"))]
    #[error("this build has no PostgreSQL: build with `--features postgres`, or give a file")]
    NotBuiltIn,
    /// The URL is wrong.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Address(#[from] super::engine::postgres::AddressError),
    /// The authority is of servers, and this is a file.
    #[error("a certificate authority goes with the URL of a database, not with a file")]
    NeedlessAuthority,
}

impl Location {
    /// Takes a text that begins as a URL of PostgreSQL for one, and everything else for a path.
    ///
    /// # Errors
    /// See [`LocationError`].
    pub fn new(text: PathBuf, authority: Option<PathBuf>) -> Result<Self, LocationError> {
        let url = text.to_str().filter(|text| is_url(text));
        match (url, authority) {
            #[cfg(feature = "postgres")]
            (Some(url), authority) => Ok(Self::Servers {
                address: Box::new(url.parse()?),
                authority,
            }),
            #[cfg(not(feature = "postgres"))]
            (Some(_), _) => Err(LocationError::NotBuiltIn),
            (None, Some(_)) => Err(LocationError::NeedlessAuthority),
            (None, None) => Ok(Self::File(text)),
        }
    }

    /// The file; `None` for servers.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            #[cfg(feature = "postgres")]
            Self::Servers { .. } => None,
        }
    }
}

fn is_url(text: &str) -> bool {
    ["postgres://", "postgresql://"]
        .iter()
        .any(|start| text.starts_with(start))
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            #[cfg(feature = "postgres")]
            Self::Servers { address, .. } => address.fmt(f),
        }
    }
}
