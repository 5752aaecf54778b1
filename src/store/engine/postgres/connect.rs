//! Connecting to the first server that takes writes.

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

/// The longest that connecting to the only address of a database takes, and to one of several.
const PATIENCE: [Duration; 2] = [Duration::from_secs(5), Duration::from_secs(2)];

/// What every session starts with. The schema comes before temporary tables, so that nobody's table hides one of it.
/// Waits end before a caller's patience does, and nothing that is cut off goes on. A commit waits for the
/// disk, and stays as the operator wants it otherwise: what is set here is not changed by a reload of the server's settings.
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
    /// The server of the last connection.
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

    /// Connects to the first server that takes changes, if they must; the last one to do so is asked first.
    ///
    /// # Errors
    /// That of the last one asked that is no standby.
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
                // A standby says nothing about why the primary is not there.
                Err(StatementError::Postgres(Failure::OnlyReads)) if failure.is_some() => {}
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| Failure::Away(io::ErrorKind::NotFound.into()).into()))
    }

    /// A name may have several addresses.
    fn connect_to(&self, server: &Server) -> Result<Session> {
        let has_several = |peers: usize| self.address.servers.len() * peers > 1;
        let deadline = |peers| {
            let patience = PATIENCE[usize::from(has_several(peers))];
            let now = Instant::now();
            now.checked_add(self.address.connect_timeout.unwrap_or(patience))
                .unwrap_or(now + patience)
        };
        let peers = self
            .resolver
            .resolve(server, deadline(1))
            .map_err(Failure::Away)?;
        let mut outcome = Err(Failure::Away(io::ErrorKind::NotFound.into()).into());
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
            host: name_of(server).map_err(Failure::Away)?,
        };
        let session = Session::start(peer, &config, tls, deadline)?;
        session.batch(SETTINGS)?;
        if address.must_write && session.only_reads()? {
            return Err(Failure::OnlyReads.into());
        }
        Ok(session)
    }
}

fn name_of(server: &Server) -> io::Result<ServerName<'static>> {
    let name = match &server.host {
        Host::Tcp(name) if server.is_tls => name.clone(),
        // Never used: there is no TLS on these.
        Host::Tcp(_) | Host::Unix(_) => "localhost".to_owned(),
    };
    let wrong = |_| io::Error::other("no certificate can be for a host of this name");
    ServerName::try_from(name).map_err(wrong)
}
