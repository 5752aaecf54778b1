//! A connected socket, of either family.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::{RecvFlags, SendFlags};

use super::poll;

/// A connected socket of either family, read and written through a shared reference.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Sets what holds for the whole connection.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            Self::Unix(_) => Ok(()),
        }
    }

    /// A socket that the peer has closed already gives an error, which means the same.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        };
    }

    /// Whether there is something to be read by now.
    pub(crate) fn has_input(&self) -> bool {
        self.poll(PollFlags::IN, Duration::ZERO)
            .is_ok_and(|ready| ready)
    }

    /// Waits for something to read, be it the end, or until something can be sent.
    pub(crate) fn poll(&self, what: PollFlags, timeout: Duration) -> io::Result<bool> {
        let mut polled = [PollFd::from_borrowed_fd(self.as_fd(), what)];
        poll::wait(&mut polled, timeout)?;
        Ok(poll::is_ready(&polled[0]))
    }

    /// Waits for the peer to answer with a reset what was sent: it is no longer there. Sending to a socket file that nobody
    /// has open any more is an error already.
    pub(crate) fn is_reset_within(&self, timeout: Duration) -> bool {
        let is_tcp = matches!(self, Self::Tcp(_));
        is_tcp
            && self
                .poll(PollFlags::empty(), timeout)
                .is_ok_and(|ready| ready)
    }

    /// Has the peer see a reset instead of an end once the connection is closed. A socket file's peer sees one only where it
    /// had sent more than was read.
    pub(crate) fn reset_when_closed(&self) -> io::Result<()> {
        if let Self::Tcp(stream) = self {
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Receives what can be received without waiting.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (received, _) = rustix::net::recv(self, buffer, RecvFlags::DONTWAIT)?;
        Ok(received)
    }

    /// Sends what can be sent without waiting.
    pub(crate) fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        Ok(rustix::net::send(self, bytes, flags)?)
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}
