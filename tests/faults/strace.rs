//! Uses strace to count the system calls of a run and to make one of them fail: in each thread the call of that number.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::eventually;

/// The strace command that writes these calls of a program to a file: all of them, or only those on `files` if there are
/// any.
pub fn watching(calls: &str, files: &[String], output: &Path) -> Vec<String> {
    let output = output.display().to_string();
    let mut words = vec!["strace", "-D", "-f", "--quiet=all", "-I1", "-o", &output];
    words.extend(files.iter().flat_map(|file| ["-P", file]));
    let trace = format!("trace={calls}");
    words.extend(["-e", &trace]);
    words.into_iter().map(String::from).collect()
}

/// The output of strace about a run.
pub struct Trace(String);

impl Trace {
    pub fn read(output: &Path) -> Self {
        Self(fs::read_to_string(output).unwrap())
    }

    /// The highest number of calls of this name in a single thread.
    pub fn count(&self, call: &str) -> usize {
        let start = format!(" {call}(");
        let mut of_threads: HashMap<&str, usize> = HashMap::new();
        for line in self.0.lines().filter(|line| line.contains(&start)) {
            let thread = line.split(' ').next().unwrap();
            *of_threads.entry(thread).or_default() += 1;
        }
        of_threads.into_values().max().unwrap_or(0)
    }

    /// The names of the files in `directory`, the working directory of the program, that occur in calls; `.` for the
    /// directory itself.
    pub fn files(&self, directory: &Path) -> BTreeSet<String> {
        let calls = self.0.lines().filter(|call| call.contains("AT_FDCWD"));
        let strings = calls.flat_map(|call| call.split('"').skip(1).step_by(2));
        let name = |path: &str| {
            let name = Path::new(path)
                .strip_prefix(directory)
                .unwrap_or(Path::new(path));
            match name.to_str()? {
                "" => Some(".".to_owned()),
                name => (!name.starts_with('/')).then(|| name.to_owned()),
            }
        };
        strings
            .filter(|path| !path.is_empty())
            .filter_map(name)
            .collect()
    }
}

/// Ends the strace that is attached to a program, if there is one.
pub fn end(program: u32) {
    let tracer = || {
        let status = fs::read_to_string(format!("/proc/{program}/status")).ok()?;
        let tracer = status
            .lines()
            .find_map(|line| line.strip_prefix("TracerPid:"))?;
        Pid::from_raw(tracer.trim().parse().unwrap())
    };
    if let Some(tracer) = tracer() {
        kill_process(tracer, Signal::TERM).unwrap();
    }
    eventually("strace lets go", || tracer().is_none());
}
