//! A connected TCP or Unix socket.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::net::{RecvFlags, SendFlags};

use super::poll;

/// A connected TCP or Unix socket, which can be read and written through a shared reference.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// Sets the socket options of the connection.
    pub(crate) fn prepare(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.set_nodelay(true),
            Self::Unix(_) => Ok(()),
        }
    }

    /// Shuts the socket down. Errors are ignored: they mean that the peer has already closed the connection.
    pub(crate) fn shutdown(&self, how: Shutdown) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        };
    }

    /// Whether something can be read without waiting, including the end of the input.
    pub(crate) fn has_input(&self) -> bool {
        self.poll(PollFlags::IN, Duration::ZERO)
            .is_ok_and(|ready| ready)
    }

    /// Waits until the socket is ready for `what`. False if the timeout passed. The end of the input counts as readable.
    pub(crate) fn poll(&self, what: PollFlags, timeout: Duration) -> io::Result<bool> {
        let mut polled = [PollFd::from_borrowed_fd(self.as_fd(), what)];
        poll::wait(&mut polled, timeout)?;
        Ok(poll::is_ready(&polled[0]))
    }

    /// Waits for a TCP reset from the peer: it answers with one if it closed its connection before it received what was
    /// sent. Always false for a Unix socket, where sending to a closed peer already fails.
    pub(crate) fn is_reset_within(&self, timeout: Duration) -> bool {
        let is_tcp = matches!(self, Self::Tcp(_));
        is_tcp
            && self
                .poll(PollFlags::empty(), timeout)
                .is_ok_and(|ready| ready)
    }

    /// Makes the close of the connection a reset. On a Unix socket this has no effect: its peer sees a reset only if it had
    /// sent more than was read.
    pub(crate) fn reset_when_closed(&self) -> io::Result<()> {
        if let Self::Tcp(stream) = self {
            rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?;
        }
        Ok(())
    }

    /// Receives without waiting.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (received, _) = rustix::net::recv(self, buffer, RecvFlags::DONTWAIT)?;
        Ok(received)
    }

    /// Sends without waiting; possibly only a part of `bytes`.
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
