//! How the gate connects to the server behind it.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::answer::{self, ServerAnswer};
use crate::gate::http::normal;

/// How long to wait for the answer to a warm-up request, which needs nothing but CPU time.
const WARM_UP_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a write to the server may block.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens connections to a server.
pub trait Backend: Send + Sync {
    /// Opens a new connection, over which the server has answered a warm-up request. The gate opens one at a time.
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

/// A connection over which the server has answered a warm-up request.
#[derive(Debug)]
pub struct Link {
    pub(crate) stream: UnixStream,
    is_retired: Arc<AtomicBool>,
}

impl Link {
    /// Connects to a socket of this process. Once `is_retired` is set, the gate closes the connection as soon as no request
    /// waits for an answer on it. The connection keeps a reference to `is_retired` until it is closed.
    ///
    /// # Errors
    /// When the socket does not exist or belongs to another process, or the warm-up request gets no answer in time.
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

/// Fails unless this process owns the other end: passwords are sent over the connection, and another process may have
/// taken over the socket's path.
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
