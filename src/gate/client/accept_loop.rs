//! The thread that accepts connections and finds a slot for each. It never waits for a particular client: if an evicted one
//! has not left after a short time, another one is evicted.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::allowance::WriteAllowance;
use super::connection::{Connection, ConnectionContext};
use super::listener::Listener;
use super::poll;
use super::slot_table::Vacancy;
use super::slots::{ConnectionSlots, Slot};
use super::socket::Socket;
use super::stream::ClientStream;
use super::tls::TlsAcceptor;
use crate::gate::deadline::Deadline;

/// Minimum time between two log lines with the same message.
const QUIET: Duration = Duration::from_secs(60);

/// Time between two checks of the socket files.
const FILE_CHECK: Duration = Duration::from_secs(2);

/// Maps a client's address to the network for which its connections are counted, represented by the network's first
/// address; `None` if they are not counted. Connections over socket files are never counted.
#[derive(Clone)]
pub struct NetworkGrouping(Arc<NetworkOf>);

type NetworkOf = dyn Fn(IpAddr) -> Option<IpAddr> + Send + Sync;

impl NetworkGrouping {
    /// Groups addresses by `network_of`, which never gets an IPv4-mapped IPv6 address.
    pub fn new(network_of: impl Fn(IpAddr) -> Option<IpAddr> + Send + Sync + 'static) -> Self {
        Self(Arc::new(network_of))
    }
}

impl Default for NetworkGrouping {
    /// Counts every address separately.
    fn default() -> Self {
        Self::new(Some)
    }
}

impl fmt::Debug for NetworkGrouping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NetworkGrouping")
    }
}

/// The thread that accepts connections.
pub(crate) struct AcceptLoop {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) tls: Option<Arc<TlsAcceptor>>,
    pub(crate) slots: Arc<ConnectionSlots>,
    pub(crate) context: Arc<ConnectionContext>,
    pub(crate) network_grouping: NetworkGrouping,
    pub(crate) notices: Notices,
}

impl AcceptLoop {
    /// Accepts connections until the gate stops.
    pub(crate) fn run(mut self) {
        let has_files = self.listeners.iter().any(Listener::has_file);
        let mut file_check = Deadline::after(FILE_CHECK);
        while let Some(ready) = self.wait(has_files.then_some(file_check)) {
            for at in &ready {
                let listener = &self.listeners[*at];
                let tls = listener.bound.tls;
                match listener.accept() {
                    Ok((socket, address)) => self.admit(socket, address, tls),
                    Err(error) => self.not_accepted(&error),
                }
            }
            if has_files && file_check.remaining().is_err() {
                let listeners = self.listeners.iter_mut().enumerate();
                let quiet = listeners.filter(|(at, _)| !ready.contains(at));
                quiet.for_each(|(_, listener)| listener.check_file());
                file_check = Deadline::after(FILE_CHECK);
            }
        }
    }

    /// Waits for clients. Returns the indices of the listeners with a waiting client, an empty list at the deadline, and
    /// `None` once the gate stops.
    fn wait(&mut self, deadline: Option<Deadline>) -> Option<Vec<usize>> {
        let listeners = self.listeners.iter();
        let listeners = listeners.map(|listener| PollFd::new(listener, PollFlags::IN));
        let mut polled: Vec<_> = listeners.collect();
        polled.push(self.context.stop.polled());
        let left = deadline.map_or(Duration::MAX, |deadline| {
            deadline.remaining().unwrap_or_default()
        });
        let waited = poll::wait(&mut polled, left);
        let ready = polled[..self.listeners.len()].iter().enumerate();
        let ready = ready.filter(|(_, polled)| poll::is_ready(polled));
        let ready = ready.map(|(at, _)| at).collect();
        if let Err(error) = waited {
            self.not_accepted(&error);
        }
        (!self.context.stop.is_set()).then_some(ready)
    }

    fn admit(&mut self, socket: Socket, address: Option<IpAddr>, tls: bool) {
        if let Err(error) = socket.prepare() {
            // The client has already closed the connection.
            return tracing::debug!(%error, "connection failed");
        }
        let Some(slot) = self.slot(socket, address) else {
            return;
        };
        let tls = match &self.tls {
            Some(acceptor) if tls => match acceptor.start_session() {
                Ok(tls) => Some(tls),
                Err(error) => return tracing::error!(%error, "cannot start a TLS session"),
            },
            _ => None,
        };
        let allowance = WriteAllowance::new(&self.context.limits);
        let client = ClientStream::new(
            Arc::clone(&slot),
            allowance,
            Arc::clone(&self.context.stop),
            tls,
        );
        let peer = address.map_or_else(|| "unix".to_owned(), |address| address.to_string());
        let connection = Connection::new(slot, peer, client, Arc::clone(&self.context));
        self.serve(connection);
    }

