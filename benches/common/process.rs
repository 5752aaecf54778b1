//! The program in its own process, the resources that it uses, and `wrk` as the load generator.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::param::clock_ticks_per_second;
use tempfile::TempDir;

use super::rate::Rate;

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_thanos-login");

/// A path without a call.
pub const NOT_FOUND: &str = "/api/organizations/nothing-here/";

/// The duration of [`Process::load`].
pub const LOAD_SECONDS: u64 = 2;

/// A server that is ready. It is killed when it is dropped.
pub struct Process {
    child: Child,
    pub url: String,
    /// Its temporary directory.
    pub directory: TempDir,
}

impl Process {
    /// Starts `thanos-login serve` with these arguments.
    pub fn serve(args: &[&str]) -> Self {
        let command = ["serve", "--listen", "127.0.0.1:0"];
        Self::start(Command::new(PROGRAM).args(command).args(args))
    }

    /// Starts a program that prints its address as `thanos-login serve` does.
    pub fn start(command: &mut Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut child = command
            .env("TMPDIR", directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = child.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        Self {
            child,
            url: line
                .trim()
                .strip_prefix("listening on ")
                .unwrap()
                .to_owned(),
            directory,
        }
    }

    /// Measures the rate of answers with `wrk`. Requests for [`NOT_FOUND`] must be answered 404, all others with success.
    pub fn load(&self, path: &str, clients: usize, script: Option<&Path>) -> Rate {
        let seconds_before = self.processor_seconds();
        let output = Command::new("wrk")
            .args([
                &format!("-d{LOAD_SECONDS}s"),
                "-t1",
                &format!("-c{clients}"),
            ])
            .args(
                script
                    .iter()
                    .flat_map(|script| ["-s".as_ref(), script.as_os_str()]),
            )
            .arg(format!("{}{path}", self.url))
            .output()
            .expect("wrk is installed (Debian: apt install wrk)");
        let seconds = self.processor_seconds() - seconds_before;
        let text = String::from_utf8(output.stdout).unwrap();
        // wrk prints the number of unsuccessful answers only if there are any.
        let has_failures = text.contains("Non-2xx or 3xx responses");
        assert_eq!(has_failures, path == NOT_FOUND, "{path}: {text}");
        let number = |line: &str| line.split_whitespace().next()?.parse::<f64>().ok();
        let find = |end: &str| {
            text.lines()
                .find(|line| line.contains(end))
                .and_then(number)
        };
        let per_second = text
            .lines()
            .find_map(|line| number(line.strip_prefix("Requests/sec:")?));
        Rate {
            on_the_clock: per_second.unwrap_or_else(|| panic!("{text}")),
            of_processor_time: find(" requests in ").unwrap() / seconds,
        }
    }

    pub fn resident_kib(&self) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix(" kB"));
        line.unwrap().trim().parse().unwrap()
    }

    fn processor_seconds(&self) -> f64 {
        processor_seconds(&self.child.id().to_string(), 11)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time of all ended child processes, in seconds.
pub fn processor_seconds_of_children() -> f64 {
    processor_seconds("self", 13)
}

/// User and system time of a process, in seconds; `user` is the position of the user time in the kernel's line, which the
/// system time follows.
fn processor_seconds(process: &str, user: usize) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    // The name of the program may contain anything; the third field is the first one after it.
    let (_, after_name) = stat.rsplit_once(')').unwrap();
    let ticks = after_name.split_whitespace().skip(user).take(2);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap()).sum();
    ticks as f64 / clock_ticks_per_second() as f64
}
