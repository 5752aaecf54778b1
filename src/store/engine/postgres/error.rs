//! The errors of a server, classified by how the program reacts to them.

use std::io;

use tokio_postgres::error::SqlState;

use super::reason::{error_message, socket_message};

/// Why a statement or a connection failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server is unavailable, or did not reply before the deadline.
    #[error("{}", socket_message(.0))]
    Unreachable(io::Error),
    /// There is no connection, and the reason has been logged.
    #[error("{0}")]
    NotConnected(String),
    /// The server is a standby, or is read-only for another reason.
    #[error("the server accepts only reads")]
    ReadOnly,
    /// All connections were in use until the deadline.
    #[error("all connections to the database server are in use")]
    Busy,
    /// The transaction was committed, but the server warned that a standby may not have received it.
    #[error("the database server did not wait for its standby")]
    UnconfirmedCommit,
    /// The server reported an error, or the connection ended.
    #[error("{}", error_message(.0))]
    Server(tokio_postgres::Error),
}

impl Failure {
    /// The SQLSTATE. `None` if the server itself did not report an error.
    fn state(&self) -> Option<&SqlState> {
        match self {
            Self::Server(error) => error.code(),
            _ => None,
        }
    }

    /// Whether the other connections to the same server are unusable too, because it no longer accepts writes.
    pub(super) fn affects_server(&self) -> bool {
        self.state() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
    }

    /// Whether the error has already been logged once for all calls.
    pub(in crate::store) fn is_logged(&self) -> bool {
        matches!(self, Self::NotConnected(_))
    }

    /// Whether the connection is unusable from now on, or leads to the wrong server.
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

    /// Whether the same call may succeed later without a change of the program or of the data.
    pub(in crate::store) fn is_temporary(&self) -> bool {
        self.state()
            .is_none_or(|state| match state.code().get(..2).unwrap_or_default() {
                // Errors of the connection, resources, an operator's intervention, the system, or a transaction that
                // was aborted in favor of another.
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

    /// Whether the role lacks a privilege.
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