    /// Serves a connection in a new thread. While none can be started, the client waits, as do those behind it in the
    /// listen queue; another client may be evicted to free a thread.
    fn serve(&mut self, connection: Connection) {
        let mut is_first = true;
        let thread = loop {
            match serving_thread() {
                Ok(thread) => break thread,
                Err(error) if is_first => {
                    self.notices.out_of_resources(
                        &error,
                        "cannot start a thread for a connection; it waits for one",
                    );
                    connection.hold();
                    is_first = false;
                }
                Err(_) => {}
            }
            self.slots.evict_one();
            if self.context.stop.is_set() {
                return;
            }
        };
        // Cannot fail: the thread waits for the connection.
        let _ = thread.send(connection);
    }

    /// Waits for a free slot for a new client. `None` closes the connection: either its network has reached its limit and
    /// none of its connections can be evicted, or the gate stops.
    fn slot(&mut self, socket: Socket, address: Option<IpAddr>) -> Option<Slot> {
        let network = address.and_then(|address| (self.network_grouping.0)(address));
        if self.slots.is_network_full(network) {
            self.notices.network_full(network);
        }
        loop {
            match self.slots.make_room(network) {
                Vacancy::Free => return Some(self.slots.enter(socket, network)),
                Vacancy::NetworkBusy => {
                    let refused = &self.context.refused;
                    refused.client_limit.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
                Vacancy::Evicting => self.notices.full(),
                Vacancy::AllBusy => self.notices.all_busy(),
            }
            if self.context.stop.is_set() {
                return None;
            }
        }
    }

    /// Handles an error of `accept`; accepting continues after any error. If descriptors or memory have run out, a client is
    /// evicted first.
    fn not_accepted(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::WouldBlock
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionAborted => {}
            _ => {
                self.notices
                    .out_of_resources(error, "cannot accept a connection");
                self.slots.evict_one();
            }
        }
    }
}

/// Starts a thread that serves the connection sent to it.
fn serving_thread() -> io::Result<SyncSender<Connection>> {
    let (give, given) = sync_channel::<Connection>(1);
    thread::Builder::new()
        .name("gate-connection".to_owned())
        .spawn(move || {
            let connection = given.recv();
            drop(given);
            if let Ok(connection) = connection {
                connection.serve();
            }
        })?;
    Ok(give)
}

/// The rate-limited log messages of the accepting thread.
#[derive(Default)]
pub(crate) struct Notices {
    full: Notice,
    all_busy: Notice,
    out_of_resources: Notice,
    networks: HashMap<IpAddr, Notice>,
}

/// When a message was last logged.
#[derive(Default)]
struct Notice(Option<Instant>);

impl Notice {
    /// Whether the message should be logged now.
    fn is_due(&mut self) -> bool {
        let is_due = !self.is_recent();
        if is_due {
            self.0 = Some(Instant::now());
        }
        is_due
    }

    fn is_recent(&self) -> bool {
        self.0.is_some_and(|last| last.elapsed() < QUIET)
    }
}

impl Notices {
    fn network_full(&mut self, network: Option<IpAddr>) {
        let Some(network) = network else { return };
        if self.networks.get(&network).is_some_and(Notice::is_recent) {
            return;
        }
        self.networks.retain(|_, notice| notice.is_recent());
        if self.networks.entry(network).or_default().is_due() {
            tracing::warn!(
                %network,
                "a client has reached its connection limit (--max-connections-per-client): for each new connection, its \
                 oldest one that is not waiting for an answer is closed; if it is your proxy, start the server with \
                 --trusted-proxy and its address (logged at most once a minute)"
            );
        }
    }

    fn full(&mut self) {
        if self.full.is_due() {
            tracing::warn!(
                "the connection limit is reached (--max-connections): for each new connection, an idle or slow one is closed \
                 (logged at most once a minute)"
            );
        }
    }

    fn all_busy(&mut self) {
        if self.all_busy.is_due() {
            tracing::warn!(
                "the connection limit is reached (--max-connections) and all connections are waiting for answers: no new \
                 connection is accepted until one is answered (logged at most once a minute)"
            );
        }
    }

    fn out_of_resources(&mut self, error: &io::Error, what: &str) {
        if self.out_of_resources.is_due() {
            tracing::warn!(%error, "{what} (logged at most once a minute)");
        }
    }
}
