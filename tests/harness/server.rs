//! A running server of the program under test.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;

use rustix::process::Signal;

use super::process::Process;
use super::{Answer, Connection, Finished, JSON, LOGIN, Place, eventually, login_body, request};

/// A running server. Dropping it kills it.
pub struct Server {
    process: Process,
    /// Its working directory and database.
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

    /// Starts a demo server with the demo accounts.
    #[track_caller]
    pub fn demo() -> Self {
        Self::demo_with(&[])
    }

    /// Starts a demo server with the demo accounts and additional flags.
    #[track_caller]
    pub fn demo_with(flags: &[&str]) -> Self {
        let args = [&["serve", "--demo"], flags].concat();
        Place::new().program(&args).start()
    }

    /// The address in the first ready line.
    pub fn address(&self) -> SocketAddr {
        address_in(&self.ready_line)
    }

    /// Waits for the next ready line.
    #[track_caller]
    pub fn next_ready_line(&self) -> String {
        self.process.line().expect("the server ended")
    }

    pub fn connect(&self) -> Connection {
        Connection::to(self.address())
    }

    /// Sends bytes on a new connection and reads the answer.
    #[track_caller]
    pub fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut connection = self.connect();
        connection.send(bytes);
        connection.answer()
    }

    /// Sends a login call with this body and reads the answer.
    #[track_caller]
    pub fn post(&self, body: impl AsRef<[u8]>) -> Answer {
        self.send(request("POST", LOGIN, &[JSON], body))
    }

    #[track_caller]
    pub fn login(&self, username: &str, password: &str) -> Answer {
        self.post(login_body(username, password))
    }

    /// Sends logins, each on its own connection, and returns before their answers are read.
    ///
    /// Each connection has served another request before, so none of the logins still waits to be accepted.
    #[track_caller]
    pub fn start_logins(&self, count: usize, username: &str, password: &str) -> Vec<Connection> {
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

    /// Waits until `count` logins are in progress according to the metrics at an address.
    #[track_caller]
    pub fn wait_until_in_progress(count: usize, metrics: SocketAddr) {
        let metric = format!("\nthanos_login_logins_in_work {count}\n");
        eventually("so many logins are in progress", || {
            let mut connection = Connection::to(metrics);
            connection.send(request("GET", "/metrics", &[], ""));
            connection.answer().text().contains(&metric)
        });
    }

    /// Checks that the server answers another request. What was sent before has been accepted then.
    #[track_caller]
    pub fn answers_something_else(&self) {
        let answer = self.send(request("GET", "/nothing-here/", &[], ""));
        assert_eq!(answer.status, 404);
    }

    /// The peak resident memory of the process, in bytes.
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

    /// Stops the server as an operator does, with SIGTERM.
    #[track_caller]
    pub fn stop(mut self) -> Finished {
        self.signal(Signal::TERM);
        self.wait().succeeded()
    }

    /// Kills the server. For the process, this is like a power failure.
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

/// Sends bytes over a Unix socket and reads the answer.
#[track_caller]
pub fn send_over_unix_socket(server: &Server, path: &str, bytes: impl AsRef<[u8]>) -> Answer {
    let mut connection = Connection::over(UnixStream::connect(server.place.path(path)).unwrap());
    connection.send(bytes);
    connection.answer()
}
