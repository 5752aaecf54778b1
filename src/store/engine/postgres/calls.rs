//! Running queries and changes, each on a connection borrowed from the pool.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use super::address::Address;
use super::connect::Route;
use super::session::Session;
use super::session_pool::{LentSession, SessionPool};
use crate::store::engine::statement_error::{Result, StatementError};
use crate::store::engine::{Connection, OpenedBy};

/// The time limit of a call in a server, for getting a connection and running all its statements. If the database
/// server stops replying, the deadline of the request leaves enough time to end the commit and to undo what the request
/// has counted.
const TIME_LIMIT: Duration = Duration::from_secs(3);

/// The time limit of a call in a command, which may list or import very many rows.
const TIME_LIMIT_OF_A_COMMAND: Duration = Duration::from_secs(60 * 60);

/// The calls to the servers of one database.
pub(in crate::store) struct Calls {
    /// The time limit for the statements of one call, and for each page of a long list.
    time_limit: Duration,
    pool: Arc<SessionPool>,
}

impl Calls {
    pub(in crate::store) fn new(address: Address, tls: Arc<ClientConfig>, by: OpenedBy) -> Self {
        let time_limit = match by {
            OpenedBy::Server => TIME_LIMIT,
            OpenedBy::Command => TIME_LIMIT_OF_A_COMMAND,
        };
        let pool = Arc::new(SessionPool::new(Route::new(address, tls)));
        Self { time_limit, pool }
    }

    pub(super) fn address(&self) -> &Address {
        &self.pool.route.address
    }

    /// Opens a connection that does not belong to the pool.
    pub(super) fn connect_once(&self) -> Result<Session> {
        self.pool.route.connect()
    }

    /// Runs a query.
    pub(in crate::store) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let start = Instant::now();
        let lent = self.pool.lend(start + TIME_LIMIT)?;
        lent.set_time_limit(start, self.time_limit);
        query(&Connection::Postgres(&lent))
    }

    /// Runs a change in its own transaction. It is committed when this returns, or rolled back if `is_kept` returns
    /// `false`.
    ///
    /// # Errors
    /// Also if it is not known whether the transaction was committed.
    pub(in crate::store) fn write<T>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T>,
        is_kept: fn(&T) -> bool,
    ) -> Result<T> {
        let start = Instant::now();
        let session = &*self.begin(start + TIME_LIMIT)?;
        session.set_time_limit(start, self.time_limit);
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
                    // A statement had failed, and the server has undone the whole transaction: the value is not valid.
                    true => Err(StatementError::TransactionFailed),
                    false => Ok(value),
                }
            }
        }
    }

    /// Borrows a connection and begins a transaction. If the connection ended while it was idle, another one is tried,
    /// because nothing has been done yet.
    fn begin(&self, deadline: Instant) -> Result<LentSession> {
        loop {
            let lent = self.pool.lend(deadline)?;
            lent.set_deadline(deadline);
            match lent.begin() {
                Ok(()) => return Ok(lent),
                Err(_) if !lent.is_alive() && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
    }
}
