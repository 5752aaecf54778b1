//! The transport to a server: a non-blocking socket, and waiting for it with a deadline.
//!
//! The client library expects an asynchronous runtime that wakes its futures. There is no runtime here: the future and
//! then the connection are polled, and if neither makes progress, the caller's thread waits for the socket. So a
//! statement needs no other thread, and a silent server does not delay the caller beyond the deadline.

use std::future::Future;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connected socket. Clones refer to the same socket.
#[derive(Clone)]
pub(super) struct Socket(Arc<SocketInner>);

struct SocketInner {
    stream: SocketStream,
    /// Whether the last write would have blocked.
    wants_to_write: AtomicBool,
}

pub(super) enum SocketStream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// Whether a future was woken, so that polling it again can make progress.
#[derive(Default)]
struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Socket {
    /// Makes a socket non-blocking.
    ///
    /// # Errors
    /// If the operating system refuses that mode.
    pub(super) fn new(stream: SocketStream) -> io::Result<Self> {
        match &stream {
            SocketStream::Tcp(stream) => stream.set_nonblocking(true)?,
            SocketStream::Unix(stream) => stream.set_nonblocking(true)?,
        }
        let wants_to_write = AtomicBool::new(false);
        Ok(Self(Arc::new(SocketInner {
            stream,
            wants_to_write,
        })))
    }

    /// Polls `future`, and calls `others` to make progress with what it may wait for, until the future is ready.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] at the deadline.
    pub(super) fn drive<F: Future>(
        &self,
        future: F,
        mut others: impl FnMut(&mut Context<'_>),
        deadline: Instant,
    ) -> io::Result<F::Output> {
        let mut future = pin!(future);
        let woken = Arc::new(WakeFlag::default());
        let waker = Waker::from(Arc::clone(&woken));
        let context = &mut Context::from_waker(&waker);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Ok(output);
            }
            others(context);
            woken.0.store(false, Ordering::Relaxed);
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Ok(output);
            }
            // If the future was woken, it can continue with data that has been received already, and the socket would
            // not become ready.
            if !woken.0.load(Ordering::Relaxed) {
                self.wait(deadline)?;
            }
        }
    }

    fn wait(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut flags = PollFlags::IN;
        if self.0.wants_to_write.swap(false, Ordering::Relaxed) {
            flags |= PollFlags::OUT;
        }
        let left = Timespec::try_from(left).ok();
        match poll(
            &mut [PollFd::from_borrowed_fd(self.descriptor(), flags)],
            left.as_ref(),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.0.stream {
            SocketStream::Tcp(stream) => stream.as_fd(),
            SocketStream::Unix(stream) => stream.as_fd(),
        }
    }
}

/// Converts `WouldBlock` to `Pending`. No waker is registered, because [`Socket::drive`] polls again when the socket is
/// ready.
fn unless_blocked<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let unfilled = buffer.initialize_unfilled();
        let read = match &self.0.stream {
            SocketStream::Tcp(stream) => (&mut &*stream).read(unfilled),
            SocketStream::Unix(stream) => (&mut &*stream).read(unfilled),
        };
        unless_blocked(read).map_ok(|bytes| buffer.advance(bytes))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = unless_blocked(match &self.0.stream {
            SocketStream::Tcp(stream) => (&mut &*stream).write(bytes),
            SocketStream::Unix(stream) => (&mut &*stream).write(bytes),
        });
        if written.is_pending() {
            self.0.wants_to_write.store(true, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
