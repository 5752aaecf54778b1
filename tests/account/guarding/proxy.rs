//! Starts nginx and Caddy with the files in `deploy/`.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::{CADDY, NGINX};
use crate::harness::{Answer, Connection, Server, eventually};

/// A proxy that listens on a socket file and runs until it is dropped.
pub(super) struct Proxy {
    child: Child,
    socket: PathBuf,
    pub(super) login: Server,
}

impl Proxy {
    #[track_caller]
    fn start(start: impl FnOnce(&Server, &Path) -> Child) -> Self {
        let login = Server::demo();
        let socket = login.place.path("proxy.sock");
        let child = start(&login, &socket);
        let proxy = Self {
            child,
            socket,
            login,
        };
        eventually("the proxy listens", || {
            UnixStream::connect(&proxy.socket).is_ok()
        });
        proxy
    }

    /// Starts Debian's nginx in the foreground, with all its files in the test's directory.
    #[track_caller]
    pub(super) fn nginx(service: SocketAddr) -> Self {
        Self::nginx_with("", service)
    }

    /// Starts Debian's nginx with additional directives for all its servers.
    #[track_caller]
    pub(super) fn nginx_with(directives: &str, service: SocketAddr) -> Self {
        Self::start(|login, socket| {
            let config = replaced(
                NGINX,
                &[
                    ("127.0.0.1:8080", login.address().to_string()),
                    ("127.0.0.1:9000", service.to_string()),
                    ("127.0.0.1:8000", format!("unix:{}", socket.display())),
                ],
            );
            let place = |name: &str| login.place.path(name).display().to_string();
            let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {};\n", place(name)))
                .concat();
            login.place.write(
                "nginx.conf",
                format!(
                    "daemon off;\nmaster_process off;\npid {};\nerror_log stderr;\nevents {{}}\n\
                     http {{\naccess_log off;\n{directives}{paths}{config}}}\n",
                    place("nginx.pid"),
                ),
            );
            Command::new("nginx")
                .args(["-p", &place(""), "-c", &place("nginx.conf")])
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
    }

    /// Starts a Caddy without its administration interface.
    #[track_caller]
    pub(super) fn caddy(program: &str, service: SocketAddr) -> Self {
        Self::start(|login, socket| {
            let config = replaced(
                CADDY,
                &[
                    ("127.0.0.1:8080", login.address().to_string()),
                    ("127.0.0.1:9000", service.to_string()),
                    (
                        ":8000 {",
                        format!("http:// {{\n\tbind unix/{}", socket.display()),
                    ),
                ],
            );
            let config = format!("{{\n\tadmin off\n\tauto_https off\n}}\n{config}");
            login.place.write("Caddyfile", config);
            Command::new(program)
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(login.place.path("Caddyfile"))
                .env("HOME", login.place.path(""))
                .env("XDG_DATA_HOME", login.place.path(""))
                .env("XDG_CONFIG_HOME", login.place.path(""))
                .stdout(Stdio::null())
                .spawn()
                .unwrap()
        })
    }

    #[track_caller]
    pub(super) fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let stream = UnixStream::connect(&self.socket).unwrap();
        let mut connection = Connection::over(stream).unchecked();
        connection.send(bytes);
        connection.answer()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The proxy may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Replaces the example addresses of a file in `deploy/`, each of which must occur, with real ones.
#[track_caller]
fn replaced(text: &str, addresses: &[(&str, String)]) -> String {
    let mut text: String = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| format!("{line}\n"))
        .collect();
    for (example, real) in addresses {
        assert!(text.contains(example), "{example}");
        text = text.replace(example, real);
    }
    text
}
