//! Keeps a tiny_http server reachable: if no connection to it can be opened, it is replaced by another one on a new private
//! socket.
//!
//! That happens as soon as an attempt to connect fails. A periodic check also connects, because the gate opens no connection
//! while it has enough of them. A replaced server keeps serving its open connections until all of them are closed.

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

/// Time between two checks.
const INTERVAL: Duration = Duration::from_secs(1);

/// The number of threads that must be available to open a connection: tiny_http needs one, and a thread that has just ended
/// still counts for a moment.
const CONNECTION_THREADS: usize = 2;

pub(super) struct Supervisor {
    /// `None` once stopped, so that remaining references to the supervisor keep no server alive.
    running: Mutex<Option<RunningServers>>,
    /// Whether the last attempt to connect succeeded.
    is_reachable: Arc<AtomicBool>,
}

struct RunningServers {
    sockets: Sockets,
    current: HttpLoop,
    /// Replaced servers that may still have connections.
    retired: Vec<HttpLoop>,
}

/// Where and how the next private socket is created.
struct Sockets {
    scratch: Arc<Scratch>,
    /// The prefix of the sockets' file names.
    name: &'static str,
    /// The number of sockets that were created.
    count: usize,
    handle: Arc<Handle>,
}

impl Supervisor {
    /// Starts a server whose sockets are created in `scratch`. `is_reachable` is true while connections to it can be opened.
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

    /// Starts the thread that periodically checks whether the server can be connected to.
    pub(super) fn watch(self: &Arc<Self>) -> io::Result<Periodic> {
        let supervisor = Arc::clone(self);
        let name = |running: &RunningServers| format!("watch-{}", running.sockets.name);
        let name = self.running.lock().as_ref().map(name).unwrap_or_default();
        Periodic::start(&name, INTERVAL, move |_| {
            // An error has already been logged.
            let _ = supervisor.connect();
            drop(supervisor.take_unused());
        })
    }

    /// Handles the requests that were received, and ends all servers.
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
            // Its accepting thread has panicked. Connections must not wait in its listen queue in case the replacement fails.
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

    /// A supervisor whose server answers every request with 204.
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
    fn assert_replaced_once(supervisor: &Supervisor, old: Link) {
        let links = [(); 4].map(|()| supervisor.connect().unwrap());
        let counts = || {
            with(supervisor, |running| {
                (running.retired.len(), running.sockets.count)
            })
        };
        assert_eq!(counts(), (1, 2));
        // The old server is kept for as long as it has a connection.
        assert!(supervisor.take_unused().is_empty());
        drop(old);
        assert_eq!(supervisor.take_unused().len(), 1);
        drop(links);
        supervisor.connect().unwrap();
        assert_eq!(counts(), (0, 2));
    }

    #[test]
    fn a_server_whose_socket_file_was_removed_is_replaced() {
        let (supervisor, _) = supervisor();
        let old = supervisor.connect().unwrap();
        fs::remove_file(directory(&supervisor).join("calls.sock")).unwrap();
        assert_replaced_once(&supervisor, old);
    }

    #[test]
    fn a_server_whose_directory_was_removed_is_replaced_in_another_directory() {
        let (supervisor, _) = supervisor();
        let old = supervisor.connect().unwrap();
        let before = directory(&supervisor);
        fs::remove_dir_all(&before).unwrap();
        assert_replaced_once(&supervisor, old);
        let after = directory(&supervisor);
        assert_ne!(before, after);
        supervisor.stop();
        // Even while there are references to the supervisor, such as that of a connection that has just ended.
        assert!(!after.exists());
    }

    #[test]
    fn a_server_that_accepts_no_more_is_replaced() {
        let (supervisor, _) = supervisor();
        let old = supervisor.connect().unwrap();
        with(&supervisor, |running| running.current.close());
        assert_replaced_once(&supervisor, old);
    }

    /// The environment variable with the path on which the other process of the test is to listen.
    const OTHER_SOCKET: &str = "TEST_SOCKET_OF_ANOTHER_PROCESS";

    /// A process that creates the socket file again must get no request.
    #[test]
    fn a_socket_of_another_process_is_not_connected_to() {
        if let Some(path) = std::env::var_os(OTHER_SOCKET) {
            let _listener = UnixListener::bind(path).unwrap();
            // Wait until the test is over.
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
            .env(OTHER_SOCKET, &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while UnixStream::connect(&path).is_err() {
            assert!(other.try_wait().unwrap().is_none(), "it does not listen");
            thread::yield_now();
        }
        assert_replaced_once(&supervisor, old);
        drop(other.stdin.take());
        assert!(other.wait().unwrap().success());
    }

    #[test]
    fn the_server_is_unreachable_from_a_failed_connection_until_the_next_successful_one() {
        let (supervisor, is_reachable) = supervisor();
        let is_reachable = || is_reachable.load(Ordering::Relaxed);
        assert!(is_reachable());
        // No socket can be created with this name, because it is too long.
        let name = with(&supervisor, |running| {
            running.current.close();
            mem::replace(&mut running.sockets.name, TOO_LONG)
        });
        supervisor.connect().unwrap_err();
        assert!(!is_reachable());
        with(&supervisor, |running| running.sockets.name = name);
        supervisor.connect().unwrap();
        assert!(is_reachable());
        supervisor.stop();
        supervisor.connect().unwrap_err();
    }

    const TOO_LONG: &str = "a-name-that-has-more-bytes-than-the-path-of-a-socket-may-have-\
                        whatever-the-name-of-the-directory-is-in-which-it-is-made";
}
