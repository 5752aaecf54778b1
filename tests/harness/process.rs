//! One run of the program: its arguments, environment and input, and all of its output.

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

/// Arguments with which setpriv runs a program as an unprivileged user.
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

    /// Sets the standard input of the program, which is empty by default.
    pub fn input(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Some(bytes.into());
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts the program through a wrapper command that must become the program, as with `strace -D`. Wrappers nest: that
    /// of an earlier call is outside.
    pub fn under(mut self, words: &[impl AsRef<str>]) -> Self {
        let words = words.iter().map(|word| word.as_ref().to_owned());
        self.wrapper.extend(words);
        self
    }

    /// Runs a shell command first, such as `umask 0`, whose effects the program inherits.
    pub fn after(self, line: &str) -> Self {
        self.under(&["sh", "-c", &format!("{line} && exec \"$0\" \"$@\"")])
    }

    /// Runs the program as a user that file permissions apply to, which root is not.
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

    /// Runs the program to its end.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.spawn().wait()
    }

    /// Lets a server without an explicit address listen on a free port: the default port may be in use.
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

    /// The URL of the test's database, unless the test names another database or starts a demo.
    fn url(&self) -> Option<&str> {
        let mut args = self.args.iter();
        let mut variables = self.env.iter();
        let is_named = args.any(|arg| arg == "--demo" || arg.starts_with("--db"))
            || variables.any(|(name, _)| name == "THANOS_LOGIN_DB" || name == "THANOS_LOGIN_DEMO");
        if is_named { None } else { self.place.url() }
    }

    /// Starts the program and captures its output.
    pub fn spawn(self) -> Process {
        Process::new(self.spawn_with(Stdio::piped(), Stdio::piped()))
    }

    /// Starts the program with these standard streams.
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
            // The program may close its standard input before it has read everything.
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
                // Nothing receives once the test is over.
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

    /// Waits for the next line of standard output; `None` at the end of the program.
    #[track_caller]
    pub fn line(&self) -> Option<String> {
        match self.lines.lock().unwrap().recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("the program neither wrote a line nor ended"),
        }
    }

    /// The peak resident memory of the process, in bytes; `None` once it has ended.
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

    /// What the program has written to standard error so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Whether the hashing threads of the program have been started.
    pub fn is_hashing(&self) -> bool {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let mut names = tasks.into_iter().flatten().flatten().map(|task| {
            // The thread may have ended meanwhile.
            fs::read_to_string(task.path().join("comm")).unwrap_or_default()
        });
        names.any(|name| name.starts_with("hash-"))
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end of the program and collects the output that was not read yet. Kills a program that does not end.
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
        // The program may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            let log = self.log.lock().unwrap();
            eprintln!("--- standard error of the program ---\n{log}---");
        }
    }
}

/// The result of a run that has ended.
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

    /// Checks that the run failed with one line on standard error that contains `name`, and printed nothing else.
    #[track_caller]
    pub fn failed_naming(&self, label: &str, name: &str) {
        assert_eq!(self.code, Some(1), "{label}: {self:#?}");
        assert_eq!(self.stdout, "", "{label}: {self:#?}");
        assert_eq!(self.stderr.lines().count(), 1, "{label}: {self:#?}");
        assert!(self.stderr.contains(name), "{label}: {self:#?}");
    }

    /// Checks that the run ended with exit code 2 and a message on standard error only.
    #[track_caller]
    pub fn was_wrong_usage(&self, label: &str) {
        assert_eq!(self.code, Some(2), "{label}: {self:#?}");
        assert_eq!(self.stdout, "", "{label}: {self:#?}");
        assert_ne!(self.stderr, "", "{label}: {self:#?}");
    }
}
