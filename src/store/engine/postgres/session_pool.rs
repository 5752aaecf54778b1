//! The pool of connections to the servers of a database. Their number is bounded, and each is lent to one call at a
//! time.
//!
//! Calls never open connections themselves. A thread opens one after the other while more are needed or the database is
//! unavailable. So a server that comes back is not flooded with connections, and waiting calls continue as soon as
//! there is one.

use std::ops::Deref;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::connect::Route;
use super::error::Failure;
use super::session::Session;
use crate::store::engine::statement_error::{Result, StatementError};

/// The maximum number of connections. A statement takes some tens of microseconds, so a few connections keep a server
/// busy.
const MAX_SESSIONS: usize = 16;

/// How long an unused connection is kept.
const IDLE_TIME: Duration = Duration::from_secs(300);

/// The pause after the first failed attempt to connect. It doubles after each further failure, up to the maximum.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// The minimum time between two log lines with different reasons.
const BETWEEN_REASONS: Duration = Duration::from_secs(10);

/// How long a call waits for a database that is unavailable. It is longer than a pause, so that a database that is back
/// is noticed.
const TIME_LIMIT_WHILE_UNREACHABLE: Duration = Duration::from_secs(1);

/// The pool of connections.
pub(super) struct SessionPool {
    pub(super) route: Route,
    state: Mutex<PoolState>,
    changed: Condvar,
}

#[derive(Default)]
struct PoolState {
    /// The idle connections, each with the time of its last use. The most recently used one is last.
    idle: Vec<(Session, Instant)>,
    /// The number of idle and lent connections.
    open: usize,
    /// The number of calls that wait for a connection.
    waiting: usize,
    /// Whether a thread is connecting, or pausing before its next attempt.
    is_connecting: bool,
    /// Whether the database is considered unavailable: there is no connection, and calls do not wait for long.
    is_unreachable: bool,
    /// The failure since the last successful attempt to connect.
    trouble: Option<Trouble>,
}

/// Why attempts to connect fail.
struct Trouble {
    reason: String,
    /// When this reason or an earlier one was logged.
    logged: Instant,
}

/// A borrowed connection. Dropping it returns the connection to the pool.
pub(super) struct LentSession {
    pool: Arc<SessionPool>,
    /// `None` only while it is being dropped.
    session: Option<Session>,
}

/// The thread that connects.
struct Connector(Weak<SessionPool>);

