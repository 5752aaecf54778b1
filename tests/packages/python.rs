//! Tests of the wheel, installed by pip into a new virtual environment. pytest and other packages come from the environment of
//! `python3`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::{release_file, static_binary};
use crate::docs::Page;
use crate::harness::Place;

const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/python/tests");

/// A virtual environment in which the wheel is installed.
struct Environment(Place);

impl Environment {
    fn new() -> Self {
        let environment = Self(Place::new());
        let wheel = wheel().into_os_string().into_string().unwrap();
        output(Command::new("python3").args(["-m", "venv", &environment.path("venv")]));
        let pip = ["-m", "pip", "install", "--quiet", "--no-index", &wheel];
        output(Command::new(environment.path("venv/bin/python")).args(pip));
        environment
    }

    fn path(&self, name: &str) -> String {
        self.0.path(name).into_os_string().into_string().unwrap()
    }

    /// Runs `python ARGUMENTS` in the place's directory, with the packages of `python3`; returns what it prints.
    #[track_caller]
    fn python(&self, arguments: &[&str]) -> String {
        let query = "import sysconfig; print(sysconfig.get_path('purelib'))";
        let tools = output(Command::new("python3").args(["-c", query]));
        let path = format!("{}:{}", self.path("venv/bin"), env::var("PATH").unwrap());
        let mut command = Command::new(self.path("venv/bin/python"));
        output(
            command
                .args(arguments)
                .current_dir(self.0.path(""))
                .env("PATH", path)
                .env("PYTHONPATH", tools.trim())
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .env("TMPDIR", self.0.path("tmp")),
        )
    }

    #[track_caller]
    fn pytest(&self, arguments: &[&str]) -> String {
        let common = ["-m", "pytest", "-q", "-p", "no:cacheprovider"];
        self.python(&[&common, arguments].concat())
    }
}

fn wheel() -> PathBuf {
    release_file("thanos_login-", ".whl")
}

#[track_caller]
fn output(command: &mut Command) -> String {
    let output = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let printed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{printed}\n{errors}");
    printed
}

#[test]
#[ignore = "needs pip"]
fn the_wheel_is_tagged_for_every_linux_and_contains_the_program() {
    let wheel = wheel();
    let name = wheel.file_name().unwrap().to_string_lossy();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        name.starts_with(&format!("thanos_login-{version}-py3-none-")),
        "{name}"
    );
    for tag in ["manylinux_2_17_", "manylinux2014_", "musllinux_1_1_"] {
        assert!(name.contains(tag), "{name}");
    }

    let environment = Environment::new();
    let program = environment.path("venv/bin/thanos-login");
    let printed = output(Command::new(&program).arg("--version"));
    assert_eq!(printed, format!("thanos-login {version}\n"));
    assert!(fs::read(program).unwrap() == fs::read(static_binary()).unwrap());
}

#[test]
#[ignore = "needs pip, pytest, pytest-xdist and Python's Requests"]
fn the_tests_of_the_python_package_pass() {
    let environment = Environment::new();
    let printed = environment.pytest(&["-W", "error", "--strict-markers", TESTS]);
    assert!(printed.contains(" passed in "), "{printed}");
    // Tests are skipped if pytest-xdist or Requests is missing.
    assert!(!printed.contains("skipped"), "{printed}");
}

#[test]
#[ignore = "needs pip, pytest, pytest-xdist and Python's Requests"]
fn the_pytest_example_passes() {
    let (example, _) = Page::read("docs/stub.md")
        .examples()
        .into_iter()
        .find(|(block, _)| block.heading == "## With pytest")
        .unwrap();
    assert_eq!(example.language, "python");
    let environment = Environment::new();
    environment.0.write("test_login.py", &example.text);
    for processes in ["0", "4"] {
        let printed = environment.pytest(&["-n", processes, "test_login.py"]);
        assert!(printed.contains("3 passed"), "{printed}");
    }
}

#[test]
#[ignore = "needs pip and mypy"]
fn the_python_package_is_typed() {
    let environment = Environment::new();
    environment.python(&["-m", "mypy", "--strict", "--package", "thanos_login"]);
    environment.python(&["-m", "mypy", "--strict", TESTS]);
    // The types as a project sees them that has installed the package.
    environment.0.write("typed.py", TYPED);
    let printed = environment.python(&["-m", "mypy", "--strict", "typed.py"]);
    assert!(
        printed.contains("TypedDict(thanos_login._stub.Request, {"),
        "{printed}"
    );
}

const TYPED: &str = "\
from thanos_login import Stub, stub

def use(thanos_login: Stub) -> None:
    thanos_login.next([{'code': 503, 'times': 2}, {}])
    thanos_login.next(code=503, fault='cut')
    reveal_type(thanos_login.requests(wait='1s'))

with stub({'organizations': []}, flags=['--token-ttl', '5m']) as running:
    use(running)
";
