//! Connections to tiny_http over its private Unix socket, each for one request at a time.
//!
//! They are kept and used again, the last one first, so that as few as possible are awake. tiny_http hands a new
//! connection to one of its threads on a count that may be stale: of several opened in a burst some get no answer while
//! the others stay open. So they are opened one at a time, and each has answered a request of ours, the warm-up, before it
//! is used and the next is opened.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::answer::{self, ServerAnswer};
use super::backend::{Backend, Link};
use crate::gate::deadline::Deadline;
use crate::gate::http::wiped::Wiped;
use crate::low_priority::with_low_priority;

/// For a connection to become free when no further one can be opened.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// Before another try to open a connection, when others are in use that may become free meanwhile.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// Connections not needed for this long are closed; each holds a thread of tiny_http.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// What is held of a long answer at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Why the server gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The server has not got the request whole, so it has not acted upon it.
    #[error("the server cannot be reached")]
    Unreachable(#[source] io::Error),
    /// All connections were in use for too long.
    #[error("no connection to the server became free")]
    NoneFree,
    /// The server got the request; whether it acted upon it is not known.
    #[error("no answer of the server")]
    NoAnswer(#[from] answer::Error),
}

/// An answer, and what the rest of its body comes over.
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
    /// The last one is the one used last.
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

    /// Sends a request and waits for the answer; `to_head` says that the request is a HEAD.
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

    /// A kept connection may have been closed at the other end. Nothing is lost by trying another then: of a request
    /// that could not be written the server has only a part, which it does not act upon.
    fn send(&self, request: &[u8]) -> Result<Connection<'_>, Error> {
        loop {
            let connection = self.take()?;
            match (&connection.link.stream).write_all(request) {
                Ok(()) => return Ok(connection),
                Err(error) if connection.is_new => return Err(Error::Unreachable(error)),
                Err(error) => tracing::debug!(%error, "a kept connection to the server is broken"),
            }
        }
    }

    /// Takes a kept connection, opens one, or waits for one.
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
            tracing::debug!(%error, "no further connection to the server");
        }
    }

    /// Waits until one more connection may be in use. It may be one that is kept.
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
        // While this one waited for its turn to grow, another may have come back.
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

    /// Waits a moment for a connection that is in use to come back. False when there is none, or no time left.
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

/// What the rest of an answer's body comes over. Dropped before that, it closes the connection.
pub(crate) struct RestOfBody<'a> {
    connection: Connection<'a>,
    left: usize,
}

impl RestOfBody<'_> {
    /// Hands it on in pieces, as it arrives.
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
                tracing::warn!(%error, left = self.left, "the server broke off an answer");
            })?;
            write(&piece[..read])?;
            self.left -= read;
        }
        self.connection.keep();
        Ok(())
    }
}

/// One of the connections that may be in use, until it is dropped.
struct Permit<'a>(&'a Pool);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.state.lock().in_use -= 1;
        self.0.returned.notify_one();
    }
}

/// A connection in use. Dropped, it is closed: what comes next on it is known only after a whole answer.
struct Connection<'a> {
    link: Link,
    /// Opened just now.
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

    /// Gives the connection back, after a whole answer.
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
    fn a_connection_that_went_stale_is_replaced_unnoticed() {
        let (pool, _directory) = server(2);
        for _ in 0..3 {
            pool.exchange(REQUEST, false).unwrap();
            // Until the other end has closed too.
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
    fn connections_are_used_again_the_last_one_first() {
        let (pool, _directory) = server(100);
        for _ in 0..50 {
            pool.exchange(REQUEST, false).unwrap();
        }
        assert_eq!(pool.state.lock().idle.len(), 1);
    }

    #[test]
    fn a_kept_connection_of_a_retired_server_is_not_used_again() {
        let (pool, _directory) = server(100);
        pool.exchange(REQUEST, false).unwrap();
        pool.state.lock().idle[0].link.retire();
        pool.exchange(REQUEST, false).unwrap();
        let state = pool.state.lock();
        assert_eq!(state.idle.len(), 1);
        assert!(!state.idle[0].link.is_retired());
    }

    /// Lets one connection be opened.
    struct Only {
        server: PathBuf,
        asked: AtomicUsize,
    }

    impl Backend for Only {
        fn connect(&self) -> io::Result<Link> {
            match self.asked.fetch_add(1, Ordering::SeqCst) {
                0 => self.server.connect(),
                _ => Err(io::ErrorKind::OutOfMemory.into()),
            }
        }
    }

    #[test]
    fn a_request_for_which_none_can_be_opened_waits_for_one_that_is_in_use() {
        let (server, _directory) = listen(100);
        let only = Arc::new(Only {
            server,
            asked: AtomicUsize::new(0),
        });
        let pool = Pool::new(Arc::clone(&only) as Arc<dyn Backend>, 8, PATIENCE);
        let first = pool.take().unwrap();
        thread::scope(|scope| {
            let waiting: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| pool.exchange(REQUEST, false).is_ok()))
                .collect();
            while only.asked.load(Ordering::SeqCst) <= waiting.len() {
                thread::yield_now();
            }
            first.keep();
            assert!(waiting.into_iter().all(|waiting| waiting.join().unwrap()));
        });
        // None is in use that could come back.
        drop(pool.take().unwrap());
        assert!(matches!(pool.take(), Err(Error::Unreachable(_))));
    }

    #[test]
    fn an_answer_that_does_not_come_in_its_time_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("silent.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let pool = Pool::new(Arc::new(path), 1, Duration::from_millis(1));
        thread::scope(|scope| {
            let asking = scope.spawn(|| pool.exchange(REQUEST, false).err());
            let (mut stream, _) = listener.accept().unwrap();
            // To the warm-up, and to nothing after it.
            stream.write_all(ANSWER).unwrap();
            let error = asking.join().unwrap().unwrap();
            assert!(matches!(error, Error::NoAnswer(_)), "{error}");
        });
    }
}
