//! Where a database is: in a file, or on servers.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

#[cfg(feature = "postgres")]
use super::engine::postgres::{self, Address};

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
    #[error("--db-ca goes with the URL of a database, not with a file")]
    NeedlessAuthority,
}

impl Location {
    /// Takes a URL for one of PostgreSQL servers, and everything else for a path.
    ///
    /// # Errors
    /// See [`LocationError`].
    pub fn new(text: PathBuf, authority: Option<PathBuf>) -> Result<Self, LocationError> {
        match (is_url(text.as_os_str()), authority) {
            #[cfg(feature = "postgres")]
            (true, authority) => {
                let url = text.to_str().ok_or(postgres::AddressError::Encoding)?;
                let address = Box::new(Address::new(url, authority.is_some())?);
                Ok(Self::Servers { address, authority })
            }
            #[cfg(not(feature = "postgres"))]
            (true, _) => Err(LocationError::NotBuiltIn),
            (false, Some(_)) => Err(LocationError::NeedlessAuthority),
            (false, None) => Ok(Self::File(text)),
        }
    }

    /// A URL without its password, and that; `None` if it has none, or is no URL.
    #[cfg(feature = "postgres")]
    pub fn take_password(text: &OsStr) -> Option<(String, Zeroizing<String>)> {
        postgres::take_password(text.to_str()?)
    }

    /// `None`: no URL is taken.
    #[cfg(not(feature = "postgres"))]
    pub fn take_password(_: &OsStr) -> Option<(String, Zeroizing<String>)> {
        None
    }

    /// A text that says where a database is, such that it shows no password.
    pub fn shown(text: &OsStr) -> String {
        let whole = text.to_string_lossy();
        match Self::take_password(text) {
            Some((url, _)) => url,
            None if !is_url(text) => whole.into_owned(),
            None if Self::new(text.into(), None).is_ok() => whole.into_owned(),
            // What a password is in a malformed URL, nobody can say.
            None => whole
                .split_inclusive("://")
                .take(1)
                .chain(["..."])
                .collect(),
        }
    }

    /// What the operator should know of the file of passwords.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::File(_) => None,
            #[cfg(feature = "postgres")]
            Self::Servers { address, .. } => postgres::password_warning(address),
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

/// Whether it begins with a scheme, of whatever it is.
fn is_url(text: &OsStr) -> bool {
    let bytes = text.as_encoded_bytes();
    let end = bytes.windows(3).position(|part| part == b"://");
    let is_of_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.:".contains(byte);
    end.is_some_and(|end| bytes[0].is_ascii_alphabetic() && bytes[..end].iter().all(is_of_scheme))
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
