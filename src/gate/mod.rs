//! The front of the server: lets only complete, well-formed, bounded HTTP/1.1 requests through.
//!
//! The gate owns the public sockets. It reads one request at a time from each connection and checks it against RFC 9110 and
//! RFC 9112, more strictly wherever two parsers could disagree. It then rewrites the request in a normal form
//! (`http::normal`), sends it to tiny_http over a private Unix socket, and passes the answer back. tiny_http trusts every
//! length it is given and has no timeouts, so it only ever receives requests that are complete, small and correctly framed.
//!
//! The gate knows nothing about logins, paths or the statuses of the API. Of this crate it uses only `files`, `random`,
//! `text` and `low_priority`, and it could be a separate crate. It never parses a body, and it never changes process-wide
//! settings.
//!
//! ```text
//! Gate        starts and stops the gate
//!   |
//!   v
//! client/     sockets, deadlines, TLS, connection slots, the life of one connection
//!   |
//!   v
//! upstream/   the connections to the server behind the gate
//!   |
//!   v
//! http/       parses bytes into requests: no sockets, no clock, no threads
//! ```
//!
//! All of them use `limits` and `deadline`. No two files import each other.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};

mod client;
mod deadline;
mod http;
mod limits;
#[cfg(test)]
mod tests;
mod upstream;

use client::accept_loop::{AcceptLoop, Notices};
use client::bind_error;
use client::connection::ConnectionContext;
use client::listener::{self, Listener};
use client::refused::RefusedConnections;
use client::slots::ConnectionSlots;
use client::stop::StopSignal;
use client::tls::{self, TlsAcceptor};
use limits::Capacity;
use upstream::pool::Pool;

pub use client::accept_loop::NetworkGrouping;
pub use client::address::{Address, Bound, NotASocketMode, NotAnAddress, SocketMode};
pub use client::certificate::{Tls, TlsError, certificate_problems};
pub use client::tls::Warning as TlsWarning;
#[cfg(fuzzing)]
#[doc(hidden)]
pub use http::in_memory;
pub use http::normal::{BODY_TOO_LARGE, Forward, PEER, RESERVED_PREFIX, WARM_UP, original_field};
pub use http::refused::{OnRefusal, RefusedRequest};
pub use limits::GateLimits;
pub use upstream::answer::MAX_WHOLE_BYTES;
pub use upstream::backend::{Backend, Link};
pub use upstream::instructions::{DELAY, FAULT, Fault, NUMBER, OnDelivery};

/// File descriptors for the listeners, the stop signal, the standard streams, and files that are open for a moment.
const OWN_DESCRIPTORS: usize = 20;

/// Everything that a gate needs to start.
pub struct Config {
    /// The listeners from which the gate accepts connections.
    pub listeners: BoundListeners,
    /// Limits on what clients can make the gate store or wait for.
    pub limits: GateLimits,
    /// Maps a client's address to the network for which its connections are counted.
    pub network_grouping: NetworkGrouping,
    /// The server behind the gate.
    pub backend: Arc<dyn Backend>,
    /// How long the gate waits for the server's answer to a request. Must be longer than the server itself may take; it
    /// keeps a request that the server lost from holding its client for ever.
    pub answer_timeout: Duration,
    /// Which of a client's header fields are forwarded to the server.
    pub forward: Forward,
    /// Called for every request that the gate answers itself.
    pub on_refusal: OnRefusal,
    /// Called for every answer that the server numbered, once it has been sent or cannot be sent.
    pub on_delivery: OnDelivery,
    /// The header fields of every answer of the gate, besides `Date` and the fields about the body.
    pub answer_fields: &'static [(&'static str, &'static str)],
    /// Number of file descriptors that the rest of the process needs. The gate sizes itself to fit into the rest of the
    /// process's descriptor limit, which it reads and never sets.
    pub reserved_descriptors: usize,
}

/// Sockets that are bound and listening. Clients that connect wait in the listen queue until a gate starts. Dropping this
/// removes the socket files.
#[derive(Debug)]
pub struct BoundListeners {
    listeners: Vec<Listener>,
    tls: Option<Tls>,
}

/// Why a gate could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be bound.
    #[error("cannot listen on {address}{}", bind_error::remedy(.address, .source))]
    Listen {
        /// The address as it was configured.
        address: Address,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// Another server answers on this socket file.
    #[error("another server answers on {0}; stop it, or use another path")]
    InUse(Address),
    /// The path is a file that is not a socket. The file is not changed.
    #[error(
        "cannot listen on {0}: the file exists and is not a socket; use another path, or move it away"
    )]
    NotASocket(Address),
    /// There is no usable certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The accepting thread or the stop signal could not be created.
    #[error("cannot start accepting connections")]
    Start(#[source] io::Error),
}

impl BoundListeners {
    /// Checks the certificate without creating one, then binds every address. TCP addresses use TLS if `tls` is given;
    /// socket files get the permissions `mode`.
    ///
    /// # Errors
    /// When there is no usable certificate, or an address cannot be bound.
    pub fn bind(addresses: &[Address], mode: SocketMode, tls: Option<Tls>) -> Result<Self, Error> {
        if let Some(tls) = &tls {
            check_tls(tls)?;
        }
        let bind = |address| bind(address, addresses, tls.is_some(), mode);
        Ok(Self {
            listeners: addresses.iter().map(bind).collect::<Result<_, _>>()?,
            tls,
        })
    }
}

/// Checks a certificate as a start would, without writing one. Returns the warnings that a start would log.
///
/// # Errors
/// When the certificate cannot be used.
pub fn check_tls(tls: &Tls) -> Result<Vec<TlsWarning>, TlsError> {
    tls::check(tls, Timestamp::now())
}

