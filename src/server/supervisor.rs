//! Keeps a tiny_http server within reach: one that cannot be connected to is replaced by another on a new private socket.
//!
//! That happens as soon as a connection is opened in vain, and is looked for at intervals, since nobody opens one while there
//! are enough. A server that was replaced goes on with the connections it has, until all of them are closed.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::http_loop::{Handle, HttpLoop, check_resources};
use crate::gate::{Backend, Link};
use crate::periodic::Periodic;
use crate::scratch::Scratch;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// For one connection of tiny_http, and one more because a thread that has ended still counts for a moment.
const CONNECTION_THREADS: usize = 2;

pub(super) struct Supervisor {
    state: Mutex<State>,
    /// Whether the last connection could be opened.
    is_reachable: Arc<AtomicBool>,
}

struct State {
    /// Where the next private socket is made.
    scratch: Arc<Scratch>,
    /// What the sockets' names begin with.
    name: &'static str,
    /// How many were made.
    sockets: usize,
    handle: Arc<Handle>,
    /// `None` once stopped.
    current: Option<HttpLoop>,
    /// Replaced ones that may have connections yet.
    retired: Vec<HttpLoop>,
}

impl Supervisor {
    /// Starts a server whose sockets are made in `scratch`. `is_reachable` is kept true while it can be connected to.
    pub(super) fn start(
        scratch: Arc<Scratch>,
        name: &'static str,
        is_reachable: Arc<AtomicBool>,
        handle: Arc<Handle>,
    ) -> io::Result<Arc<Self>> {
        let mut state = State {
            scratch,
            name,
            sockets: 0,
            handle,
            current: None,
            retired: Vec::new(),
        };
        state.current = Some(state.start_next()?);
        is_reachable.store(true, Ordering::Relaxed);
        Ok(Arc::new(Self {
            state: Mutex::new(state),
            is_reachable,
        }))
    }

    /// Starts the thread that looks whether the server can be connected to.
    pub(super) fn watch(self: &Arc<Self>) -> io::Result<Periodic> {
        let supervisor = Arc::clone(self);
        let name = format!("watch-{}", supervisor.lock().name);
        Periodic::start(&name, INTERVAL, move |_| {
            // What is wrong has been logged.
            let _ = supervisor.connect();
            drop(supervisor.take_unused());
        })
    }

