//! The check that the database can be used.

use super::{Error, Store};

impl Store {
    /// Checks that the database can be read and written. It writes a page, because a full disk only shows then; the
    /// value written is the present one.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check_writable(&self) -> Result<(), Error> {
        self.read(|connection| connection.schema_version())?;
        self.write(|connection| connection.write_schema_version())
    }
}
