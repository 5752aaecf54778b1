//! A pool of connections to tiny_http over its private Unix socket, each for one request at a time.
//!
//! Connections are reused, the one used last first, so that as few threads as possible are woken. tiny_http assigns a new
//! connection to a thread by a count that can be out of date: of several connections opened at once, some get no answer
//! while the others stay open. So connections are opened one at a time, and each must answer a warm-up request before it is
//! used and before the next one is opened.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::answer::{self, ServerAnswer};
use super::backend::{Backend, Link};
use crate::gate::deadline::Deadline;
use crate::gate::http::wiped::Wiped;
use crate::low_priority::with_low_priority;

/// How long a request waits for a connection to become free when no further one can be opened.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time between two attempts to open a connection, in which one in use may become free.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Connections that were not used for this long are closed, because each holds a thread of tiny_http.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How many bytes of a long answer are in memory at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Why the server gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server did not receive the whole request, so it did not act on it.
    #[error("the server cannot be reached")]
    Unreachable(#[source] io::Error),
    /// All connections were in use for too long.
    #[error("no connection to the server became free")]
    NoneFree,
    /// The server received the request; it is not known whether it acted on it.
    #[error("the server did not answer")]
    NoAnswer(#[from] answer::Error),
}

/// An answer, and the connection from which the rest of its body can be read.
pub(crate) struct Exchange<'a> {
    pub(crate) answer: ServerAnswer,
    pub(crate) rest: Option<RestOfBody<'a>>,
}

/// A bounded pool of connections.
pub(crate) struct Pool {
    backend: Arc<dyn Backend>,
    limit: usize,
    answer_timeout: Duration,
    state: Mutex<PoolState>,
    returned: Condvar,
    /// Held while a connection is opened.
    growth: Mutex<()>,
}

#[derive(Default)]
struct PoolState {
    /// Idle connections; the one used last is at the end.
    idle: Vec<IdleLink>,
    in_use: usize,
}

struct IdleLink {
    link: Link,
    since: Instant,
}

impl PoolState {
    fn take(&mut self) -> Option<Link> {
        while let Some(kept) = self.idle.pop() {
            if !kept.link.is_retired() {
                return Some(kept.link);
            }
        }
        None
    }
}

impl Pool {
    pub(crate) fn new(backend: Arc<dyn Backend>, limit: usize, answer_timeout: Duration) -> Self {
        Self {
            backend,
            limit,
            answer_timeout,
            state: Mutex::default(),
            returned: Condvar::new(),
            growth: Mutex::new(()),
        }
    }