/// Checks whether a socket file could be created. TCP addresses are not tried.
///
/// # Errors
/// The error with which a start would fail.
pub fn check_address(address: &Address) -> Result<(), Error> {
    match address {
        Address::Unix(path) => listener::check_file(path).map_err(|error| explain(address, error)),
        Address::Tcp(_) => Ok(()),
    }
}

/// A running gate. Dropping it stops it without a grace period.
#[derive(Debug)]
pub struct Gate {
    addresses: Vec<Bound>,
    tls: Option<Arc<TlsAcceptor>>,
    slots: Arc<ConnectionSlots>,
    refused: Arc<RefusedConnections>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Gate {
    /// Reads or creates the certificate, then starts accepting connections.
    ///
    /// # Errors
    /// When there is no usable certificate, or the accepting thread cannot be started.
    pub fn start(config: Config) -> Result<Self, Error> {
        let BoundListeners { listeners, tls } = config.listeners;
        let tls = tls.map(TlsAcceptor::new).transpose()?.map(Arc::new);
        let addresses = listeners
            .iter()
            .map(|listener| listener.bound.clone())
            .collect();
        let capacity = fit(config.limits.max_connections, config.reserved_descriptors);
        let per_client = config.limits.per_client(capacity);
        let stop = Arc::new(StopSignal::new().map_err(Error::Start)?);
        let slots = ConnectionSlots::new(capacity.connections, per_client, Arc::clone(&stop));
        let refused = Arc::new(RefusedConnections::default());
        let context = Arc::new(ConnectionContext {
            limits: config.limits,
            forward: config.forward,
            answer_fields: config.answer_fields,
            on_refusal: config.on_refusal,
            on_delivery: config.on_delivery,
            pool: Pool::new(config.backend, capacity.upstream, config.answer_timeout),
            refused: Arc::clone(&refused),
            stop,
        });
        let accepting = AcceptLoop {
            listeners,
            tls: tls.clone(),
            slots: Arc::clone(&slots),
            context,
            network_grouping: config.network_grouping,
            notices: Notices::default(),
        };
        let thread = thread::Builder::new()
            .name("gate-accept".to_owned())
            .spawn(move || accepting.run())
            .map_err(Error::Start)?;
        if let Some(tls) = &tls {
            tls.warn(Timestamp::now());
        }
        Ok(Self {
            addresses,
            tls,
            slots,
            refused,
            accepting: Mutex::new(Some(thread)),
        })
    }

    /// The addresses that the gate listens on, in the order in which they were configured.
    pub fn addresses(&self) -> &[Bound] {
        &self.addresses
    }

    /// The number of connected clients.
    pub fn connections(&self) -> usize {
        self.slots.taken()
    }

    /// The number of connections that were refused before a request could arrive, by the reason.
    pub fn refused_connections(&self) -> Vec<(&'static str, u64)> {
        self.refused.by_reason()
    }

    /// The earliest expiry of any certificate in the chain; `None` without TLS.
    pub fn certificate_expires(&self) -> Option<Timestamp> {
        self.tls.as_ref().map(|tls| tls.expires())
    }

    /// Reads the certificate again, for connections accepted from now on. After an error the old one stays in use. Does
    /// nothing without TLS.
    ///
    /// # Errors
    /// When a file cannot be read, or the certificate cannot be used.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.reload())
    }

    /// Stops accepting, closes idle connections and answers every request whose first byte has arrived. If connections are
    /// still open shortly before `grace` is over, calls `end_waits`, after which the server should answer soon. Then closes
    /// those that are left; the result is false if there are any. Does nothing if the gate has already stopped.
    pub fn stop(&self, grace: Duration, end_waits: impl FnOnce()) -> bool {
        let Some(thread) = self.accepting.lock().take() else {
            return true;
        };
        self.slots.stop();
        if thread.join().is_err() {
            tracing::error!("the accepting thread panicked");
        }
        self.slots.drain(grace, end_waits)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop(Duration::ZERO, || {});
    }
}

fn bind(
    address: &Address,
    all: &[Address],
    tls: bool,
    mode: SocketMode,
) -> Result<Listener, Error> {
    Listener::bind(address, all, tls, mode).map_err(|error| explain(address, error))
}

fn explain(address: &Address, error: listener::Error) -> Error {
    let address = address.clone();
    match error {
        listener::Error::Io(source) => Error::Listen { address, source },
        listener::Error::InUse => Error::InUse(address),
        listener::Error::NotASocket => Error::NotASocket(address),
    }
}

/// The warning that a gate would log at its start if the process has too few file descriptors for `max_connections`, given
/// that the rest of the process needs `reserved` of them.
pub fn check_descriptors(max_connections: usize, reserved: usize) -> Option<String> {
    let capacity = capacity(max_connections, reserved);
    (capacity.upstream < max_connections).then(|| too_few_descriptors(max_connections))
}

fn too_few_descriptors(wanted: usize) -> String {
    format!("the limit of file descriptors is too low for {wanted} connections")
}

fn fit(wanted: usize, reserved: usize) -> Capacity {
    let capacity = capacity(wanted, reserved);
    if capacity.upstream < wanted {
        tracing::warn!(
            descriptors = descriptor_limit(),
            connections = capacity.connections,
            requests = capacity.upstream,
            "{}",
            too_few_descriptors(wanted)
        );
    }
    capacity
}

fn capacity(wanted: usize, reserved: usize) -> Capacity {
    let own = reserved + OWN_DESCRIPTORS;
    Capacity::fit(wanted, descriptor_limit().saturating_sub(own))
}

fn descriptor_limit() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}
