//! The errors of statements.

use rusqlite::{ErrorCode, ffi};

use super::sqlite::codes;

/// An error that a database reports, or that the program finds in a row.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// An error that SQLite reports.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// An error that PostgreSQL reports, or its server is unavailable.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Postgres(#[from] super::postgres::Failure),
    /// A column has a value that the program does not know. Another program must have written it.
    #[error("column {index} has a value of an unexpected type")]
    Column {
        /// The index of the column, counted from 0.
        index: usize,
        /// What is wrong with the value, if known.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A statement that always returns a row has returned none.
    #[error("a statement returned no row")]
    NoRow,
    /// A statement failed, and the change ignored that.
    #[cfg(feature = "postgres")]
    #[error("a change continued after one of its statements had failed")]
    TransactionFailed,
    /// The code around the statement panicked.
    #[error("a change panicked")]
    Panicked,
}

/// The outcome of a statement.
pub(in crate::store) type Result<T> = std::result::Result<T, StatementError>;

impl StatementError {
    /// The reason in plain words, without the terms of a library.
    pub(in crate::store) fn reason(&self) -> String {
        match self {
            Self::Sqlite(error) => codes::reason(error),
            Self::Column {
                source: Some(source),
                ..
            } => format!("{self}: {source}"),
            other => other.to_string(),
        }
    }

    /// The error for a column whose value cannot be converted.
    pub(in crate::store) fn column(
        index: usize,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let source = Some(Box::from(source));
        Self::Column { index, source }
    }

    /// Whether the same call may succeed later without a change of the program or of the data.
    pub(in crate::store) fn is_temporary(&self) -> bool {
        match self {
            Self::Sqlite(error) => codes::is_temporary(error),
            #[cfg(feature = "postgres")]
            Self::Postgres(failure) => failure.is_temporary(),
            _ => false,
        }
    }

    /// Whether the error has already been logged once for all calls.
    pub(in crate::store) fn is_logged(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(failure) => failure.is_logged(),
            _ => false,
        }
    }

    /// Whether a change violated a constraint of the schema.
    pub(in crate::store) fn is_constraint(&self) -> bool {
        match self {
            Self::Sqlite(error) => {
                error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(failure) => failure.is_constraint(),
            _ => false,
        }
    }

    /// Whether a change violated a foreign key: a row would refer to a missing row.
    pub(in crate::store) fn is_foreign_key(&self) -> bool {
        match self {
            Self::Sqlite(error) => error
                .sqlite_error()
                .is_some_and(|error| error.extended_code == ffi::SQLITE_CONSTRAINT_FOREIGNKEY),
            #[cfg(feature = "postgres")]
            Self::Postgres(failure) => failure.is_foreign_key(),
            _ => false,
        }
    }
}
