//! One tiny_http server on its own private socket, and the threads that receive requests from it.
//!
//! tiny_http stops accepting for good at the first connection for which it gets no descriptor or no thread; its open
//! connections continue. A client notices this because its connection is refused or closed.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use crate::gate::Link;
use crate::scratch::Scratch;

/// The number of receiving threads. With more of them, more requests would wake a sleeping thread, which costs more than it
/// gains.
pub(super) const RECEIVERS: usize = 2;

/// The number of threads that tiny_http starts itself: one that accepts, and four that read.
const TINY_HTTP_THREADS: usize = 5;

/// The function that handles a request.
pub(super) type Handle = dyn Fn(tiny_http::Request) + Send + Sync;

/// A running tiny_http server. On drop it handles the requests that it has received, and ends.
pub(super) struct HttpLoop {
    path: PathBuf,
    /// Shared with every connection.
    is_retired: Arc<AtomicBool>,
    receivers: Vec<JoinHandle<()>>,
    state: Arc<LoopState>,
    /// The directory of the socket. The last field, so that it is dropped after the socket.
    _scratch: Arc<Scratch>,
}

struct LoopState {
    /// Ends its accepting thread on drop by connecting to the socket's path, if that still exists.
    http: tiny_http::Server,
    /// Ends the accepting thread if the socket's path no longer exists. `None` once the thread has ended by itself.
    listener: Mutex<Option<AcceptingSocket>>,
    stopping: AtomicBool,
    handle: Arc<Handle>,
}

/// The socket from which tiny_http accepts connections. Dropping it ends accepting.
struct AcceptingSocket(UnixListener);

impl Drop for AcceptingSocket {
    fn drop(&mut self) {
        let _ = rustix::net::shutdown(&self.0, rustix::net::Shutdown::Both);
    }
}

impl HttpLoop {
    /// Listens on a new socket in `scratch`.
    pub(super) fn start(
        scratch: Arc<Scratch>,
        name: &str,
        handle: Arc<Handle>,
    ) -> io::Result<Self> {
        check_resources(TINY_HTTP_THREADS + RECEIVERS)?;
        let path = scratch.path().join(name);
        let listener = UnixListener::bind(&path)?;
        // The umask may have removed the owner's right to connect. The directory keeps other users out.
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        let http = serve(listener.try_clone()?)?;
        let mut http_loop = Self {
            path,
            is_retired: Arc::default(),
            receivers: Vec::new(),
            state: Arc::new(LoopState {
                http,
                listener: Mutex::new(Some(AcceptingSocket(listener))),
                stopping: AtomicBool::new(false),
                handle,
            }),
            _scratch: scratch,
        };
        for number in 0..RECEIVERS {
            let state = Arc::clone(&http_loop.state);
            let receiver = thread::Builder::new()
                .name(format!("receive-{number}"))
                .spawn(move || state.receive())?;
            http_loop.receivers.push(receiver);
        }
        Ok(http_loop)
    }

    /// Opens a connection, over which tiny_http has answered a warm-up request.
    pub(super) fn connect(&self) -> io::Result<Link> {
        Link::open(&self.path, Arc::clone(&self.is_retired))
    }

    /// Stops accepting connections. Attempts to connect then fail at once.
    pub(super) fn close(&self) {
        *self.state.listener.lock() = None;
    }

    /// Asks the gate to close all connections to this server.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_connections(&self) -> bool {
        Arc::strong_count(&self.is_retired) > 1
    }
}

impl Drop for HttpLoop {
    fn drop(&mut self) {
        self.state.stopping.store(true, Ordering::Release);
        for _ in &self.receivers {
            self.state.http.unblock();
        }
        for receiver in self.receivers.drain(..) {
            // A receiver that panicked has nothing left to do.
            let _ = receiver.join();
        }
        while let Some(received) = self.state.http.try_recv().transpose() {
            if let Ok(request) = received {
                (self.state.handle)(request);
            }
        }
    }
}

impl LoopState {
    fn receive(&self) {
        while !self.stopping.load(Ordering::Acquire) {
            match self.http.recv() {
                // A panic must not end the thread.
                Ok(request) => _ = catch_unwind(AssertUnwindSafe(|| (self.handle)(request))),
                Err(_) if self.stopping.load(Ordering::Acquire) => {}
                Err(error) => {
                    tracing::debug!(%error, "a private socket accepts no more connections");
                    // Otherwise new connections would wait in the listen queue.
                    *self.listener.lock() = None;
                }
            }
        }
    }
}

/// Starts tiny_http, which panics if it cannot start a thread.
fn serve(listener: UnixListener) -> io::Result<tiny_http::Server> {
    let serve = || tiny_http::Server::from_listener(listener, None);
    catch_unwind(AssertUnwindSafe(serve))
        .unwrap_or_else(|_| Err("cannot start a thread".into()))
        .map_err(io::Error::other)
}

/// Checks that this many threads can be started, and that there are descriptors for one connection. tiny_http stops working
/// if it gets none. Other code may take them in between, so this check only makes that unlikely.
pub(crate) fn check_resources(threads: usize) -> io::Result<()> {
    let _descriptors = (UnixStream::pair()?, UnixStream::pair()?);
    let barrier = Arc::new(Mutex::new(()));
    let blocked = barrier.lock();
    let threads: io::Result<Vec<_>> = (0..threads)
        .map(|_| {
            let barrier = Arc::clone(&barrier);
            thread::Builder::new()
                .name("spare".to_owned())
                .spawn(move || drop(barrier.lock()))
        })
        .collect();
    drop(blocked);
    for thread in threads? {
        let _ = thread.join();
    }
    Ok(())
}
