//! The real nginx and the real Caddy, with the files in `deploy/`, in front of a service that shows what reaches it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::{JWEIRS_TOKEN, JWEIRS_UUID};
use crate::harness::{Answer, Connection, Server, eventually, request};

const NGINX: &str = include_str!("../../deploy/nginx-auth-request.conf");
const CADDY: &str = include_str!("../../deploy/Caddyfile-forward-auth");

/// The service behind the proxy: it answers everything, and shows what it got.
struct Service {
    address: SocketAddr,
    reached: Receiver<Reached>,
}

/// A request that reached the service.
#[derive(Debug)]
struct Reached {
    /// The request line, then the fields, in lower case.
    head: Vec<String>,
    body: Vec<u8>,
}

impl Service {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, reached) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // The test is over when nobody listens.
                if sender.send(Reached::read(&stream.unwrap())).is_err() {
                    return;
                }
            }
        });
        Self { address, reached }
    }

    #[track_caller]
    fn reached(&self) -> Reached {
        self.reached.recv_timeout(crate::harness::DEADLINE).unwrap()
    }

    #[track_caller]
    fn was_not_reached(&self) {
        if let Ok(reached) = self.reached.try_recv() {
            panic!("{reached:?}");
        }
    }
}

impl Reached {
    fn read(mut stream: &TcpStream) -> Self {
        let mut reader = BufReader::new(stream);
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_ascii_lowercase()),
            }
        }
        let mut reached = Self {
            head,
            body: Vec::new(),
        };
        match reached.fields("content-length")[..] {
            [length] => {
                reached.body = vec![0; length.parse().unwrap()];
                reader.read_exact(&mut reached.body).unwrap();
            }
            [] if reached.fields("transfer-encoding") == ["chunked"] => loop {
                let mut size = String::new();
                reader.read_line(&mut size).unwrap();
                let size = usize::from_str_radix(size.trim_end(), 16).unwrap();
                let mut chunk = vec![0; size + 2];
                reader.read_exact(&mut chunk).unwrap();
                if size == 0 {
                    break;
                }
                reached.body.extend(&chunk[..size]);
            },
            _ => {}
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nguarded";
        stream.write_all(answer.as_bytes()).unwrap();
        reached
    }

    fn fields(&self, name: &str) -> Vec<&str> {
        let fields = self.head.iter().filter_map(|line| line.split_once(':'));
        fields
            .filter(|(given, _)| *given == name)
            .map(|(_, value)| value.trim())
            .collect()
    }
}

/// A proxy that runs until it is dropped, and is asked at a socket file.
struct Proxy {
    child: Child,
    socket: PathBuf,
    login: Server,
    service: Service,
}

impl Proxy {
    #[track_caller]
    fn start(start: impl FnOnce(&Server, &Service, &Path) -> Child) -> Self {
        let (login, service) = (Server::demo(), Service::start());
        let socket = login.place.path("proxy.sock");
        let child = start(&login, &service, &socket);
        let proxy = Self {
            child,
            socket,
            login,
            service,
        };
        eventually("the proxy listens", || {
            UnixStream::connect(&proxy.socket).is_ok()
        });
        proxy
    }

