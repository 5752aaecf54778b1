//! The server behind the gate, as the gate reaches it.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::answer::{self, ServerAnswer};
use crate::gate::http::normal;

/// For the answer to a warm-up, which waits for nothing but a processor.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(2);
/// For a request to be taken in.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens connections to a server.
pub trait Backend: Send + Sync {
    /// A new connection, over which the server has answered already. The gate opens one at a time.
    ///
    /// # Errors
    /// When the server cannot be reached, or does not answer.
    fn connect(&self) -> io::Result<Link>;
}

/// A server that listens at one path for as long as the gate runs.
impl Backend for PathBuf {
    fn connect(&self) -> io::Result<Link> {
        Link::open(self, Arc::default())
    }
}

/// A connection to a server that has answered a warm-up over it.
#[derive(Debug)]
pub struct Link {
    pub(crate) stream: UnixStream,
    is_retired: Arc<AtomicBool>,
}

impl Link {
    /// Connects to a socket of this process. Once `is_retired` is set, the gate closes the connection as soon as nothing
    /// waits for an answer on it; until it is closed, it holds on to `is_retired`.
    ///
    /// # Errors
    /// When the socket is not there, belongs to another process, or a warm-up gets no answer in time.
    pub fn open(path: &Path, is_retired: Arc<AtomicBool>) -> io::Result<Self> {
        let mut stream = UnixStream::connect(path)?;
        check_peer(&stream)?;
        stream.set_write_timeout(Some(WRITE_TIMEOUT))?;
        stream.set_read_timeout(Some(WARM_UP_TIMEOUT))?;
        stream.write_all(normal::warm_up().as_bytes())?;
        ServerAnswer::read(&stream, false).map_err(|error| match error {
            answer::Error::Read(error) => error,
            error => io::Error::other(error),
        })?;
        Ok(Self { stream, is_retired })
    }

    #[cfg(test)]
    pub(crate) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }
}

/// Passwords go over it: a process that takes over the name must not get them.
#[cfg(target_os = "linux")]
fn check_peer(stream: &UnixStream) -> io::Result<()> {
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    if peer.pid != rustix::process::getpid() {
        let text = "the private socket belongs to another process";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn check_peer(_: &UnixStream) -> io::Result<()> {
    Ok(())
}
