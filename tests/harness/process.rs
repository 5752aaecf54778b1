//! One run of the program: what goes in, and everything that comes out.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};

use super::{DEADLINE, Place, Server};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_thanos-login");

/// With these, setpriv runs a program as somebody without any rights.
pub const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

/// The program with its arguments and environment, not yet started.
pub struct Launch {
    place: Place,
    wrapper: Vec<String>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    input: Option<Vec<u8>>,
}

impl Launch {
    pub(super) fn new(place: Place, args: &[&str]) -> Self {
        Self {
            place,
            wrapper: Vec::new(),
            args: args.iter().map(ToString::to_string).collect(),
            env: Vec::new(),
            input: None,
        }
    }

    /// What the program reads from standard input, which is empty otherwise.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Has another program start it, with these words before its own: one that becomes it, as `strace -D` does. What was
    /// asked for before comes first.
    pub fn under(mut self, words: &[impl AsRef<str>]) -> Self {
        let words = words.iter().map(|word| word.as_ref().to_owned());
        self.wrapper.extend(words);
        self
    }

    /// Runs a line of shell first, such as `umask 0`, whose effects the program inherits.
    pub fn after(self, line: &str) -> Self {
        self.under(&["sh", "-c", &format!("{line} && exec \"$0\" \"$@\"")])
    }

    /// Runs it as somebody whom file modes bind, which root is not.
    pub fn without_root(self) -> Self {
        if rustix::process::geteuid().is_root() {
            self.under(&[&["setpriv"], &NOBODY[..]].concat())
        } else {
            self
        }
    }

    /// Starts a server and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Server {
        self.try_start()
            .unwrap_or_else(|finished| panic!("the server did not start: {finished:#?}"))
    }

    /// Starts a server and waits until it is ready or has ended.
    #[track_caller]
    pub fn try_start(self) -> Result<Server, Finished> {
        let place = self.place.clone();
        Server::ready(self.spawn(), place)
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.spawn().wait()
    }

    /// A server without an address of its own takes a free port: the usual one may be in use.
    fn take_a_free_port(&mut self) {
        let addressed = self.args.iter().any(|arg| arg == "--listen")
            || self
                .env
                .iter()
                .any(|(name, _)| name == "THANOS_LOGIN_LISTEN");
        if self.args.first().is_some_and(|command| command == "serve") && !addressed {
            self.args
                .extend(["--listen", "127.0.0.1:0"].map(String::from));
        }
    }

    /// The database of the place, unless the test names another one, or a demo's.
    fn url(&self) -> Option<&str> {
        let mut args = self.args.iter();
        let mut variables = self.env.iter();
        let is_named = args.any(|arg| arg == "--demo" || arg.starts_with("--db"))
            || variables.any(|(name, _)| name == "THANOS_LOGIN_DB" || name == "THANOS_LOGIN_DEMO");
        if is_named { None } else { self.place.url() }
    }

    /// Starts it, to be watched.
    pub fn spawn(self) -> Process {
        Process::new(self.spawn_with(Stdio::piped(), Stdio::piped()))
    }

    /// Starts it with these standard streams.
    pub fn spawn_with(mut self, stdout: Stdio, stderr: Stdio) -> Child {
        self.take_a_free_port();
        let url = self.url().map(String::from);
        let words: Vec<String> = self
            .wrapper
            .into_iter()
            .chain([PROGRAM.to_string()])
            .chain(self.args)
            .collect();
        let mut command = Command::new(&words[0]);
        for (name, _) in env::vars_os() {
            let ours = name.to_string_lossy().starts_with("THANOS_LOGIN_");
            if ours || name == "RUST_LOG" || name == "RUST_BACKTRACE" {
                command.env_remove(name);
            }
        }
        if let Some(url) = url {
            command.env("THANOS_LOGIN_DB", url);
        }
        let stdin = if self.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        };
        let mut child = command
            .args(&words[1..])
            .current_dir(self.place.path(""))
            .env("TMPDIR", self.place.path("tmp"))
            .envs(self.env)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr)
            .spawn()
            .unwrap();
        if let (Some(mut stdin), Some(input)) = (child.stdin.take(), self.input) {
            // A program that has read enough may close it first.
            let _ = stdin.write_all(&input);
        }
        child
    }
}

/// A started program. Dropping it kills it.
pub struct Process {
    child: Child,
    /// Behind a lock so that threads of a test can share the server.
    lines: Mutex<Receiver<String>>,
    log: Arc<Mutex<String>>,
    log_reader: Option<JoinHandle<()>>,
}

impl Process {
    fn new(mut child: Child) -> Self {
        let stdout = child.stdout.take().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                // Nobody listens once the test is over.
                let _ = sender.send(line.unwrap());
            }
        });
        let log = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&log);
        let log_reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = stderr.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                written.lock().unwrap().push_str(&text);
            }
        });
        Self {
            child,
            lines: Mutex::new(lines),
            log,
            log_reader: Some(log_reader),
        }
    }

    /// The next line of standard output; `None` at its end, which is the end of the program.
    #[track_caller]
    pub fn line(&self) -> Option<String> {
        match self.lines.lock().unwrap().recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the program neither wrote a line nor ended"),
        }
    }

    /// The most memory that it has held so far, in bytes; `None` once it has ended.
    pub fn peak_memory(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(path).ok()?;
        let kilobytes = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB"))?;
        Some(kilobytes.trim().parse::<u64>().unwrap() * 1024)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What was written to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Whether it has the threads that hash, be it one for one core.
    pub fn is_hashing(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let mut names = tasks.into_iter().flatten().flatten().map(|task| {
            // It may have ended by now.
            fs::read_to_string(task.path().join("comm")).unwrap_or_default()
        });
        names.any(|name| name.starts_with("hash-"))
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end, collecting what was not read yet. Whatever does not end is killed.
    pub fn wait(&mut self) -> Finished {
        let mut stdout = String::new();
        loop {
            match self.lines.lock().unwrap().recv_timeout(DEADLINE) {
                Ok(line) => stdout += &format!("{line}\n"),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    stdout += "(killed, since it did not end)\n";
                    self.child.kill().unwrap();
                }
            }
        }
        let status = self.child.wait().unwrap();
        if let Some(reader) = self.log_reader.take() {
            reader.join().unwrap();
        }
        let stderr = self.log.lock().unwrap().clone();
        Finished {
            code: status.code(),
            signal: status.signal(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log.lock().unwrap();
            eprintln!("--- standard error of the program ---\n{log}---");
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub struct Finished {
    /// `None` when a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// The operation failed, and standard error says so in one line that names what it was about.
    #[track_caller]
    pub fn failed_naming(&self, label: &str, name: &str) {
        assert_eq!(self.code, Some(1), "{label}: {self:#?}");
        assert_eq!(self.stdout, "", "{label}: {self:#?}");
        assert_eq!(self.stderr.lines().count(), 1, "{label}: {self:#?}");
        assert!(self.stderr.contains(name), "{label}: {self:#?}");
    }

    #[track_caller]
    pub fn was_wrong_usage(&self, label: &str) {
        assert_eq!(self.code, Some(2), "{label}: {self:#?}");
        assert_eq!(self.stdout, "", "{label}: {self:#?}");
        assert_ne!(self.stderr, "", "{label}: {self:#?}");
    }
}
