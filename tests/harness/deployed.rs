//! The files in `deploy/` and the programs that take them.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Place, eventually};

/// A file of the checkout.
pub fn deployed(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("deploy")
        .join(name);
    fs::read_to_string(path).unwrap()
}

/// The text with each of these replaced, all of which must be there.
#[track_caller]
pub fn adapted(text: String, replacements: &[(&str, &str)]) -> String {
    replacements.iter().fold(text, |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// Another program, killed at the end.
pub struct Program(Child);

impl Program {
    pub fn start(command: &mut Command, port: u16) -> Self {
        let program = Self(command.stdin(Stdio::null()).spawn().unwrap());
        eventually("the proxy listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        program
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        // nginx takes its children along when it is asked to end.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// nginx with this site, and its files in a place.
pub fn start_nginx(place: &Place, port: u16, site: &str) -> Program {
    let path = |name: &str| place.path(name).display().to_string();
    // Where it is tested nobody may write to the usual places.
    let config = format!("events {{ }} http {{ {} {site} }}", temporary(place));
    place.write("nginx.conf", config);
    let directives = format!("daemon off; pid {}; {}", path("nginx.pid"), run_as_us());
    Program::start(
        Command::new("nginx").args(["-e", "stderr", "-c", &path("nginx.conf"), "-g", &directives]),
        port,
    )
}

fn run_as_us() -> &'static str {
    if rustix::process::geteuid().is_root() {
        "user root;"
    } else {
        ""
    }
}

fn temporary(place: &Place) -> String {
    let directory = place.path("tmp").display().to_string();
    let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {directory}/{name};"));
    paths.join(" ")
}
