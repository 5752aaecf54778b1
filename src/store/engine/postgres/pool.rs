//! Queries and changes, each on a connection that is lent to it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use super::address::Address;
use super::connect::Route;
use super::session::Session;
use super::sessions::{Lent, Sessions};
use crate::store::engine::statement_error::{Result, StatementError};
use crate::store::engine::{Connection, OpenedBy};

/// The longest that a request waits for a connection and for all statements of one call. Where the server falls silent then,
/// there is time left to end a commit, and for what the request does to take back what it had counted.
const PATIENCE: Duration = Duration::from_secs(3);

/// A command has time: it may list or import very many rows.
const PATIENCE_OF_A_COMMAND: Duration = Duration::from_secs(60 * 60);

/// Connections to the servers of one database.
pub(in crate::store) struct Pool {
    /// For the statements of one call, and for each page of a long list.
    patience: Duration,
    sessions: Arc<Sessions>,
}

impl Pool {
    pub(in crate::store) fn new(address: Address, tls: Arc<ClientConfig>, by: OpenedBy) -> Self {
        let patience = match by {
            OpenedBy::Server => PATIENCE,
            OpenedBy::Command => PATIENCE_OF_A_COMMAND,
        };
        let sessions = Arc::new(Sessions::new(Route::new(address, tls)));
        Self { patience, sessions }
    }

    pub(super) fn address(&self) -> &Address {
        &self.sessions.route.address
    }

    /// A connection that is no part of the pool.
    pub(super) fn connect_once(&self) -> Result<Session> {
        self.sessions.route.connect()
    }

    /// Runs a query.
    pub(in crate::store) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let start = Instant::now();
        let lent = self.sessions.lend(start + PATIENCE)?;
        lent.set_patience(start, self.patience);
        query(&Connection::Postgres(&lent))
    }

    /// Runs a change in a transaction of its own, which is committed when this returns; undone, if `is_kept` says so.
    ///
    /// # Errors
    /// When it is not known whether the transaction was committed, too.
    pub(in crate::store) fn write<T>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T>,
        is_kept: fn(&T) -> bool,
    ) -> Result<T> {
        let start = Instant::now();
        let session = &*self.begin(start + PATIENCE)?;
        session.set_patience(start, self.patience);
        let outcome = catch_unwind(AssertUnwindSafe(|| change(&Connection::Postgres(session))))
            .unwrap_or(Err(StatementError::Panicked));
        let is_failed = session.take_failed();
        match outcome {
            Ok(value) if is_kept(&value) && !is_failed => {
                session.commit()?;
                Ok(value)
            }
            outcome => {
                let rolled_back = session.roll_back();
                let value = outcome?;
                rolled_back?;
                match is_kept(&value) {
                    // What the change made of a failed statement is of no use: the server has undone all before it.
                    true => Err(StatementError::TransactionFailed),
                    false => Ok(value),
                }
            }
        }
    }

    /// A connection may have ended while nobody used it; nothing has been done by then, so another one is tried.
    fn begin(&self, deadline: Instant) -> Result<Lent> {
        loop {
            let lent = self.sessions.lend(deadline)?;
            lent.set_deadline(deadline);
            match lent.begin() {
                Ok(()) => return Ok(lent),
                Err(_) if !lent.is_alive() && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
    }
}
