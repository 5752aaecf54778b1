//! Connecting to the first server that accepts writes.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_postgres::config::{Host, SslMode};

use super::address::{Address, Server};
use super::error::Failure;
use super::password;
use super::session::Session;
use super::socket::{Peer, Resolver};
use super::tls::Tls;
use crate::store::engine::statement_error::{Result, StatementError};

/// The time limits for connecting: to the only address of a database, and to each of several addresses.
const TIME_LIMITS: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(2)];

/// The settings of every session. The schema precedes `pg_temp` in the search path, so that no temporary table hides a
/// table of the schema. Waiting for a lock ends before the caller's time limit, and the server ends an abandoned
/// transaction. A commit always waits for the disk; other modes of `synchronous_commit` that the operator has set are
/// kept. A reload of the server's configuration does not change settings made here.
const SETTINGS: &str = "
    SET search_path = thanos_login, pg_temp;
    SET lock_timeout = '2500ms';
    SET idle_in_transaction_session_timeout = '10s';
    SET client_connection_check_interval = '1s';
    SET default_transaction_isolation = 'read committed';
    SET jit = off;
    SET client_min_messages = warning;
    SELECT set_config('synchronous_commit', CASE setting WHEN 'off' THEN 'on' ELSE setting END, false)
        FROM current_setting('synchronous_commit') AS setting";

/// The servers of a database, and how to connect to them.
pub(super) struct Route {
    pub(super) address: Address,
    tls: Arc<ClientConfig>,
    resolver: Resolver,
    /// The index of the server of the last connection.
    last: AtomicUsize,
}

impl Route {
    pub(super) fn new(address: Address, tls: Arc<ClientConfig>) -> Self {
        Self {
            address,
            tls,
            resolver: Resolver::default(),
            last: AtomicUsize::new(0),
        }
    }

    /// Connects to the first usable server, starting with the one used last. A server that must accept writes and does
    /// not is skipped.
    ///
    /// # Errors
    /// The error of the last server that was tried and is not a standby.
    pub(super) fn connect(&self) -> Result<Session> {
        let count = self.address.servers.len();
        let last = self.last.load(Ordering::Relaxed);
        let mut failure = None;
        for index in (last..count).chain(0..last) {
            match self.connect_to(&self.address.servers[index]) {
                Ok(session) => {
                    self.last.store(index, Ordering::Relaxed);
                    return Ok(session);
                }
                // That this one is a standby does not explain why the primary is unavailable.
                Err(StatementError::Postgres(Failure::ReadOnly)) if failure.is_some() => {}
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| Failure::Unreachable(io::ErrorKind::NotFound.into()).into()))
    }

    /// Connects to a server, whose name may have several addresses.
    fn connect_to(&self, server: &Server) -> Result<Session> {
        let has_several = |peers: usize| self.address.servers.len() * peers > 1;
        let deadline = |peers| {
            let time_limit = TIME_LIMITS[usize::from(has_several(peers))];
            let now = Instant::now();
            now.checked_add(self.address.connect_timeout.unwrap_or(time_limit))
                .unwrap_or(now + time_limit)
        };
        let peers = self
            .resolver
            .resolve(server, deadline(1))
            .map_err(Failure::Unreachable)?;
        let mut outcome = Err(Failure::Unreachable(io::ErrorKind::NotFound.into()).into());
        for peer in &peers {
            outcome = self.start(server, peer, deadline(peers.len()));
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    fn start(&self, server: &Server, peer: &Peer, deadline: Instant) -> Result<Session> {
        let address = &self.address;
        let mut config = address.config.clone();
        config.ssl_mode(if server.is_tls {
            SslMode::Require
        } else {
            SslMode::Disable
        });
        if config.get_password().is_none() {
            let user = config.get_user().unwrap_or_default().to_owned();
            if let Some(found) = password::find(server, address.database(), &user) {
                config.password(found.as_bytes());
            }
        }
        let tls = Tls {
            connector: Arc::clone(&self.tls).into(),
            host: name_of(server).map_err(Failure::Unreachable)?,
        };
        let session = Session::start(peer, &config, tls, deadline)?;
        session.batch(SETTINGS)?;
        if address.must_write && session.is_read_only()? {
            return Err(Failure::ReadOnly.into());
        }
        Ok(session)
    }
}

fn name_of(server: &Server) -> io::Result<ServerName<'static>> {
    let name = match &server.host {
        Host::Tcp(name) if server.is_tls => name.clone(),
        // This name is never used, because these connections do not use TLS.
        Host::Tcp(_) | Host::Unix(_) => "localhost".to_owned(),
    };
    let wrong = |_| io::Error::other("the host name cannot be verified in a certificate");
    ServerName::try_from(name).map_err(wrong)
}
