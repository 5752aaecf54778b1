//! The location of a database: a file, or PostgreSQL servers.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

#[cfg(feature = "postgres")]
use super::engine::postgres::{self, Address};

/// The location of a database.
#[derive(Clone)]
pub enum Location {
    /// A file.
    File(PathBuf),
    /// PostgreSQL servers.
    #[cfg(feature = "postgres")]
    Servers {
        /// The hosts, the name of the database, and the user to log in as.
        address: Box<Address>,
        /// The file with the certificates (PEM) of the authority to trust. `None` for the authorities of the system.
        authority: Option<PathBuf>,
    },
}

/// Why a text is not a valid location. The messages contain no password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// The text is a URL, and this program was built without PostgreSQL.
    #[cfg(not(feature = "postgres"))]
    #[error("this build has no PostgreSQL: build with `--features postgres`, or give a file")]
    NotBuiltIn,
    /// The URL is malformed.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Address(#[from] super::engine::postgres::AddressError),
    /// A certificate authority was given, but the location is a file.
    #[error("--db-ca requires a PostgreSQL URL in --db")]
    NeedlessAuthority,
}

impl Location {
    /// Parses a location. A URL refers to PostgreSQL servers; any other text is a path.
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

    /// Splits a URL into the URL without its password, and the password. `None` if there is no password or the text is
    /// not a URL.
    #[cfg(feature = "postgres")]
    pub fn take_password(text: &OsStr) -> Option<(String, Zeroizing<String>)> {
        postgres::take_password(text.to_str()?)
    }

    /// Returns `None`, because this build does not accept URLs.
    #[cfg(not(feature = "postgres"))]
    pub fn take_password(_: &OsStr) -> Option<(String, Zeroizing<String>)> {
        None
    }

    /// The text of a location, without its password, for display.
    pub fn shown(text: &OsStr) -> String {
        let whole = text.to_string_lossy();
        match Self::take_password(text) {
            Some((url, _)) => url,
            None if !is_url(text) => whole.into_owned(),
            None if Self::new(text.into(), None).is_ok() => whole.into_owned(),
            // In a malformed URL it is not clear which part is the password.
            None => whole
                .split_inclusive("://")
                .take(1)
                .chain(["..."])
                .collect(),
        }
    }

    /// A warning for the operator if the password file is ignored.
    pub fn warning(&self) -> Option<String> {
        match self {
            Self::File(_) => None,
            #[cfg(feature = "postgres")]
            Self::Servers { address, .. } => postgres::password_warning(address),
        }
    }

    /// The path of the file. `None` for servers.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            #[cfg(feature = "postgres")]
            Self::Servers { .. } => None,
        }
    }
}

/// Whether a text starts with any URL scheme.
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
