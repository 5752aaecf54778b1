//! Connections to tiny_http over its private Unix socket, each for one request at a time.
//!
//! They are kept and used again, the last one first, so that as few as possible are awake. tiny_http hands a new
//! connection to one of its threads on a count that may be stale: of several opened in a burst some get no answer while
//! the others stay open. So they are opened one at a time, and each must have answered a request of ours, the warm-up,
//! before it is used and the next is opened.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::deadline::Deadline;
use super::normal;
use super::upstream::{ANSWER_TIMEOUT, Error, Exchange};
use super::wiped::Wiped;

/// For what does not wait for anything: taking a request in, answering a warm-up.
const PROMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// For a connection to become free when no further one may be opened.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);
/// Connections not needed for this long are closed; each holds a thread of tiny_http.
const KEPT: Duration = Duration::from_secs(30);
/// What is held of a long answer at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// A bounded pool of connections.
#[derive(Debug)]
pub(super) struct Pool {
    socket: PathBuf,
    limit: usize,
    stock: Mutex<Stock>,
    returned: Condvar,
    /// Held while a connection is opened and warmed up.
    growth: Mutex<()>,
}

#[derive(Debug, Default)]
struct Stock {
    /// The last one is the one used last.
    kept: Vec<Kept>,
    in_use: usize,
}

#[derive(Debug)]
struct Kept {
    stream: UnixStream,
    since: Instant,
}

impl Pool {
    pub(super) fn new(socket: PathBuf, limit: usize) -> Pool {
        Pool {
            socket,
            limit,
            stock: Mutex::default(),
            returned: Condvar::new(),
            growth: Mutex::new(()),
        }
    }

    /// Sends a request and waits for the answer; `to_head` says that the request is a HEAD.
    pub(super) fn exchange(&self, request: &[u8], to_head: bool) -> Result<Exchange<'_>, Error> {
        let connection = self.send(request)?;
        let answer = Answer::read(&connection.stream, to_head)?;
        let left = answer.rest();
        if left == 0 {
            connection.keep();
            return Ok(Exchange { answer, rest: None });
        }
        let rest = Some(Rest { connection, left });
        Ok(Exchange { answer, rest })
    }

    /// A kept connection may have been closed at the other end. Nothing is lost by trying another then: of a request
    /// that could not be written the server has only a part, which it does not act upon.
    fn send(&self, request: &[u8]) -> Result<Connection<'_>, Error> {
        loop {
            let connection = self.take()?;
            match (&connection.stream).write_all(request) {
                Ok(()) => return Ok(connection),
                Err(error) if connection.is_new => return Err(Error::Unreachable(error)),
                Err(error) => tracing::debug!(%error, "a kept connection to the server is broken"),
            }
        }
    }

    /// Takes a kept connection, opens one, or waits for one.
    fn take(&self) -> Result<Connection<'_>, Error> {
        let deadline = Deadline::after(TURN_TIMEOUT);
        let mut stock = lock(&self.stock);
        while stock.kept.is_empty() && stock.in_use >= self.limit {
            let left = deadline.remaining().map_err(|_| Error::NoneFree)?;
            let waited = self.returned.wait_timeout(stock, left);
            stock = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        stock.in_use += 1;
        let kept = stock.kept.pop();
        drop(stock);
        let turn = Turn(self);
        match kept {
            Some(kept) => Ok(Connection::kept(kept, turn)),
            None => self.grow(turn),
        }
    }

    #[cold]
    fn grow<'a>(&'a self, turn: Turn<'a>) -> Result<Connection<'a>, Error> {
        let _growth = lock(&self.growth);
        // While this one waited for its turn to grow, another may have come back.
        if let Some(kept) = lock(&self.stock).kept.pop() {
            return Ok(Connection::kept(kept, turn));
        }
        Ok(Connection {
            stream: self.open().map_err(Error::Unreachable)?,
            is_new: true,
            turn,
        })
    }

    /// A connection outside of the pool, to be used as its owner likes.
    pub(super) fn open_another(&self) -> io::Result<UnixStream> {
        let _growth = lock(&self.growth);
        self.open()
    }

    #[cold]
    fn open(&self) -> io::Result<UnixStream> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_write_timeout(Some(PROMPT_TIMEOUT))?;
        stream.set_read_timeout(Some(PROMPT_TIMEOUT))?;
        stream.write_all(normal::warm_up().as_bytes())?;
        Answer::read(&stream, false).map_err(io::Error::other)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        Ok(stream)
    }
}

