//! Why a call of the store failed.

use std::sync::Arc;

use super::statement_error::StatementError;

/// Why a query or a change failed. Shared, since one failed commit is the failure of everyone who waited for it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Passes by itself or when the operator makes room: a lock, the disk, memory.
    #[error("the database is not available: {}", .0.reason())]
    Unavailable(Arc<StatementError>),
    /// A malformed file or a mistake of this program.
    #[error("the database failed: {}", .0.reason())]
    Defect(Arc<StatementError>),
    /// The database was moved, removed or replaced while it is open.
    #[error("the path of the database leads to another file than the open one")]
    FileReplaced,
    /// Another process, or another call, writes many rows.
    #[error("another import is in progress; try again when it has ended")]
    ImportUnderWay,
    /// The store was closed, or a change panicked.
    #[error("the database writer gave no answer")]
    NoAnswer,
}

impl Error {
    /// Whether the log has said it once for all calls.
    pub fn is_logged(&self) -> bool {
        matches!(self, Self::Unavailable(error) if error.is_logged())
    }
}

impl From<StatementError> for Error {
    fn from(error: StatementError) -> Self {
        if error.is_passing() {
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
