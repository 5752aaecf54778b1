//! Only whole, well-formed, bounded HTTP/1.1 requests get through here to the server.
//!
//! The gate owns the public sockets. Of each connection it reads one request at a time, checks it as RFC 9110 and 9112
//! say, and where two readers could disagree more strictly; rewrites it in a normal form (`http::normal`); hands it to
//! tiny_http over a private Unix socket; and passes the answer back. So tiny_http, which believes every length it is given
//! and waits for ever, only meets requests that are whole, small and correctly framed.
//!
//! It knows nothing of logins, paths, statuses of the program or any other module of this crate but `files`, `random`,
//! `text` and `low_priority`, and could be a crate of its own. It never looks into a body, and it sets nothing that holds
//! for the whole process.
//!
//! ```text
//! Gate        starts and stops it
//!   |
//!   v
//! client/     sockets, deadlines, TLS, connection slots, the life of one connection
//!   |
//!   v
//! upstream/   the connections to the server
//!   |
//!   v
//! http/       bytes to requests: no sockets, no clock, no threads
//! ```
//!
//! Below all of them are `limits` and `deadline`. No file imports one that imports it.

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
pub use limits::Limits;
pub use upstream::answer::MAX_WHOLE_BYTES;
pub use upstream::backend::{Backend, Link};
pub use upstream::instructions::{DELAY, FAULT, Fault, NUMBER, OnDelivery};

/// Listeners, the stop signal, standard streams, and files a moment open.
const OWN_DESCRIPTORS: usize = 20;

/// What a gate needs at its start.
pub struct Config {
    /// Where to accept connections.
    pub listeners: BoundListeners,
    /// What clients may make the gate hold or wait for.
    pub limits: Limits,
    /// Which network a client's connections count for.
    pub network_grouping: NetworkGrouping,
    /// The server behind it.
    pub backend: Arc<dyn Backend>,
    /// For the server's answer to a request: longer than the server itself may take, since a request that it lost must not
    /// hold its client for ever.
    pub answer_timeout: Duration,
    /// Which of a client's header fields go on to the server.
    pub forward: Forward,
    /// Called with every request that the gate answers itself.
    pub on_refusal: OnRefusal,
    /// Called with every answer that the server numbered, once it has gone out or cannot.
    pub on_delivery: OnDelivery,
    /// The header lines that every answer has, besides `Date` and those about the body.
    pub answer_fields: &'static [(&'static str, &'static str)],
    /// File descriptors that the rest of the process needs. Connections are fitted into what then remains of the limit,
    /// which the gate reads and never sets.
    pub reserved_descriptors: usize,
}

/// Addresses that are listened on; clients that connect wait until a gate starts. Dropped, they leave no socket file.
#[derive(Debug)]
pub struct BoundListeners {
    listeners: Vec<Listener>,
    tls: Option<Tls>,
}

/// Why a gate does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An address cannot be bound.
    #[error("cannot listen on {address}{}", bind_error::remedy(.address, .source))]
    Listen {
        /// As it was given.
        address: Address,
        /// What stands in the way.
        #[source]
        source: io::Error,
    },
    /// A socket file on which a server answers.
    #[error("another server answers on {0}; stop it, or take another path")]
    InUse(Address),
    /// A file that is no socket; it is left as it is.
    #[error(
        "cannot listen on {0}: the file exists and is not a socket; take another path, or move it away"
    )]
    NotASocket(Address),
    /// There is no certificate to show.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The gate's own thread or its stop signal could not be had.
    #[error("cannot start accepting connections")]
    Start(#[source] io::Error),
}

impl BoundListeners {
    /// Checks the certificate, and makes none yet; then binds every address, with TLS on those of TCP if there is a
    /// certificate, and gives socket files this mode.
    ///
    /// # Errors
    /// When no certificate can be shown, or an address cannot be bound.
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

/// Finds out what a start would say of a certificate; writes none.
///
/// # Errors
/// When it cannot be shown.
pub fn check_tls(tls: &Tls) -> Result<Vec<TlsWarning>, TlsError> {
    tls::check(tls, Timestamp::now())
}

/// Finds out whether a socket file could be made; TCP addresses are not tried.
///
/// # Errors
/// What its start would say.
pub fn check_address(address: &Address) -> Result<(), Error> {
    match address {
        Address::Unix(path) => listener::check_file(path).map_err(|error| explain(address, error)),
        Address::Tcp(_) => Ok(()),
    }
}

/// A running gate. Dropped, it stops without grace.
#[derive(Debug)]
pub struct Gate {
    addresses: Vec<Bound>,
    tls: Option<Arc<TlsAcceptor>>,
    slots: Arc<ConnectionSlots>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Gate {
    /// Reads the certificate, or makes it, then accepts.
    ///
    /// # Errors
    /// When there is no certificate to show, or the thread cannot be started.
    pub fn start(config: Config) -> Result<Self, Error> {
        let BoundListeners { listeners, tls } = config.listeners;
        let tls = tls.map(TlsAcceptor::new).transpose()?.map(Arc::new);
        let addresses = listeners
            .iter()
            .map(|listener| listener.bound.clone())
            .collect();
        let capacity = fit(config.limits.max_connections, config.reserved_descriptors);
        let per_client = config.limits.per_client(capacity.connections);
        let stop = Arc::new(StopSignal::new().map_err(Error::Start)?);
        let slots = ConnectionSlots::new(capacity.connections, per_client, Arc::clone(&stop));
        let context = Arc::new(ConnectionContext {
            limits: config.limits,
            forward: config.forward,
            answer_fields: config.answer_fields,
            on_refusal: config.on_refusal,
            on_delivery: config.on_delivery,
            pool: Pool::new(config.backend, capacity.upstream, config.answer_timeout),
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
            accepting: Mutex::new(Some(thread)),
        })
    }

    /// What is listened on, in the order it was asked for.
    pub fn addresses(&self) -> &[Bound] {
        &self.addresses
    }

    /// How many clients are connected.
    pub fn connections(&self) -> usize {
        self.slots.taken()
    }

    /// When the first certificate of the chain that is shown expires; `None` without TLS.
    pub fn certificate_expires(&self) -> Option<Timestamp> {
        self.tls.as_ref().map(|tls| tls.expires())
    }

    /// Reads the certificate again, for connections from now on. After an error the old one stays; without TLS there is
    /// nothing to do.
    ///
    /// # Errors
    /// When a file cannot be read, or the certificate cannot be used.
    pub fn reload_tls(&self) -> Result<(), TlsError> {
        self.tls.as_ref().map_or(Ok(()), |tls| tls.reload())
    }

    /// Stops accepting, closes idle connections and answers every request whose first byte has arrived. What is not done
    /// shortly before `grace` is over is cut off; then the result is false. A gate that has stopped already does nothing.
    pub fn stop(&self, grace: Duration) -> bool {
        let Some(thread) = self.accepting.lock().take() else {
            return true;
        };
        self.slots.stop();
        if thread.join().is_err() {
            tracing::error!("the accepting thread had panicked");
        }
        self.slots.drain(grace)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
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

/// What a gate for so many connections would warn of, beside what the rest of the process needs.
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