    /// Sends a request and waits for the answer; `to_head` says that it is a HEAD request.
    pub(crate) fn exchange(&self, request: &[u8], to_head: bool) -> Result<Exchange<'_>, Error> {
        let connection = self.send(request)?;
        let answer = ServerAnswer::read(&connection.link.stream, to_head)?;
        let left = answer.rest();
        if left == 0 {
            connection.keep();
            return Ok(Exchange { answer, rest: None });
        }
        let rest = Some(RestOfBody { connection, left });
        Ok(Exchange { answer, rest })
    }

    /// Writes a request to a connection. The server may have closed an idle connection; another one is tried then. That is
    /// safe, because the server does not act on a request that it received only in part.
    fn send(&self, request: &[u8]) -> Result<Connection<'_>, Error> {
        loop {
            let connection = self.take()?;
            match (&connection.link.stream).write_all(request) {
                Ok(()) => return Ok(connection),
                Err(error) if connection.is_new => return Err(Error::Unreachable(error)),
                Err(error) => tracing::debug!(%error, "an idle connection to the server is broken"),
            }
        }
    }

    /// Takes an idle connection, opens one, or waits for one.
    fn take(&self) -> Result<Connection<'_>, Error> {
        let deadline = Deadline::after(ACQUIRE_TIMEOUT);
        loop {
            let (kept, permit) = self.acquire(deadline)?;
            if let Some(link) = kept {
                return Ok(Connection::kept(link, permit));
            }
            let error = match self.grow(permit) {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            if !self.awaits_another(deadline) {
                return Err(Error::Unreachable(error));
            }
            tracing::debug!(%error, "cannot open another connection to the server");
        }
    }

    /// Waits until one more connection may be in use. Also returns an idle connection, if there is one.
    fn acquire(&self, deadline: Deadline) -> Result<(Option<Link>, Permit<'_>), Error> {
        let mut state = self.state.lock();
        while state.idle.is_empty() && state.in_use >= self.limit {
            let left = deadline.remaining().map_err(|_| Error::NoneFree)?;
            self.returned.wait_for(&mut state, left);
        }
        state.in_use += 1;
        let kept = state.take();
        drop(state);
        Ok((kept, Permit(self)))
    }

    #[cold]
    fn grow<'a>(&'a self, permit: Permit<'a>) -> io::Result<Connection<'a>> {
        let _growth = self.growth.lock();
        // While this thread waited for the lock, a connection may have become idle.
        let kept = self.state.lock().take();
        if let Some(link) = kept {
            return Ok(Connection::kept(link, permit));
        }
        Ok(Connection {
            link: self.open()?,
            is_new: true,
            permit,
        })
    }

    /// Waits at most [`RETRY_PAUSE`] for a connection in use to become idle. False if none is in use, or the deadline has
    /// passed.
    #[cold]
    fn awaits_another(&self, deadline: Deadline) -> bool {
        let pause = Deadline::after(RETRY_PAUSE);
        let mut state = self.state.lock();
        while state.idle.is_empty() {
            if state.in_use == 0 || deadline.remaining().is_err() {
                return false;
            }
            let Ok(left) = pause.remaining() else {
                return true;
            };
            self.returned.wait_for(&mut state, left);
        }
        true
    }

    fn open(&self) -> io::Result<Link> {
        let link = self.backend.connect()?;
        link.stream.set_read_timeout(Some(self.answer_timeout))?;
        Ok(link)
    }
}

/// The connection from which the rest of an answer's body can be read. Dropping it before the end closes the connection.
pub(crate) struct RestOfBody<'a> {
    connection: Connection<'a>,
    left: usize,
}

impl RestOfBody<'_> {
    /// Passes the rest of the body to `write` in pieces, as they arrive.
    pub(crate) fn relay(self, write: impl FnMut(&[u8]) -> io::Result<()> + Send) -> io::Result<()> {
        with_low_priority("gate-relay", || self.relay_pieces(write))
    }

    fn relay_pieces(mut self, mut write: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut piece = Wiped::default();
        piece.resize(self.left.min(PIECE_BYTES));
        while self.left > 0 {
            let wanted = self.left.min(PIECE_BYTES);
            let read = match (&self.connection.link.stream).read(&mut piece[..wanted]) {
                Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                result => result,
            };
            let read = read.inspect_err(|error| {
                tracing::warn!(%error, left = self.left, "the server aborted an answer");
            })?;
            write(&piece[..read])?;
            self.left -= read;
        }
        self.connection.keep();
        Ok(())
    }
}

/// Permission to use one connection, given back on drop.
struct Permit<'a>(&'a Pool);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.state.lock().in_use -= 1;
        self.0.returned.notify_one();
    }
}

/// A connection in use. Dropping it closes it: it can be reused only after a complete answer.
struct Connection<'a> {
    link: Link,
    /// Whether it was opened for this request.
    is_new: bool,
    permit: Permit<'a>,
}

impl<'a> Connection<'a> {
    fn kept(link: Link, permit: Permit<'a>) -> Self {
        Self {
            link,
            is_new: false,
            permit,
        }
    }

