//! Sockets to a server, made within a deadline.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with, sockopt,
};
use tokio_postgres::config::Host;

use super::address::Server;
use super::wire::{Socket, Stream};

/// When an idle connection is first asked whether its other end is there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// A connected socket.
pub(super) fn open(server: &Server, deadline: Instant) -> io::Result<Socket> {
    let stream = match &server.host {
        Host::Unix(directory) => Stream::Unix(open_unix(directory, server.port)?),
        Host::Tcp(name) => Stream::Tcp(open_tcp(name, server.port, deadline)?),
    };
    Socket::new(stream)
}

/// Where the queue of a server is full, since it does not run, this fails instead of waiting.
fn open_unix(directory: &Path, port: u16) -> io::Result<UnixStream> {
    let path = directory.join(format!(".s.PGSQL.{port}"));
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}

fn open_tcp(name: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in resolve(name, port, deadline)? {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                sockopt::set_socket_keepalive(&stream, true)?;
                sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The system's look-up cannot be ended, so it has a thread that is left behind at the deadline.
fn resolve(name: &str, port: u16, deadline: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = name.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let (found, waiting) = sync_channel(1);
    let name = name.to_owned();
    thread::Builder::new()
        .name("resolver".to_owned())
        .spawn(move || {
            let addresses = (name.as_str(), port).to_socket_addrs();
            // Nobody waits any more after the deadline.
            let _ = found.send(addresses.map(Iterator::collect));
        })?;
    let left = deadline.saturating_duration_since(Instant::now());
    waiting
        .recv_timeout(left)
        .map_err(|_| io::ErrorKind::TimedOut)?
}