    /// Handles what was received, and ends all.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        let stopped = (state.current.take(), mem::take(&mut state.retired));
        drop(state);
        drop(stopped);
    }

    fn take_unused(&self) -> Vec<HttpLoop> {
        let mut state = self.lock();
        let unused = |http_loop: &mut HttpLoop| !http_loop.has_connections();
        state.retired.extract_if(.., unused).collect()
    }

    fn report(&self, link: &io::Result<Link>) {
        let was_reachable = self.is_reachable.swap(link.is_ok(), Ordering::Relaxed);
        match link {
            Ok(_) if !was_reachable => tracing::info!("requests reach the server again"),
            Err(error) if was_reachable => {
                tracing::warn!(%error, "new connections do not reach the server; it is not ready");
            }
            Err(error) => tracing::debug!(%error, "new connections do not reach the server"),
            Ok(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backend for Supervisor {
    fn connect(&self) -> io::Result<Link> {
        let mut state = self.lock();
        let link = state.connect();
        self.report(&link);
        link
    }
}

impl State {
    fn connect(&mut self) -> io::Result<Link> {
        let Some(current) = &self.current else {
            return Err(io::Error::other("the server is stopping"));
        };
        check_resources(CONNECTION_THREADS)?;
        let error = match current.connect() {
            Ok(link) => return Ok(link),
            Err(error) => error,
        };
        if matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ) {
            // Its accepting thread has panicked, and nobody is to wait for that should there be no other yet.
            current.close();
        }
        let next = self.start_next()?;
        let link = next.connect()?;
        tracing::warn!(%error, "the private socket did not answer, and was replaced");
        if let Some(replaced) = self.current.replace(next) {
            replaced.retire();
            self.retired.push(replaced);
        }
        Ok(link)
    }

    fn start_next(&mut self) -> io::Result<HttpLoop> {
        if !self.scratch.is_in_place() {
            self.scratch = Arc::new(Scratch::create_anywhere()?);
        }
        self.sockets += 1;
        let name = match self.sockets {
            1 => format!("{}.sock", self.name),
            number => format!("{}-{number}.sock", self.name),
        };
        HttpLoop::start(Arc::clone(&self.scratch), &name, Arc::clone(&self.handle))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::path::PathBuf;
    use std::process::{Command, Stdio};
    use std::thread;

    use super::*;

    /// One that answers every request in the same way.
    fn supervisor() -> (Arc<Supervisor>, Arc<AtomicBool>) {
        let handle = |request: tiny_http::Request| {
            let _ = request.respond(tiny_http::Response::empty(204));
        };
        let scratch = Arc::new(Scratch::create().unwrap());
        let is_reachable = Arc::new(AtomicBool::new(false));
        let reachable = Arc::clone(&is_reachable);
        let supervisor = Supervisor::start(scratch, "calls", reachable, Arc::new(handle)).unwrap();
        (supervisor, is_reachable)
    }

    fn directory(supervisor: &Supervisor) -> PathBuf {
        supervisor.lock().scratch.path().to_owned()
    }

    #[track_caller]
    fn is_replaced_once(supervisor: &Supervisor, old: Link) {
        let links = [(); 4].map(|()| supervisor.connect().unwrap());
        let count = || supervisor.lock().retired.len();
        assert_eq!((count(), supervisor.lock().sockets), (1, 2));
        // It is there for as long as it has a connection.
        assert!(supervisor.take_unused().is_empty());
        drop(old);
        assert_eq!(supervisor.take_unused().len(), 1);
        drop(links);
        supervisor.connect().unwrap();
        assert_eq!((count(), supervisor.lock().sockets), (0, 2));
    }

    #[test]
    fn a_server_whose_socket_lost_its_name_is_replaced() {
        let (supervisor, _) = supervisor();
        let old = supervisor.connect().unwrap();
        fs::remove_file(directory(&supervisor).join("calls.sock")).unwrap();
        is_replaced_once(&supervisor, old);
    }

    #[test]
    fn a_server_whose_directory_is_gone_is_replaced_in_another() {
        let (supervisor, _) = supervisor();
        let old = supervisor.connect().unwrap();
        let before = directory(&supervisor);
        fs::remove_dir_all(&before).unwrap();
        is_replaced_once(&supervisor, old);
        let after = directory(&supervisor);
        assert_ne!(before, after);
        supervisor.stop();
        drop(supervisor);
        assert!(!after.exists());
    }

    #[test]
    fn a_server_that_accepts_no_more_is_replaced() {
        let (supervisor, _) = supervisor();
        let old = supervisor.connect().unwrap();
        supervisor.lock().current.as_ref().unwrap().close();
        is_replaced_once(&supervisor, old);
    }

    /// Says to the process that the test starts where it shall listen.
    const ANOTHERS: &str = "TEST_SOCKET_OF_ANOTHER_PROCESS";

    /// Whoever makes the directory again must get no request.
    #[test]
    fn a_socket_of_another_process_is_not_connected_to() {
        if let Some(path) = std::env::var_os(ANOTHERS) {
            let _listener = UnixListener::bind(path).unwrap();
            // Until the test is over.
            let _ = io::stdin().read(&mut [0]);
            return;
        }
        let (supervisor, _) = supervisor();
        let old = supervisor.connect().unwrap();
        let path = directory(&supervisor).join("calls.sock");
        fs::remove_file(&path).unwrap();
        let this = "server::supervisor::tests::a_socket_of_another_process_is_not_connected_to";
        let mut other = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this])
            .env(ANOTHERS, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while UnixStream::connect(&path).is_err() {
            assert!(other.try_wait().unwrap().is_none(), "it does not listen");
            thread::yield_now();
        }
        is_replaced_once(&supervisor, old);
        drop(other.stdin.take());
        assert!(other.wait().unwrap().success());
    }

    #[test]
    fn it_is_unreachable_from_a_failed_connection_to_the_next_good_one() {
        let (supervisor, is_reachable) = supervisor();
        let is_reachable = || is_reachable.load(Ordering::Relaxed);
        assert!(is_reachable());
        // A name that is too long for a socket.
        let name = mem::replace(&mut supervisor.lock().name, LONG);
        supervisor.lock().current.as_ref().unwrap().close();
        supervisor.connect().unwrap_err();
        assert!(!is_reachable());
        supervisor.lock().name = name;
        supervisor.connect().unwrap();
        assert!(is_reachable());
        supervisor.stop();
        supervisor.connect().unwrap_err();
    }

    const LONG: &str = "a-name-that-has-more-bytes-than-the-path-of-a-socket-may-have-\
                        whatever-the-name-of-the-directory-is-in-which-it-is-made";
}