    /// Puts the connection back into the pool, after a complete answer.
    fn keep(self) {
        let Self { link, permit, .. } = self;
        if link.is_retired() {
            return;
        }
        let since = Instant::now();
        let mut state = permit.0.state.lock();
        state.idle.push(IdleLink { link, since });
        let unused = since.duration_since(state.idle[0].since) > IDLE_TIMEOUT;
        let unused = unused.then(|| state.idle.remove(0));
        drop(state);
        drop((unused, permit));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    fn server(answers: usize) -> (Pool, tempfile::TempDir) {
        let (path, directory) = listen(answers);
        (Pool::new(Arc::new(path), 2, PATIENCE), directory)
    }

    /// A server that answers `answers` requests on each connection, warm-ups included, and then closes it.
    fn listen(answers: usize) -> (PathBuf, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.sock");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || {
            'connections: for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                for _ in 0..answers {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        if stream.read(&mut byte).unwrap() == 0 {
                            continue 'connections;
                        }
                        request.push(byte[0]);
                    }
                    stream.write_all(ANSWER).unwrap();
                }
            }
        });
        (path, directory)
    }

    const PATIENCE: Duration = Duration::from_secs(30);
    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    #[test]
    fn an_idle_connection_that_the_server_closed_is_replaced() {
        let (pool, _directory) = server(2);
        for _ in 0..3 {
            pool.exchange(REQUEST, false).unwrap();
            // Wait until the other end has closed the connection.
            let kept = pool.state.lock().idle.pop().unwrap();
            assert_eq!((&kept.link.stream).read(&mut [0]).unwrap(), 0);
            pool.state.lock().idle.push(kept);
        }
        assert_eq!(pool.state.lock().in_use, 0);
    }

    #[test]
    fn a_request_without_an_answer_is_not_sent_twice() {
        let (pool, _directory) = server(1);
        let error = pool.exchange(REQUEST, false).err().unwrap();
        // The server may close before or after the request is written.
        assert!(!matches!(error, Error::NoneFree), "{error}");
        let state = pool.state.lock();
        assert_eq!((state.in_use, state.idle.len()), (0, 0));
    }

    #[test]
    fn a_connection_is_reused_for_the_next_request() {
        let (pool, _directory) = server(100);
        for _ in 0..50 {
            pool.exchange(REQUEST, false).unwrap();
        }
        assert_eq!(pool.state.lock().idle.len(), 1);
    }

    #[test]
    fn an_idle_connection_to_a_retired_server_is_not_reused() {
        let (pool, _directory) = server(100);
        pool.exchange(REQUEST, false).unwrap();
        pool.state.lock().idle[0].link.retire();
        pool.exchange(REQUEST, false).unwrap();
        let state = pool.state.lock();
        assert_eq!(state.idle.len(), 1);
        assert!(!state.idle[0].link.is_retired());
    }

    /// A backend that can open only one connection.
    struct OneConnection {
        server: PathBuf,
        attempts: AtomicUsize,
    }

    impl Backend for OneConnection {
        fn connect(&self) -> io::Result<Link> {
            match self.attempts.fetch_add(1, Ordering::SeqCst) {
                0 => self.server.connect(),
                _ => Err(io::ErrorKind::OutOfMemory.into()),
            }
        }
    }

    #[test]
    fn a_request_waits_for_a_connection_in_use_if_no_further_one_can_be_opened() {
        let (server, _directory) = listen(100);
        let backend = Arc::new(OneConnection {
            server,
            attempts: AtomicUsize::new(0),
        });
        let pool = Pool::new(Arc::clone(&backend) as Arc<dyn Backend>, 8, PATIENCE);
        let first = pool.take().unwrap();
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| pool.exchange(REQUEST, false).is_ok()))
                .collect();
            while backend.attempts.load(Ordering::SeqCst) <= waiting.len() {
                thread::yield_now();
            }
            first.keep();
            assert!(waiting.into_iter().all(|waiting| waiting.join().unwrap()));
        });
        // No connection is in use that could become idle.
        drop(pool.take().unwrap());
        assert!(matches!(pool.take(), Err(Error::Unreachable(_))));
    }

    #[test]
    fn an_answer_after_the_timeout_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("silent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let pool = Pool::new(Arc::new(path), 1, Duration::from_millis(1));
        thread::scope(|scope| {
            let exchange = scope.spawn(|| pool.exchange(REQUEST, false).err());
            let (mut stream, _) = listener.accept().unwrap();
            // Answers the warm-up, and nothing after it.
            stream.write_all(ANSWER).unwrap();
            let error = exchange.join().unwrap().unwrap();
            assert!(matches!(error, Error::NoAnswer(_)), "{error}");
        });
    }
}
