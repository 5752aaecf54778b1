//! A program that serves.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use super::process::Process;
use super::{Answer, Connection, Finished, JSON, LOGIN, Place, eventually, login_body, request};

/// A running server. Dropping it kills it.
pub struct Server {
    process: Process,
    /// Where it runs.
    pub place: Place,
    /// Its first line on standard output.
    pub ready_line: String,
}

impl Server {
    #[track_caller]
    pub(super) fn ready(mut process: Process, place: Place) -> Result<Self, Finished> {
        let Some(ready_line) = process.line() else {
            return Err(process.wait());
        };
        Ok(Self {
            process,
            place,
            ready_line,
        })
    }

    /// One with the demo accounts.
    #[track_caller]
    pub fn demo() -> Self {
        Self::demo_with(&[])
    }

    #[track_caller]
    pub fn demo_with(flags: &[&str]) -> Self {
        let args = [&["serve", "--demo"], flags].concat();
        Place::new().program(&args).start()
    }

    /// Where the first ready line says that it listens.
    pub fn address(&self) -> SocketAddr {
        address_in(&self.ready_line)
    }

    /// The next ready line.
    #[track_caller]
    pub fn next_ready_line(&self) -> String {
        self.process.line().expect("the server ended")
    }

    pub fn connect(&self) -> Connection {
        Connection::to(self.address())
    }

    /// Sends bytes on a connection of their own and reads the answer.
    #[track_caller]
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut connection = self.connect();
        connection.send(bytes);
        connection.answer()
    }

    /// A login call with this body.
    #[track_caller]
    pub fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        self.send(request("POST", LOGIN, &[JSON], body))
    }

    #[track_caller]
    pub fn login(&self, username: &str, password: &str) -> Answer {
        self.post(login_body(username, password))
    }

    /// Sends logins, each on a connection of its own, and leaves their answers to be read.
    ///
    /// Each connection has served something else before, so none of the logins still waits to be let in.
    #[track_caller]
    pub fn begin_logins(&self, count: usize, username: &str, password: &str) -> Vec<Connection> {
        let something_else = request("GET", "/nothing-here/", &[], "");
        let connect = || {
            let mut connection = self.connect();
            connection.send(&something_else);
            assert_eq!(connection.answer().status, 404);
            connection
        };
        let mut connections: Vec<Connection> = (0..count).map(|_| connect()).collect();
        let login = request("POST", LOGIN, &[JSON], login_body(username, password));
        for connection in &mut connections {
            connection.send(&login);
        }
        connections
    }

    /// Waits until so many logins are in work, as the metrics at an address say.
    #[track_caller]
    pub fn wait_until_in_work(count: usize, metrics: SocketAddr) {
        let metric = format!("\nthanos_login_logins_in_work {count}\n");
        eventually("so many logins are in work", || {
            let mut connection = Connection::to(metrics);
            connection.send(request("GET", "/metrics", &[], ""));
            connection.answer().text().contains(&metric)
        });
    }

    /// The server lives, and has taken in what was sent before.
    #[track_caller]
    pub fn answers_something_else(&self) {
        let answer = self.send(request("GET", "/nothing-here/", &[], ""));
        assert_eq!(answer.status, 404);
    }

    /// The most memory that the process has held so far, in bytes.
    pub fn peak_memory(&self) -> u64 {
        self.process.peak_memory().expect("the server ended")
    }

    pub fn has_ended(&self) -> bool {
        self.process.peak_memory().is_none()
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What the server has written to standard error so far.
    pub fn log(&self) -> String {
        self.process.log()
    }

    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    #[track_caller]
    pub fn wait(&mut self) -> Finished {
        self.process.wait()
    }

    /// Stops it the way an operator does.
    #[track_caller]
    pub fn stop(mut self) -> Finished {
        self.signal(Signal::TERM);
        self.wait().succeeded()
    }

    /// Stops it the way a power failure does, as far as one process goes.
    #[track_caller]
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.wait().code, None);
    }
}

/// The address in a line `listening on http://ADDRESS`.
#[track_caller]
pub fn address_in(ready_line: &str) -> SocketAddr {
    ready_line
        .strip_prefix("listening on http://")
        .and_then(|address| address.parse().ok())
        .unwrap_or_else(|| panic!("no ready line: {ready_line:?}"))
}

/// Asks over a Unix socket.
#[track_caller]
pub fn send_over_unix_socket(server: &Server, path: &str, bytes: impl AsRef<[u8]>) -> Answer {
    let mut connection = Connection::over(UnixStream::connect(server.place.path(path)).unwrap());
    connection.send(bytes);
    connection.answer()
}
