//! One tiny_http server on a private socket of its own, and the threads that receive from it.
//!
//! tiny_http stops accepting for good at the first connection for which it gets no descriptor or no thread; the connections
//! that it has go on. A client that opens a connection notices by its refusal or its end.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;

use crate::gate::Link;
use crate::scratch::Scratch;

/// More receivers cost more than they give: each wake-up takes another sleeping thread.
pub(super) const RECEIVERS: usize = 2;

/// tiny_http's own at its start: one that accepts, and four that read.
const TINY_HTTP_THREADS: usize = 5;

/// What is done with a request.
pub(super) type Handle = dyn Fn(tiny_http::Request) + Send + Sync;

/// A running tiny_http server. Dropped, it handles what it has received, and ends.
pub(super) struct HttpLoop {
    path: PathBuf,
    /// Shared with every connection.
    is_retired: Arc<AtomicBool>,
    receivers: Vec<JoinHandle<()>>,
    state: Arc<LoopState>,
    /// Last, so that it outlives the socket in it.
    _scratch: Arc<Scratch>,
}

struct LoopState {
    /// Dropped, it ends the accepting thread by way of the socket's name, if that is still there.
    http: tiny_http::Server,
    /// Ends the accepting thread otherwise. `None` once it has ended by itself.
    listener: Mutex<Option<AcceptingSocket>>,
    stopping: AtomicBool,
    handle: Arc<Handle>,
}

/// The socket that tiny_http accepts from. Dropped, it accepts nothing more.
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

    /// A new connection, over which tiny_http has answered.
    pub(super) fn connect(&self) -> io::Result<Link> {
        Link::open(&self.path, Arc::clone(&self.is_retired))
    }

    /// Accepts nothing more; who tries to connect finds out at once.
    pub(super) fn close(&self) {
        *self.state.listener.lock() = None;
    }

    /// Asks for all connections to be closed.
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
                // A defect must not end the thread.
                Ok(request) => _ = catch_unwind(AssertUnwindSafe(|| (self.handle)(request))),
                Err(_) if self.stopping.load(Ordering::Acquire) => {}
                Err(error) => {
                    tracing::debug!(%error, "a private socket accepts no more connections");
                    // Or connections would wait there to be accepted.
                    *self.listener.lock() = None;
                }
            }
        }
    }
}

/// tiny_http panics when it gets no thread.
fn serve(listener: UnixListener) -> io::Result<tiny_http::Server> {
    let serve = || tiny_http::Server::from_listener(listener, None);
    catch_unwind(AssertUnwindSafe(serve))
        .unwrap_or_else(|_| Err("it could not start a thread".into()))
        .map_err(io::Error::other)
}

/// Whether there are this many threads, and descriptors for one connection, to be had. tiny_http does not survive when
/// there are not; others may take them in between, so this only makes that rare.
pub(super) fn check_resources(threads: usize) -> io::Result<()> {
    let _descriptors = (UnixStream::pair()?, UnixStream::pair()?);
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let threads: io::Result<Vec<_>> = (0..threads)
        .map(|_| {
            let gate = Arc::clone(&gate);
            thread::Builder::new()
                .name("spare".to_owned())
                .spawn(move || drop(gate.lock()))
        })
        .collect();
    drop(closed);
    for thread in threads? {
        let _ = thread.join();
    }
    Ok(())
}
