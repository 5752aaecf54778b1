//! What a server reports, by what can be done about it.

use std::io;

use tokio_postgres::error::SqlState;

use super::reason::{of_error, of_socket};

/// Why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// No answer: the server is away, or was silent until the deadline.
    #[error("{}", of_socket(.0))]
    Away(io::Error),
    /// There is no connection to use, and the log has said why.
    #[error("{0}")]
    NotConnected(String),
    /// The server is a standby, or takes no changes for another reason.
    #[error("the server only takes reads")]
    OnlyReads,
    /// All connections were in use until the deadline.
    #[error("all connections to the database server are in use")]
    Busy,
    /// A commit of which the server says that a standby may not have it.
    #[error("the database server did not wait for its standby")]
    Unsure,
    /// The server refused, or the connection to it ended.
    #[error("{}", of_error(.0))]
    Server(tokio_postgres::Error),
}

impl Failure {
    /// `None` when the server itself reports nothing.
    fn state(&self) -> Option<&SqlState> {
        match self {
            Self::Server(error) => error.code(),
            _ => None,
        }
    }

    /// Whether the other connections to the same server are of no more use than this one: it takes no changes
    /// any more.
    pub(super) fn is_of_server(&self) -> bool {
        self.state() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
    }

    /// Whether the log has said it once for all calls.
    pub(in crate::store) fn is_logged(&self) -> bool {
        matches!(self, Self::NotConnected(_))
    }

    /// Whether nothing can be sent on that connection any more, or what is sent goes to the wrong server.
    pub(super) fn ends_session(&self) -> bool {
        self.state().is_none_or(|state| {
            let class = state.code().get(..2).unwrap_or_default();
            ["08", "57", "58"].contains(&class) && *state != SqlState::QUERY_CANCELED
                || [
                    SqlState::READ_ONLY_SQL_TRANSACTION,
                    SqlState::FEATURE_NOT_SUPPORTED,
                    SqlState::INVALID_SQL_STATEMENT_NAME,
                ]
                .contains(state)
        })
    }

    /// Whether the same call may succeed later, without a change of the program or of what is in the database.
    pub(in crate::store) fn is_passing(&self) -> bool {
        self.state()
            .is_none_or(|state| match state.code().get(..2).unwrap_or_default() {
                // The connection, resources, an operator who intervened, the system, a transaction that was ended for another.
                "08" | "53" | "57" | "58" | "25" | "40" | "55" | "28" => true,
                _ => [
                    SqlState::INVALID_CATALOG_NAME,
                    SqlState::INSUFFICIENT_PRIVILEGE,
                    SqlState::FEATURE_NOT_SUPPORTED,
                    SqlState::INVALID_SQL_STATEMENT_NAME,
                ]
                .contains(state),
            })
    }

    /// Whether the role lacks a right.
    pub(super) fn is_forbidden(&self) -> bool {
        self.state() == Some(&SqlState::INSUFFICIENT_PRIVILEGE)
    }

    pub(in crate::store) fn is_constraint(&self) -> bool {
        self.state()
            .is_some_and(|state| state.code().starts_with("23"))
    }

    pub(in crate::store) fn is_foreign_key(&self) -> bool {
        self.state() == Some(&SqlState::FOREIGN_KEY_VIOLATION)
    }
}