/// What the rest of an answer's body comes over. Dropped before that, it closes the connection.
pub(super) struct Rest<'a> {
    connection: Connection<'a>,
    left: usize,
}

impl Rest<'_> {
    /// Hands it on in pieces, as it arrives.
    pub(super) fn relay(
        mut self,
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut piece = Wiped::default();
        piece.resize(self.left.min(PIECE_BYTES));
        while self.left > 0 {
            let wanted = self.left.min(PIECE_BYTES);
            let read = match (&self.connection.stream).read(&mut piece[..wanted]) {
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
#[derive(Debug)]
struct Turn<'a>(&'a Pool);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.0.stock).in_use -= 1;
        self.0.returned.notify_one();
    }
}

/// A connection in use. Dropped, it is closed: after anything but a whole answer nobody knows what comes next on it.
#[derive(Debug)]
struct Connection<'a> {
    stream: UnixStream,
    /// Opened just now.
    is_new: bool,
    turn: Turn<'a>,
}

impl<'a> Connection<'a> {
    fn kept(kept: Kept, turn: Turn<'a>) -> Connection<'a> {
        Connection {
            stream: kept.stream,
            is_new: false,
            turn,
        }
    }

    /// Gives the connection back, after a whole answer.
    fn keep(self) {
        let Connection { stream, turn, .. } = self;
        let since = Instant::now();
        let mut stock = lock(&turn.0.stock);
        stock.kept.push(Kept { stream, since });
        let unused = since.duration_since(stock.kept[0].since) > KEPT;
        let unused = unused.then(|| stock.kept.remove(0));
        drop(stock);
        drop((unused, turn));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::thread;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

    /// A server that answers `answers` requests on each connection, warm-ups included, and then closes it.
    fn server(answers: usize) -> (Pool, tempfile::TempDir) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("server.sock");
        let listener = UnixListener::bind(&path).unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                for _ in 0..answers {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        if stream.read(&mut byte).unwrap() == 0 {
                            return;
                        }
                        request.push(byte[0]);
                    }
                    stream.write_all(ANSWER).unwrap();
                }
            }
        });
        (Pool::new(path, 2), directory)
    }

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

    #[test]
    fn a_connection_that_went_stale_is_replaced_unnoticed() {
        let (pool, _directory) = server(2);
        for _ in 0..3 {
            pool.exchange(REQUEST, false).unwrap();
            // Until the other end has closed too.
            let kept = lock(&pool.stock).kept.pop().unwrap();
            assert_eq!((&kept.stream).read(&mut [0]).unwrap(), 0);
            lock(&pool.stock).kept.push(kept);
        }
        assert_eq!(lock(&pool.stock).in_use, 0);
    }

    #[test]
    fn a_request_without_an_answer_is_not_sent_twice() {
        let (pool, _directory) = server(1);
        let error = pool.exchange(REQUEST, false).err().unwrap();
        // The server may close before or after the request is written.
        assert!(!matches!(error, Error::NoneFree), "{error}");
        let stock = lock(&pool.stock);
        assert_eq!((stock.in_use, stock.kept.len()), (0, 0));
    }

    #[test]
    fn connections_are_used_again_the_last_one_first() {
        let (pool, _directory) = server(100);
        for _ in 0..50 {
            pool.exchange(REQUEST, false).unwrap();
        }
        assert_eq!(lock(&pool.stock).kept.len(), 1);
    }
}
