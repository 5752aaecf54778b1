//! Keeps a tiny_http server within reach: one that cannot be connected to is replaced by another on a new private socket.
//!
//! That happens as soon as a connection is opened in vain, and is looked for at intervals, since nobody opens one while there
//! are enough. A server that was replaced goes on with the connections it has, until all of them are closed.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use super::http_loop::{Handle, HttpLoop, check_resources};
use crate::gate::{Backend, Link};
use crate::periodic::Periodic;
use crate::scratch::Scratch;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);

/// For one connection of tiny_http, and one more because a thread that has ended still counts for a moment.
const CONNECTION_THREADS: usize = 2;

pub(super) struct Supervisor {
    /// `None` once stopped: who still refers to it then keeps nothing of it.
    running: Mutex<Option<RunningServers>>,
    /// Whether the last connection could be opened.
    is_reachable: Arc<AtomicBool>,
}

struct RunningServers {
    sockets: Sockets,
    current: HttpLoop,
    /// Replaced ones that may have connections yet.
    retired: Vec<HttpLoop>,
}

/// Where and how the next private socket is made.
struct Sockets {
    scratch: Arc<Scratch>,
    /// What their names begin with.
    name: &'static str,
    /// How many were made.
    count: usize,
    handle: Arc<Handle>,
}

impl Supervisor {
    /// Starts a server whose sockets are made in `scratch`. `is_reachable` is kept true while it can be connected to.
    pub(super) fn start(
        scratch: Arc<Scratch>,
        name: &'static str,
        is_reachable: Arc<AtomicBool>,
        handle: Arc<Handle>,
    ) -> io::Result<Arc<Self>> {
        let mut sockets = Sockets {
            scratch,
            name,
            count: 0,
            handle,
        };
        let running = RunningServers {
            current: sockets.serve_next()?,
            sockets,
            retired: Vec::new(),
        };
        is_reachable.store(true, Ordering::Relaxed);
        Ok(Arc::new(Self {
            running: Mutex::new(Some(running)),
            is_reachable,
        }))
    }

    /// Starts the thread that looks whether the server can be connected to.
    pub(super) fn watch(self: &Arc<Self>) -> io::Result<Periodic> {
        let supervisor = Arc::clone(self);
        let name = |running: &RunningServers| format!("watch-{}", running.sockets.name);
        let name = self.running.lock().as_ref().map(name).unwrap_or_default();
        Periodic::start(&name, INTERVAL, move |_| {
            // What is wrong has been logged.
            let _ = supervisor.connect();
            drop(supervisor.take_unused());
        })
    }

    /// Handles what was received, and ends all.
    pub(super) fn stop(&self) {
        let stopped = self.running.lock().take();
        drop(stopped);
    }

    fn take_unused(&self) -> Vec<HttpLoop> {
        let unused = |http_loop: &mut HttpLoop| !http_loop.has_connections();
        match &mut *self.running.lock() {
            Some(running) => running.retired.extract_if(.., unused).collect(),
            None => Vec::new(),
        }
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
}

impl Backend for Supervisor {
    fn connect(&self) -> io::Result<Link> {
        let mut running = self.running.lock();
        let Some(running) = &mut *running else {
            return Err(io::Error::other("the server is stopping"));
        };
        let link = running.connect();
        self.report(&link);
        link
    }
}

impl RunningServers {
    fn connect(&mut self) -> io::Result<Link> {
        check_resources(CONNECTION_THREADS)?;
        let error = match self.current.connect() {
            Ok(link) => return Ok(link),
            Err(error) => error,
        };
        if matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
        ) {
            // Its accepting thread has panicked, and nobody is to wait for that should there be no other yet.
            self.current.close();
        }
        let next = self.sockets.serve_next()?;
        let link = next.connect()?;
        tracing::warn!(%error, "the private socket did not answer, and was replaced");
        let replaced = mem::replace(&mut self.current, next);
        replaced.retire();
        self.retired.push(replaced);
        Ok(link)
    }
}

impl Sockets {
    fn serve_next(&mut self) -> io::Result<HttpLoop> {
        if !self.scratch.is_in_place() {
            self.scratch = Arc::new(self.scratch.create_another()?);
        }
        self.count += 1;
        let name = match self.count {
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
        let scratch = Arc::new(Scratch::create_below(&std::env::temp_dir()).unwrap());
        let is_reachable = Arc::new(AtomicBool::new(false));
        let reachable = Arc::clone(&is_reachable);
        let supervisor = Supervisor::start(scratch, "calls", reachable, Arc::new(handle)).unwrap();
        (supervisor, is_reachable)
    }

    fn directory(supervisor: &Supervisor) -> PathBuf {
        with(supervisor, |running| {
            running.sockets.scratch.path().to_owned()
        })
    }

    fn with<T>(supervisor: &Supervisor, act: impl FnOnce(&mut RunningServers) -> T) -> T {
        act(supervisor.running.lock().as_mut().unwrap())
    }

    #[track_caller]
    fn is_replaced_once(supervisor: &Supervisor, old: Link) {
        let links = [(); 4].map(|()| supervisor.connect().unwrap());
        let counts = || {
            with(supervisor, |running| {
                (running.retired.len(), running.sockets.count)
            })
        };
        assert_eq!(counts(), (1, 2));
        // It is there for as long as it has a connection.
        assert!(supervisor.take_unused().is_empty());
        drop(old);
        assert_eq!(supervisor.take_unused().len(), 1);
        drop(links);
        supervisor.connect().unwrap();
        assert_eq!(counts(), (0, 2));
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
        // Although somebody refers to it yet, such as the thread of a connection that has just ended.
        assert!(!after.exists());
    }

    #[test]
    fn a_server_that_accepts_no_more_is_replaced() {
        let (supervisor, _) = supervisor();
        let old = supervisor.connect().unwrap();
        with(&supervisor, |running| running.current.close());
        is_replaced_once(&supervisor, old);
    }

    /// Says to the process that the test starts where it shall listen.
    const ANOTHERS: &str = "TEST_SOCKET_OF_ANOTHER_PROCESS";

    /// A process that makes the directory again must get no request.
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
        let name = with(&supervisor, |running| {
            running.current.close();
            mem::replace(&mut running.sockets.name, LONG)
        });
        supervisor.connect().unwrap_err();
        assert!(!is_reachable());
        with(&supervisor, |running| running.sockets.name = name);
        supervisor.connect().unwrap();
        assert!(is_reachable());
        supervisor.stop();
        supervisor.connect().unwrap_err();
    }

    const LONG: &str = "a-name-that-has-more-bytes-than-the-path-of-a-socket-may-have-\
                        whatever-the-name-of-the-directory-is-in-which-it-is-made";
}
