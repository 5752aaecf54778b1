//! Connecting to the first server that takes writes.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_postgres::config::{Host, SslMode};

use super::address::{Address, Server};
use super::error::Failure;
use super::password;
use super::session::Session;
use super::tls::Tls;
use crate::store::engine::statement_error::Result;

/// The longest that one of several servers is waited for.
const PER_SERVER: Duration = Duration::from_secs(2);

/// What every session starts with. The schema comes before temporary tables, so that nobody's table hides one of it.
/// Waits end before a caller's patience does, and nothing that is cut off goes on. A server that does not wait for its disk
/// is told to.
const SETTINGS: &str = "
    SET search_path = thanos_login, pg_temp;
    SET lock_timeout = '4s';
    SET idle_in_transaction_session_timeout = '10s';
    SET client_connection_check_interval = '1s';
    SET default_transaction_isolation = 'read committed';
    SET jit = off;
    SET client_min_messages = warning;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// Tries the servers in order.
///
/// # Errors
/// That of the last one.
pub(super) fn connect_any(
    address: &Address,
    tls: &Arc<ClientConfig>,
    deadline: Instant,
) -> Result<Session> {
    let mut last = None;
    for (number, server) in (1..).zip(&address.servers) {
        let is_last = number == address.servers.len();
        let longest = match address.connect_timeout {
            None if !is_last => Some(PER_SERVER),
            given => given,
        };
        let own = longest.and_then(|longest| Instant::now().checked_add(longest));
        let deadline = own.map_or(deadline, |own| deadline.min(own));
        match start(address, server, tls, deadline) {
            Ok(session) => return Ok(session),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Failure::Away(io::ErrorKind::NotFound.into()).into()))
}

fn start(
    address: &Address,
    server: &Server,
    tls: &Arc<ClientConfig>,
    deadline: Instant,
) -> Result<Session> {
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
        connector: Arc::clone(tls).into(),
        host: name_of(server).map_err(Failure::Away)?,
    };
    let session = Session::start(server, &config, tls, deadline)?;
    session.batch(SETTINGS)?;
    if address.must_write && session.only_reads()? {
        return Err(Failure::Away(io::Error::other("it only takes reads")).into());
    }
    Ok(session)
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