    /// Debian's nginx, in the foreground, with all its files in the test's directory.
    #[track_caller]
    fn nginx() -> Self {
        Self::start(|login, service, socket| {
            let config = replaced(
                NGINX,
                &[
                    ("127.0.0.1:8080", login.address().to_string()),
                    ("127.0.0.1:9000", service.address.to_string()),
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
                     http {{\naccess_log off;\n{paths}{config}}}\n",
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

    /// Debian's Caddy, without its administration interface.
    #[track_caller]
    fn caddy() -> Self {
        Self::start(|login, service, socket| {
            let config = replaced(
                CADDY,
                &[
                    ("127.0.0.1:8080", login.address().to_string()),
                    ("127.0.0.1:9000", service.address.to_string()),
                    (
                        ":8000 {",
                        format!("http:// {{\n\tbind unix/{}", socket.display()),
                    ),
                ],
            );
            let config = format!("{{\n\tadmin off\n\tauto_https off\n}}\n{config}");
            login.place.write("Caddyfile", config);
            Command::new("caddy")
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
    fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let stream = UnixStream::connect(&self.socket).unwrap();
        let mut connection = Connection::over(stream).unchecked();
        connection.send(bytes);
        connection.answer()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example addresses of a file in `deploy/`, each of which must be there, replaced by real ones.
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

fn authorization(token: &str) -> String {
    format!("Token {token}")
}

#[track_caller]
fn guards(proxy: &Proxy) {
    let token = authorization(JWEIRS_TOKEN);
    let token = ("Authorization", token.as_str());

    let answer = proxy.send(request("GET", "/orders/?page=2", &[token], ""));
    assert_eq!(
        (answer.status, answer.text()),
        (200, "guarded"),
        "{answer:?}"
    );
    let reached = proxy.service.reached();
    assert!(
        reached.head[0].starts_with("get /orders/?page=2 "),
        "{reached:?}"
    );
    for (name, value) in [
        ("x-auth-user", JWEIRS_UUID),
        ("x-auth-org", "e7409ece-e923-4aa8-a41b-4aacb9e475be"),
        ("x-auth-org-type", "retailer"),
    ] {
        assert_eq!(reached.fields(name), [value], "{reached:?}");
    }
    assert_eq!(reached.fields("authorization"), [""; 0], "{reached:?}");

    let unknown = authorization("0000000000000000000000000000000000000000");
    let smuggled = ("X-Auth-User", JWEIRS_UUID);
    for (label, fields) in [
        ("no token", &[][..]),
        ("no token, a smuggled user", &[smuggled]),
        ("an unknown token", &[("Authorization", &unknown), smuggled]),
        ("another scheme", &[("Authorization", "Basic YTpi")]),
    ] {
        for (method, body) in [("GET", ""), ("POST", "a=b")] {
            let answer = proxy.send(request(method, "/orders/", fields, body));
            assert_eq!(answer.status, 401, "{label}: {answer:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Token"), "{label}");
            proxy.service.was_not_reached();
        }
    }

    let forged = [
        token,
        ("X-Auth-User", "somebody"),
        ("x-auth-user", "somebody"),
        ("X-Auth-Org", "somebody"),
        ("X-Auth-Org-Type", "SUPPLIER"),
        ("X_Auth_User", "somebody"),
    ];
    assert_eq!(proxy.send(request("GET", "/", &forged, "")).status, 200);
    let reached = proxy.service.reached();
    assert_eq!(reached.fields("x-auth-user"), [JWEIRS_UUID], "{reached:?}");
    assert_eq!(
        reached.fields("x-auth-org-type"),
        ["retailer"],
        "{reached:?}"
    );
    assert!(!reached.head.concat().contains("somebody"), "{reached:?}");

    for size in [1, 5000, 100_000] {
        let body = "b".repeat(size);
        let answer = proxy.send(request("POST", "/orders/", &[token], &body));
        assert_eq!(answer.status, 200, "{size}: {answer:?}");
        let reached = proxy.service.reached();
        assert!(reached.head[0].starts_with("post "), "{reached:?}");
        assert_eq!(reached.body.len(), size);
    }
    let chunked = [token, ("Transfer-Encoding", "chunked")];
    let mut bytes = request("POST", "/orders/", &chunked, "");
    bytes.extend(b"3\r\na=b\r\n0\r\n\r\n");
    assert_eq!(proxy.send(bytes).status, 200);
    assert_eq!(proxy.service.reached().body, b"a=b");

    let ended = proxy
        .login
        .login("supplier@projectthanos.com", "thanossupplies")
        .token();
    let ended_token = authorization(&ended);
    let fields = [("Authorization", ended_token.as_str())];
    assert_eq!(proxy.send(request("GET", "/", &fields, "")).status, 200);
    proxy.service.reached();
    proxy.login.send(super::call("POST", super::LOGOUT, &ended));
    assert_eq!(proxy.send(request("GET", "/", &fields, "")).status, 401);
    proxy.service.was_not_reached();
}

#[test]
#[ignore = "needs nginx"]
fn nginx_guards_a_service_by_auth_request() {
    guards(&Proxy::nginx());
}

#[test]
#[ignore = "needs nginx"]
fn nginx_keeps_its_question_to_itself() {
    let proxy = Proxy::nginx();
    let token = authorization(JWEIRS_TOKEN);
    let fields = [("Authorization", token.as_str())];
    let answer = proxy.send(request("GET", "/.token-verify", &fields, ""));
    assert_eq!(answer.status, 404, "{answer:?}");
    proxy.service.was_not_reached();
}

#[test]
#[ignore = "needs nginx"]
fn nginx_asks_with_the_token_alone_however_large_the_rest_is() {
    let proxy = Proxy::nginx();
    let (token, large) = (authorization(JWEIRS_TOKEN), "c".repeat(6000));
    let fields = [
        ("Authorization", token.as_str()),
        ("Cookie", &large),
        ("X-Large-1", &large),
        ("X-Large-2", &large),
    ];
    let answer = proxy.send(request("GET", "/orders/", &fields, ""));
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(proxy.service.reached().fields("cookie"), [large]);
}

#[test]
#[ignore = "needs caddy"]
fn caddy_guards_a_service_by_forward_auth() {
    guards(&Proxy::caddy());
}

#[test]
fn each_file_names_every_header_that_the_service_gets() {
    for name in ["X-Auth-User", "X-Auth-Org", "X-Auth-Org-Type"] {
        assert!(
            NGINX.contains(&format!("proxy_set_header {name} $")),
            "{name}"
        );
        assert!(CADDY.contains(name), "{name}");
    }
}
