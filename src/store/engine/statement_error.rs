//! Why a statement failed.

use rusqlite::{ErrorCode, ffi};

use super::sqlite::codes;

/// What a database reports, or what the program finds in a row.
#[derive(Debug, thiserror::Error)]
pub enum StatementError {
    /// SQLite reports it.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// PostgreSQL reports it, or its server is away.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Postgres(#[from] super::postgres::Failure),
    /// A column has a value that the program does not know: somebody else wrote it.
    #[error("column {index} has a value of another kind")]
    Column {
        /// Counted from 0.
        index: usize,
        /// What is wrong with it, where that is known.
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A row that must be there is not.
    #[error("a statement gave no row")]
    NoRow,
    /// A statement failed, and the change went on without it.
    #[cfg(feature = "postgres")]
    #[error("a change went on after a statement of it had failed")]
    TransactionFailed,
    /// The code around the statement panicked.
    #[error("a change panicked")]
    Panicked,
}

/// The outcome of a statement.
pub(in crate::store) type Result<T> = std::result::Result<T, StatementError>;

impl StatementError {
    /// In words that are no library's.
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

    /// A column whose value means nothing.
    pub(in crate::store) fn column(
        index: usize,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let source = Some(Box::from(source));
        Self::Column { index, source }
    }

    /// Whether the same call may succeed later, without a change of the program or of what is in the database.
    pub(in crate::store) fn is_passing(&self) -> bool {
        match self {
            Self::Sqlite(error) => codes::is_passing(error),
            #[cfg(feature = "postgres")]
            Self::Postgres(failure) => failure.is_passing(),
            _ => false,
        }
    }

    /// Whether the log has said it once for all calls.
    pub(in crate::store) fn is_logged(&self) -> bool {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres(failure) => failure.is_logged(),
            _ => false,
        }
    }

    /// Whether a rule of the schema refused a change.
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

    /// Whether a row was to refer to one that is not there, or one to go that others refer to.
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
