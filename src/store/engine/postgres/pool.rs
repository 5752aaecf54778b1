//! The connections of a server process: a bounded number, each lent to one call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustls::ClientConfig;

use super::address::Address;
use super::connect::connect_any;
use super::error::Failure;
use super::session::Session;
use crate::store::engine::statement_error::{Result, StatementError};
use crate::store::engine::{Connection, OpenedBy};

/// The longest that a request waits, for a connection and for all its statements.
const PATIENCE: Duration = Duration::from_secs(5);

/// A command has time: it may list or import very many rows.
const PATIENCE_OF_A_COMMAND: Duration = Duration::from_secs(60 * 60);

/// Connections for calls. A statement takes some tens of microseconds, so a few keep a server busy.
const MAX_SESSIONS: usize = 16;

/// After a failed connecting nobody tries for this long at first, and for twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// Connections to the servers of one database.
pub(in crate::store) struct Pool {
    address: Address,
    tls: Arc<ClientConfig>,
    /// For the statements of one call, and for each page of a long list.
    patience: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    idle: Vec<Session>,
    /// Idle, lent, or being made.
    open: usize,
    /// One at a time, so that no crowd knocks at a server that comes back.
    is_connecting: bool,
    pause: Duration,
    /// Until when nobody tries to connect.
    paused_until: Option<Instant>,
}

/// A connection that returns to the pool when it is dropped.
struct Lent<'p> {
    pool: &'p Pool,
    session: Option<Session>,
}

impl Pool {
    pub(in crate::store) fn new(address: Address, tls: Arc<ClientConfig>, by: OpenedBy) -> Self {
        let patience = match by {
            OpenedBy::Server => PATIENCE,
            OpenedBy::Command => PATIENCE_OF_A_COMMAND,
        };
        let state = State {
            idle: Vec::new(),
            open: 0,
            is_connecting: false,
            pause: FIRST_PAUSE,
            paused_until: None,
        };
        Self {
            address,
            tls,
            patience,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// A connection that is no part of the pool.
    pub(super) fn connect_once(&self) -> Result<Session> {
        connect_any(&self.address, &self.tls, Instant::now() + PATIENCE)
    }

    /// Runs a query.
    pub(in crate::store) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T>,
    ) -> Result<T> {
        let lent = self.lend(Instant::now() + PATIENCE)?;
        let session = lent.session()?;
        session.set_patience(self.patience);
        query(&Connection::Postgres(session))
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
        let lent = self.begin(Instant::now() + PATIENCE)?;
        let session = lent.session()?;
        session.set_patience(self.patience);
        let outcome = catch_unwind(AssertUnwindSafe(|| change(&Connection::Postgres(session))))
            .unwrap_or(Err(StatementError::Panicked));
        let is_spoiled = session.take_spoiled();
        match outcome {
            Ok(value) if is_kept(&value) && !is_spoiled => {
                session.commit()?;
                Ok(value)
            }
            // What the change made of a failed statement is of no use: the server has undone all before it.
            Ok(_) if is_spoiled => Err(StatementError::Spoiled),
            outcome => {
                session.roll_back()?;
                outcome
            }
        }
    }

    /// A connection may have ended while nobody used it; nothing has been done by then, so another one is tried.
    fn begin(&self, deadline: Instant) -> Result<Lent<'_>> {
        loop {
            let lent = self.lend(deadline)?;
            let session = lent.session()?;
            session.set_deadline(deadline);
            match session.begin() {
                Ok(()) => return Ok(lent),
                Err(_) if !session.is_alive() && Instant::now() < deadline => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn lend(&self, deadline: Instant) -> Result<Lent<'_>> {
        let mut state = self.state.lock();
        loop {
            while let Some(session) = state.idle.pop() {
                if session.is_alive() {
                    let session = Some(session);
                    return Ok(Lent {
                        pool: self,
                        session,
                    });
                }
                state.open -= 1;
            }
            let is_paused = state
                .paused_until
                .is_some_and(|until| Instant::now() < until);
            // Nobody waits for one who tries whether the server is back.
            if is_paused || (state.is_connecting && state.paused_until.is_some()) {
                return Err(Failure::Away(std::io::ErrorKind::NotConnected.into()).into());
            }
            if state.open < MAX_SESSIONS && !state.is_connecting {
                state.is_connecting = true;
                state.open += 1;
                drop(state);
                return self.connect(deadline);
            }
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                return Err(Failure::Away(std::io::ErrorKind::TimedOut.into()).into());
            }
        }
    }

    fn connect(&self, deadline: Instant) -> Result<Lent<'_>> {
        let connected = connect_any(&self.address, &self.tls, deadline);
        let mut state = self.state.lock();
        state.is_connecting = false;
        match &connected {
            Ok(_) => (state.pause, state.paused_until) = (FIRST_PAUSE, None),
            Err(_) => {
                state.open -= 1;
                state.pause();
            }
        }
        drop(state);
        self.changed.notify_all();
        let session = Some(connected?);
        Ok(Lent {
            pool: self,
            session,
        })
    }
}

impl State {
    fn pause(&mut self) {
        self.paused_until = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(MAX_PAUSE);
    }
}

impl Lent<'_> {
    fn session(&self) -> Result<&Session> {
        self.session.as_ref().ok_or(StatementError::NoRow)
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let Some(session) = self.session.take() else {
            return;
        };
        let mut state = self.pool.state.lock();
        if session.is_idle() {
            state.idle.push(session);
        } else {
            state.open -= 1;
            if session.was_silent() {
                // The others would each take as long to find out.
                state.open -= state.idle.len();
                state.idle.clear();
                state.pause();
            }
        }
        drop(state);
        self.pool.changed.notify_one();
    }
}