impl SessionPool {
    pub(super) fn new(route: Route) -> Self {
        Self {
            route,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Lends a connection, and waits for one until the deadline.
    ///
    /// # Errors
    /// [`Failure::NotConnected`] or [`Failure::Busy`] if there is none at the deadline.
    pub(super) fn lend(self: &Arc<Self>, deadline: Instant) -> Result<LentSession> {
        let deadline_while_unreachable =
            deadline.min(Instant::now() + TIME_LIMIT_WHILE_UNREACHABLE);
        let mut state = self.state.lock();
        loop {
            if let Some(session) = state.take_idle() {
                let (pool, session) = (Arc::clone(self), Some(session));
                return Ok(LentSession { pool, session });
            }
            if state.open < MAX_SESSIONS {
                self.start_connector(&mut state)?;
            }
            let deadline = if state.is_unreachable {
                deadline_while_unreachable
            } else {
                deadline
            };
            state.waiting += 1;
            let waited = self.changed.wait_until(&mut state, deadline);
            state.waiting -= 1;
            if waited.timed_out() && state.idle.is_empty() {
                return Err(state.failure().into());
            }
        }
    }

    /// Starts a thread that connects, unless one is running.
    fn start_connector(self: &Arc<Self>, state: &mut PoolState) -> Result<()> {
        if state.is_connecting {
            return Ok(());
        }
        let connector = Connector(Arc::downgrade(self));
        thread::Builder::new()
            .name("connector".to_owned())
            .spawn(move || connector.run())
            .map_err(Failure::Unreachable)?;
        state.is_connecting = true;
        Ok(())
    }

    /// Opens a connection, and returns whether that succeeded.
    fn connect(&self) -> bool {
        let connected = self.route.connect();
        let mut state = self.state.lock();
        let is_connected = connected.is_ok();
        match connected {
            Ok(session) => {
                state.open += 1;
                state.idle.push((session, Instant::now()));
                state.is_unreachable = false;
                if state.trouble.take().is_some() {
                    tracing::info!(database = %self.route.address, "connected to the database again");
                }
            }
            Err(error) => {
                state.is_unreachable = state.open == 0;
                self.record_trouble(&mut state, &error);
            }
        }
        drop(state);
        self.changed.notify_all();
        is_connected
    }

    /// Records a failed attempt to connect. Logs the first one and later ones with another reason, but not every stage
    /// of a restart.
    fn record_trouble(&self, state: &mut PoolState, error: &StatementError) {
        let reason = error.reason();
        let now = Instant::now();
        let logged = match &state.trouble {
            Some(last) if last.reason == reason => last.logged,
            Some(last) if now - last.logged < BETWEEN_REASONS => return,
            _ => now,
        };
        if logged == now {
            tracing::warn!(
                error = reason,
                database = %self.route.address,
                connections = state.open,
                "cannot connect to the database; calls that need a connection get status 503 until an attempt succeeds"
            );
        }
        state.trouble = Some(Trouble { reason, logged });
    }

    fn return_session(self: &Arc<Self>, session: Session) {
        let is_idle = session.is_idle();
        let mut state = self.state.lock();
        let mut ended = Vec::new();
        if is_idle {
            state.idle.push((session, Instant::now()));
            ended.extend(state.take_unused());
            drop(state);
            self.changed.notify_one();
            return;
        }
        state.open -= 1;
        if session.is_server_lost() {
            // Each of the other connections would take as long to fail.
            let (lost, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut state.idle)
                .into_iter()
                .partition(|(idle, _)| idle.is_same_server(&session));
            (ended, state.idle) = (lost, kept);
            state.open -= ended.len();
            state.is_unreachable = state.idle.is_empty();
            // If the thread cannot be started now, the next call starts it.
            let _ = self.start_connector(&mut state);
        }
        drop(state);
        self.changed.notify_all();
    }
}

impl PoolState {
    fn take_idle(&mut self) -> Option<Session> {
        while let Some((session, _)) = self.idle.pop() {
            if session.is_alive() {
                return Some(session);
            }
            self.open -= 1;
        }
        None
    }

    /// Removes a connection that has not been used for long.
    fn take_unused(&mut self) -> Option<(Session, Instant)> {
        let (_, since) = self.idle.first()?;
        (since.elapsed() > IDLE_TIME).then(|| {
            self.open -= 1;
            self.idle.remove(0)
        })
    }

    /// The error of a call that got no connection.
    fn failure(&self) -> Failure {
        let trouble = self.trouble.as_ref();
        trouble.map_or(Failure::Busy, |trouble| {
            Failure::NotConnected(trouble.reason.clone())
        })
    }

    fn wants_more(&self) -> bool {
        self.is_unreachable || self.waiting > self.idle.len() && self.open < MAX_SESSIONS
    }
}

impl Connector {
    fn run(self) {
        let mut pause = FIRST_PAUSE;
        while let Some(pool) = self.0.upgrade() {
            let is_connected = pool.connect();
            let mut state = pool.state.lock();
            if !state.wants_more() {
                state.is_connecting = false;
                return;
            }
            drop(state);
            drop(pool);
            if is_connected {
                pause = FIRST_PAUSE;
            } else {
                thread::sleep(pause);
                pause = (pause * 2).min(MAX_PAUSE);
            }
        }
    }
}

impl Drop for Connector {
    fn drop(&mut self) {
        if thread::panicking()
            && let Some(pool) = self.0.upgrade()
        {
            pool.state.lock().is_connecting = false;
        }
    }
}

impl Deref for LentSession {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session
            .as_ref()
            .expect("the session is taken only when this is dropped")
    }
}

impl Drop for LentSession {
    fn drop(&mut self) {
        if let Some(session) = self.session.take() {
            self.pool.return_session(session);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustls::crypto::ring::default_provider;
    use rustls::{ClientConfig, RootCertStore};

    use super::super::address::Address;

    use super::*;

    #[test]
    fn a_silent_server_gets_one_connection_for_all_waiting_calls() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("postgres://u@{}/d", server.local_addr().unwrap());
        let tls = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        let route = Route::new(Address::new(&url, false).unwrap(), Arc::new(tls));
        let pool = Arc::new(SessionPool::new(route));
        let lend = || pool.lend(Instant::now() + Duration::from_millis(100));
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| assert!(lend().err().unwrap().is_temporary()));
            }
        });
        // The server stays silent for longer than the calls wait.
        let _first = server.accept().unwrap();
        server.set_nonblocking(true).unwrap();
        assert!(server.accept().is_err());
    }
}
