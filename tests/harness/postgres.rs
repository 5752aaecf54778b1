//! PostgreSQL servers for tests.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A PostgreSQL server of one test, stopped when it is dropped.
pub struct PostgresServer {
    directory: TempDir,
    url: String,
}

impl PostgresServer {
    /// Starts a server with these settings, such as `port=6000`.
    #[track_caller]
    pub fn start(settings: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings)
    }

    /// Starts a server in a directory, which may already have its `data`: a copy of another server's.
    #[track_caller]
    pub fn start_in(directory: TempDir, settings: &[&str]) -> Self {
        let url = start(directory.path(), settings, None);
        Self { directory, url }
    }

    /// Starts a standby of this server.
    #[track_caller]
    pub fn standby(&self, settings: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = start(directory.path(), settings, Some(&self.url));
        Self { directory, url }
    }

    /// Sends a signal to each process of the server.
    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        let file = self.directory().join("data/postmaster.pid");
        let first = fs::read_to_string(file).unwrap();
        let pid = first.lines().next().unwrap();
        // A stopped postmaster starts no more processes.
        send(pid, Signal::STOP);
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        children
            .split_whitespace()
            .for_each(|child| send(child, signal));
        send(pid, signal);
    }

    /// The directory of the socket, of `data` and of the program `stop`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Creates a database and returns its URL.
    #[track_caller]
    pub fn create(&self, database: &str) -> String {
        create(&self.url, database)
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        url_of(&self.url, database)
    }

    /// Stops the server; `mode` is `smart`, `fast` or `immediate`.
    #[track_caller]
    pub fn stop(&self, mode: &str) {
        let stopped = Command::new(self.directory().join("stop"))
            .arg(mode)
            .output()
            .unwrap();
        assert!(stopped.status.success(), "{stopped:?}");
    }

    /// Opens a session with one of its databases.
    #[track_caller]
    pub fn session(&self, database: &str) -> Session {
        let mut psql = Command::new("psql")
            .args(["-XAtq", "-v", "ON_ERROR_STOP=1", &self.url(database)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(psql.stdout.take().unwrap());
        Session { psql, output }
    }

    /// Starts the server again after a stop, with additional settings.
    #[track_caller]
    pub fn start_again(&self, settings: &[&str]) {
        start(self.directory(), settings, None);
    }
}

/// A psql session that stays open until it is dropped.
pub struct Session {
    psql: Child,
    output: BufReader<ChildStdout>,
}

impl Session {
    /// Runs SQL and waits until it is done.
    #[track_caller]
    pub fn run(&mut self, sql: &str) {
        const END: &str = "this is the end";
        let input = self.psql.stdin.as_mut().unwrap();
        writeln!(input, "{sql};\n\\echo {END}").unwrap();
        let mut lines = self.output.by_ref().lines();
        assert!(lines.any(|line| line.unwrap() == END), "{sql}");
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // The server may already have been stopped.
        let _ = Command::new(self.directory().join("stop")).output();
    }
}

/// Runs SQL and returns its output: a line per row, with `|` between columns.
#[track_caller]
pub fn psql(url: &str, sql: &str) -> String {
    let output = Command::new("psql")
        .args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-c", sql, url])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{sql}: {output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

/// Creates a database on the server of a URL and returns its URL.
#[track_caller]
pub fn create(url: &str, database: &str) -> String {
    psql(url, &format!("CREATE DATABASE {database}"));
    url_of(url, database)
}

/// The URL of another database of the same server.
pub fn url_of(url: &str, database: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

fn send(pid: &str, signal: Signal) {
    let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
    // The process may have ended meanwhile.
    let _ = kill_process(pid, signal);
}

#[track_caller]
fn start(directory: &Path, settings: &[&str], primary: Option<&str>) -> String {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/harness/postgres-server");
    let started = Command::new(program)
        .arg(directory)
        .args(settings)
        .envs(primary.map(|primary| ("STANDBY_OF", primary)))
        .output()
        .unwrap();
    assert!(started.status.success(), "{started:?}");
    String::from_utf8(started.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}
