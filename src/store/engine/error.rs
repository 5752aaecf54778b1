//! The errors of calls of the store.

use std::sync::Arc;

use super::statement_error::StatementError;

/// Why a query or a change failed. It can be cloned, because a failed commit is the error of every change in the group.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A temporary problem, or one that the operator can solve: a lock, a full disk, too little memory.
    #[error("the database is not available: {}", .0.reason())]
    Unavailable(Arc<StatementError>),
    /// A malformed file, or a defect of this program.
    #[error("the database failed: {}", .0.reason())]
    Defect(Arc<StatementError>),
    /// The file of the database was moved, removed or replaced while it was open, or its content was.
    #[error("the path or the content of the database is no longer that of the open file")]
    FileReplaced,
    /// Another import of many rows is in progress, in this or another process.
    #[error("another import is in progress; try again when it has ended")]
    ImportInProgress,
    /// The store was closed, or a change panicked.
    #[error("the database writer did not reply")]
    NoAnswer,
}

impl Error {
    /// Whether the error has already been logged once for all calls.
    pub fn is_logged(&self) -> bool {
        matches!(self, Self::Unavailable(error) if error.is_logged())
    }
}

impl From<StatementError> for Error {
    fn from(error: StatementError) -> Self {
        if error.is_temporary() {
            Self::Unavailable(Arc::new(error))
        } else {
            Self::Defect(Arc::new(error))
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        StatementError::from(error).into()
    }
}
