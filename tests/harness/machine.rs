//! The machine that the tests run on, for those that install the Debian package: with the real dpkg and a replacement for
//! systemctl.
//!
//! Dropping a [`Machine`] removes whatever the package left, also when the test failed.

use std::env;
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::server::address_in;
use super::{Answer, Connection, HeldPort, JSON, LOGIN, Place, login_body, request};

/// The files that the package, and the commands of an operator in the documentation, leave behind.
const TRACES: [&str; 7] = [
    "/usr/bin/thanos-login",
    "/etc/default/thanos-login",
    "/etc/thanos-login",
    "/etc/nginx/conf.d/thanos-login.conf",
    "/run/thanos-login",
    "/var/backups/thanos-login.db",
    "/var/lib/thanos-login",
];

/// The directory by which maintainer scripts recognize that systemd runs.
const SYSTEMD_RUNS: &str = "/run/systemd/system";

/// The directory in which the replacement for systemctl keeps its files.
const STAND_IN: &str = "stand-in";

/// Held by the one test that uses the machine.
static ONLY_ONE: Mutex<()> = Mutex::new(());

/// A machine on which the package is not installed, for one test at a time.
pub struct Machine {
    /// The working directory of the commands, with links to `deploy` and `target` of the checkout.
    pub place: Place,
    pub https_port: HeldPort,
    has_systemd: bool,
    _only: MutexGuard<'static, ()>,
}

impl Machine {
    #[track_caller]
    pub fn take() -> Self {
        let only = ONLY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(
            rustix::process::geteuid().is_root(),
            "only root installs packages"
        );
        let found = traces();
        assert!(
            found.is_empty(),
            "thanos-login is in use on this machine: {found:?}; what a killed test left, `dpkg --purge thanos-login` removes"
        );
        let has_systemd = Path::new(SYSTEMD_RUNS).exists();
        let machine = Self {
            place: Place::new(),
            https_port: HeldPort::new(),
            has_systemd,
            _only: only,
        };
        fs::create_dir_all(SYSTEMD_RUNS).unwrap();
        let place = &machine.place;
        fs::create_dir(place.path(STAND_IN)).unwrap();
        fs::create_dir(place.path("bin")).unwrap();
        place.write("bin/systemctl", include_str!("systemctl"));
        // It asks a container's policy whether anything may be restarted.
        place.write(
            "bin/deb-systemd-invoke",
            "#!/bin/sh\nexec systemctl \"$@\"\n",
        );
        for name in ["systemctl", "deb-systemd-invoke"] {
            let path = place.path("bin").join(name);
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        // Without this setting, apt gives the maintainer scripts a PATH without the replacement.
        place.write("apt.conf", format!("DPkg::Path \"{}\";", machine.path()));
        for name in ["deploy", "target"] {
            symlink(checkout().join(name), place.path(name)).unwrap();
        }
        machine
    }

    /// A command that finds the replacement for systemctl, without the environment variables that configure the program or
    /// cargo.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if ["THANOS_LOGIN_", "CARGO_PKG_", "CARGO_MANIFEST_"]
                .iter()
                .any(|start| name.starts_with(start))
            {
                command.env_remove(name);
            }
        }
        command
            .env("PATH", self.path())
            .env("APT_CONFIG", self.place.path("apt.conf"))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("CURL_HOME", self.place.path(""))
            .env("STAND_IN", self.place.path(STAND_IN))
            .env("HTTPS_PORT", self.https_port.number.to_string())
            .current_dir(self.place.path(""))
            .stdin(Stdio::null());
        command
    }

    fn path(&self) -> String {
        let bin = self.place.path("bin").display().to_string();
        format!("{bin}:{}", env::var("PATH").unwrap())
    }

    /// Runs a command that must succeed; returns its standard output.
    #[track_caller]
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        let output = self.command(program).args(args).output().unwrap();
        stdout_of_success(&format!("{program} {}", args.join(" ")), output)
    }

    /// Builds the package of a revision as an operator does, in a directory of its own; returns its path.
    #[track_caller]
    pub fn build(&self, revision: &str) -> String {
        let binary = self.run("deploy/static", &[]);
        let directory = format!("revision-{revision}");
        let args = ["--deb-revision", revision, binary.trim_end(), &directory];
        let path = self.run("deploy/debian/build", &args);
        path.trim_end().to_owned()
    }

    /// The arguments of each call of systemctl since the last call of this function.
    pub fn systemctl_calls(&self) -> Vec<String> {
        let path = self.place.path(&format!("{STAND_IN}/calls"));
        let calls = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        calls.lines().map(str::to_owned).collect()
    }

    /// The process id of the server, while it runs.
    pub fn server(&self) -> Option<u32> {
        let pid = fs::read_to_string(self.place.path(&format!("{STAND_IN}/pid"))).ok()?;
        let pid = pid.trim().parse().unwrap();
        fs::metadata(format!("/proc/{pid}/exe")).ok()?;
        Some(pid)
    }

    /// The address at which the server listens.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        let ready = self.place.path(&format!("{STAND_IN}/ready"));
        address_in(fs::read_to_string(ready).unwrap().trim_end())
    }

    #[track_caller]
    pub fn login(&self, username: &str, password: &str) -> Answer {
        let mut connection = Connection::to(self.address());
        let body = login_body(username, password);
        connection.send(request("POST", LOGIN, &[JSON], body));
        connection.answer()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(pid) = self.server() {
            // A server that still runs is killed: its user cannot be removed before.
            let _ = Command::new("kill")
                .args(["-KILL", &pid.to_string()])
                .status();
        }
        let nginx = self.place.path(&format!("{STAND_IN}/nginx.pid"));
        if let Ok(pid) = fs::read_to_string(nginx) {
            let _ = Command::new("kill").arg(pid.trim()).status();
        }
        let _ = self
            .command("dpkg")
            .args(["--purge", "thanos-login"])
            .output();
        for path in TRACES.map(Path::new) {
            let _ = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
        }
        if !self.has_systemd {
            let _ = fs::remove_dir(SYSTEMD_RUNS);
        }
        let left = traces();
        if !left.is_empty() {
            eprintln!("left on this machine: {left:?}");
        }
    }
}

/// Everything of the package that is on this machine.
pub fn traces() -> Vec<String> {
    let files = TRACES
        .iter()
        .filter(|path| fs::symlink_metadata(path).is_ok())
        .map(ToString::to_string);
    let queries = [
        ("dpkg-query", &["--show", "thanos-login"][..]),
        ("getent", &["passwd", "thanos-login"]),
        ("getent", &["group", "thanos-login"]),
    ];
    let known = queries.iter().filter_map(|(program, args)| {
        let output = Command::new(program).args(*args).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        // dpkg may still know the name of a package that was removed, but no version.
        said.contains([':', '\t']).then_some(said)
    });
    files.chain(known).collect()
}

#[track_caller]
fn stdout_of_success(what: &str, output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{what}\n{text}\n{errors}");
    text.into_owned()
}

fn checkout() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
