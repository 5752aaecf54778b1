//! The files in `deploy/` and the programs that they configure.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Place, eventually};

/// Reads a file from the directory `deploy` of the checkout.
pub fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    fs::read_to_string(path).unwrap()
}

/// Replaces each of these pairs in a text, which must contain all of them.
#[track_caller]
pub fn adapted(text: String, replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// A running reverse proxy, terminated when it is dropped.
pub struct ProxyProcess(Child);

impl ProxyProcess {
    pub fn start(command: &mut Command, port: u16) -> Self {
        let program = Self(command.stdin(Stdio::null()).spawn().unwrap());
        eventually("the proxy listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        program
    }
}

impl Drop for ProxyProcess {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        // SIGTERM, and not SIGKILL: nginx ends its worker processes then.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// Starts nginx with this site and waits until it listens on `port`. All files of nginx are in the test's directory.
pub fn start_nginx(place: &Place, port: u16, site: &str) -> ProxyProcess {
    let path = |name: &str| place.path(name).display().to_string();
    // The usual directories may not be writable on the machine that runs the tests.
    let config = format!(
        "events {{ }} http {{ {} {site} }}",
        temp_path_directives(place)
    );
    place.write("nginx.conf", config);
    let directives = format!(
        "daemon off; pid {}; {}",
        path("nginx.pid"),
        user_directive()
    );
    ProxyProcess::start(
        Command::new("nginx").args(["-e", "stderr", "-c", &path("nginx.conf"), "-g", &directives]),
        port,
    )
}

fn user_directive() -> &'static str {
    if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    }
}

fn temp_path_directives(place: &Place) -> String {
    let directory = place.path("tmp").display().to_string();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {directory}/{name};"));
    paths.join(" ")
}
