//! Opening sockets to a server, and resolving its name, within a deadline.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
};
use tokio_postgres::config::Host;

use super::address::Server;
use super::wire::{Socket, SocketStream};

/// The idle time after which the first keepalive probe is sent.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The address on which a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Tcp(SocketAddr),
    /// A Unix socket in the server's directory.
    Unix(PathBuf),
}

/// Opens a connected socket.
pub(super) fn open(peer: &Peer, deadline: Instant) -> io::Result<Socket> {
    let stream = match peer {
        Peer::Unix(path) => SocketStream::Unix(open_unix(path)?),
        Peer::Tcp(address) => SocketStream::Tcp(open_tcp(*address, deadline)?),
    };
    Socket::new(stream)
}

/// Opens a Unix socket. If the server's queue is full because it does not accept connections, this fails instead of
/// waiting.
fn open_unix(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

fn open_tcp(address: SocketAddr, deadline: Instant) -> io::Result<TcpStream> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let stream = TcpStream::connect_timeout(&address, left)?;
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
    Ok(stream)
}

type LookUpResult = io::Result<Vec<Peer>>;

/// Looks up the addresses of names.
#[derive(Default)]
pub(super) struct Resolver {
    /// Look-ups that had not ended at their deadline.
    in_progress: Mutex<HashMap<(String, u16), Receiver<LookUpResult>>>,
}

impl Resolver {
    /// The addresses on which a server may listen: all addresses of its name.
    pub(super) fn resolve(&self, server: &Server, deadline: Instant) -> LookUpResult {
        let port = server.port;
        let name = match &server.host {
            Host::Unix(directory) => {
                let path = directory.join(format!(".s.PGSQL.{port}"));
                return Ok(vec![Peer::Unix(path)]);
            }
            Host::Tcp(name) => name,
        };
        if let Ok(address) = name.parse() {
            return Ok(vec![Peer::Tcp(SocketAddr::new(address, port))]);
        }
        self.look_up((name.clone(), port), deadline)
    }

    /// Looks up a name. The system's look-up cannot be canceled, so it runs in a thread, which continues after the
    /// deadline. The next call waits for the same thread, so that a silent name server causes at most one thread per
    /// name.
    fn look_up(&self, name: (String, u16), deadline: Instant) -> LookUpResult {
        let in_progress = self.in_progress.lock().remove(&name);
        let looking = in_progress.map_or_else(|| start_look_up(name.clone()), Ok)?;
        let left = deadline.saturating_duration_since(Instant::now());
        match looking.recv_timeout(left) {
            Ok(found) => found,
            Err(RecvTimeoutError::Timeout) => {
                self.in_progress.lock().insert(name, looking);
                Err(io::ErrorKind::TimedOut.into())
            }
            Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn start_look_up(name: (String, u16)) -> io::Result<Receiver<LookUpResult>> {
    let (found, looking) = sync_channel(1);
    let look = move || {
        let addresses = (name.0.as_str(), name.1).to_socket_addrs();
        let addresses = match addresses {
            Ok(addresses) => Ok(addresses.collect()),
            Err(_) if is_localhost(&name.0) => Ok(loopback(name.1)),
            Err(error) => Err(error),
        };
        let addresses = addresses.map(|found| found.into_iter().map(Peer::Tcp).collect());
        // The receiver no longer exists if the database has been closed.
        let _ = found.send(addresses);
    };
    thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(look)?;
    Ok(looking)
}

/// Whether a name is this machine's by RFC 6761, which needs no `/etc/hosts`: an empty tree has none.
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

fn loopback(port: u16) -> Vec<SocketAddr> {
    vec![
        (Ipv4Addr::LOCALHOST, port).into(),
        (Ipv6Addr::LOCALHOST, port).into(),
    ]
}
