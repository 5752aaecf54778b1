//! The whole gate, with a small tiny_http server behind it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::*;

const FIELDS: &[(&str, &str)] = &[("Content-Type", "application/json")];

/// Answers `METHOD target [peer] body`, and a few paths in ways of their own.
struct Server {
    gate: Gate,
    tiny: Arc<tiny_http::Server>,
    receivers: Vec<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start(limits: Limits) -> Server {
        Server::start_with(limits, |config| config)
    }

    fn start_with(limits: Limits, change: impl FnOnce(Config) -> Config) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let upstream = directory.path().join("tiny.sock");
        let tiny = Arc::new(tiny_http::Server::http_unix(&upstream).unwrap());
        let receivers = (0..2).map(|_| {
            let tiny = Arc::clone(&tiny);
            thread::spawn(move || {
                while let Ok(request) = tiny.recv() {
                    thread::spawn(move || answer(request));
                }
            })
        });
        let receivers = receivers.collect();
        let config = Config {
            listen: vec!["127.0.0.1:0".parse().unwrap()],
            limits,
            tls: None,
            upstream,
            forward: Forward::Only(&["Content-Type", "Host"]),
            prompt: Prompt::new(|_, target| target.starts_with("/prompt")),
            answer_fields: FIELDS,
            reserved_descriptors: 0,
        };
        Server {
            gate: Gate::start(change(config)).unwrap(),
            tiny,
            receivers,
            _directory: directory,
        }
    }

    fn connect(&self) -> TcpStream {
        let Address::Tcp(address) = self.gate.addresses()[0].address else {
            panic!("bound to TCP");
        };
        let stream = TcpStream::connect(address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Sends bytes on a connection of their own, and reads until the gate closes.
    fn talk(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        read_to_end(&mut stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.gate.stop(Duration::ZERO);
        for _ in &self.receivers {
            self.tiny.unblock();
        }
        for receiver in self.receivers.drain(..) {
            receiver.join().unwrap();
        }
    }
}

fn answer(mut request: tiny_http::Request) {
    let mut body = String::new();
    request.as_reader().read_to_string(&mut body).unwrap();
    let field = |name: &'static str| {
        let mut fields = request.headers().iter();
        let field = fields.find(|header| header.field.equiv(name));
        field.map_or(String::new(), |header| header.value.to_string())
    };
    let status = match request.url() {
        _ if !field(WARM_UP).is_empty() => 204,
        "/none" => 204,
        "/long" => {
            // Longer than what any buffer on the way holds.
            let body = long_body();
            let response = tiny_http::Response::from_data(body).with_chunked_threshold(usize::MAX);
            // A client that goes away before the end is one of the cases.
            let _ = request.respond(response);
            return;
        }
        "/garbage" => {
            let mut writer = request.into_writer();
            writer.write_all(b"garbage\r\n\r\n").unwrap();
            writer.flush().unwrap();
            return;
        }
        url => {
            if let Some(milliseconds) = url.strip_prefix("/slow/") {
                thread::sleep(Duration::from_millis(milliseconds.parse().unwrap()));
            }
            200
        }
    };
    let text = format!(
        "{} {} [{}] {}{body}",
        request.method(),
        request.url(),
        field(PEER),
        field(BODY_TOO_LARGE)
    );
    let response = tiny_http::Response::from_string(text)
        .with_status_code(status)
        .with_chunked_threshold(usize::MAX);
    let _ = request.respond(response);
}

fn long_body() -> Vec<u8> {
    (0..10_000_000_u32)
        .map(|number| b'a' + (number % 23) as u8)
        .collect()
}

fn read_to_end(stream: &mut impl Read) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn read_head(stream: &mut impl Read) -> String {
    let mut reader = BufReader::with_capacity(1, stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(
            reader.read_line(&mut head).unwrap(),
            0,
            "the answer is cut: {head}"
        );
    }
    head
}

/// Reads one answer with a length.
fn read_answer(stream: &mut impl Read) -> (String, String) {
    let head = read_head(stream);
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    (head, String::from_utf8(body).unwrap())
}

fn status(answer: &str) -> u16 {
    answer
        .get(9..12)
        .and_then(|code| code.parse().ok())
        .unwrap_or(0)
}

fn quick() -> Limits {
    Limits {
        request_timeout: Duration::from_millis(300),
        write_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(300),
        ..Limits::default()
    }
}

const CLOSE: &str = "Host: a\r\nConnection: close\r\n";

#[test]
fn a_request_is_answered_with_what_the_server_said() {
    let server = Server::start(Limits::default());
    let answer = server.talk(format!(
        "POST /a?b HTTP/1.1\r\n{CLOSE}Content-Length: 5\r\n\r\nhello"
    ));
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.ends_with("Connection: close"), "{head}");
    assert!(!head.contains("tiny"), "{head}");
    assert_eq!(body, "POST /a?b [127.0.0.1] hello");
}

#[test]
fn bodies_arrive_whole_in_every_framing() {
    let server = Server::start(Limits::default());
    let large = "x".repeat(16 * 1024);
    for (framed, body) in [
        ("\r\n".to_owned(), ""),
        ("Content-Length: 0\r\n\r\n".to_owned(), ""),
        (
            "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;a=b\r\nllo\r\n0\r\nT: u\r\n\r\n"
                .to_owned(),
            "hello",
        ),
        (format!("Content-Length: 16384\r\n\r\n{large}"), &large),
        (
            format!("Transfer-Encoding: chunked\r\n\r\n4000\r\n{large}\r\n0\r\n\r\n"),
            &large,
        ),
    ] {
        let answer = server.talk(format!("POST / HTTP/1.1\r\n{CLOSE}{framed}"));
        assert_eq!(
            answer.split_once("\r\n\r\n").unwrap().1,
            format!("POST / [127.0.0.1] {body}")
        );
    }
}

#[test]
fn a_body_over_the_limit_is_the_servers_to_refuse() {
    let server = Server::start(Limits::default());
    for framed in [
        "Content-Length: 16385\r\n\r\nbegun",
        "Content-Length: 99999999999999\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4001\r\n",
        "Expect: 100-continue\r\nContent-Length: 16385\r\n\r\n",
    ] {
        let answer = server.talk(format!("POST / HTTP/1.1\r\nHost: a\r\n{framed}"));
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
        assert!(answer.ends_with("POST / [127.0.0.1] 16384"), "{answer}");
        assert!(!answer.contains("100 Continue"), "{answer}");
    }
}

#[test]
fn a_client_that_waits_is_told_to_continue() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect();
    write!(
        stream,
        "POST / HTTP/1.1\r\n{CLOSE}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    )
    .unwrap();
    let mut told = [0; 25];
    stream.read_exact(&mut told).unwrap();
    assert_eq!(&told, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"hi").unwrap();
    assert!(read_to_end(&mut stream).ends_with(" hi"));
    // HTTP/1.0 has no such thing, and a body on its way needs no invitation.
    for version in ["1.0", "1.1"] {
        let answer = server.talk(format!(
            "POST / HTTP/{version}\r\n{CLOSE}Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"
        ));
        assert_eq!(status(&answer), 200, "{answer}");
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let server = Server::start(Limits::default());
    let slow = "GET /slow/100 HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let head = "HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = format!("GET /last HTTP/1.1\r\n{CLOSE}\r\nnot read as a request\r\n\r\n");
    let answers = server.talk(format!("{slow}{post}\r\n{head}{last}"));
    let bodies = [
        "\r\n\r\nGET /slow/100 [127.0.0.1] HTTP/1.1 200",
        "\r\n\r\nPOST /p [127.0.0.1] abcHTTP/1.1 200",
        // HEAD has the length of what GET would have, and no body.
        "Content-Length: 20\r\n\r\nHTTP/1.1 200",
        "\r\n\r\nGET /last [127.0.0.1] ",
    ];
    let places: Vec<_> = bodies.iter().map(|body| answers.find(body)).collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{answers}"
    );
    assert_eq!(answers.matches("HTTP/1.1 ").count(), 4, "{answers}");
}

#[test]
fn http_1_0_closes_unless_asked_not_to() {
    let server = Server::start(Limits::default());
    let answer = server.talk("GET /a HTTP/1.0\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    let mut stream = server.connect();
    for _ in 0..2 {
        stream
            .write_all(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .unwrap();
        let (head, _) = read_answer(&mut stream);
        assert!(head.contains("\r\nConnection: keep-alive\r\n"), "{head}");
    }
}

#[test]
fn no_content_has_no_length() {
    let server = Server::start(Limits::default());
    let answer = server.talk(format!("GET /none HTTP/1.1\r\n{CLOSE}\r\n"));
    assert!(
        answer.starts_with("HTTP/1.1 204 No Content\r\n"),
        "{answer}"
    );
    assert!(!answer.contains("Content-Length"), "{answer}");
}

#[test]
fn each_refusal_is_json_that_arrives_and_ends_the_connection() {
    let server = Server::start(Limits::default());
    for (expected, request) in [
        (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (400, "GET / HTTP/1.1\nHost: a\n\n".to_owned()),
        (400, "\u{16}\u{3}\u{1}".to_owned()),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello".to_owned()),
        (400, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;\r\nhello\r\n0\r\n\r\n".to_owned()),
        (417, "GET / HTTP/1.1\r\nHost: a\r\nExpect: b\r\n\r\n".to_owned()),
        (501, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n".to_owned()),
        (505, "GET / HTTP/3.0\r\nHost: a\r\n\r\n".to_owned()),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(4 << 20))),
        (431, format!("GET / HTTP/1.1\r\nHost: a\r\n{}", "X: x\r\n".repeat(100_000))),
    ] {
        let answer = server.talk(format!("{request}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(answer.contains("\r\nContent-Type: application/json\r\n"), "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n\r\n{\"detail\":\""), "{answer}");
        assert_eq!(answer.matches("\r\nDate: ").count(), 1, "{answer}");
    }
}

#[test]
fn a_slow_request_is_408_however_its_bytes_drip() {
    let server = Server::start(quick());
    for request in [
        "GET / HTTP/1.1\r\nHost: ",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n",
    ] {
        let mut stream = server.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let dripping = stream.try_clone().unwrap();
        let drip = thread::spawn(move || {
            while (&dripping).write_all(b"a").is_ok() {
                thread::sleep(Duration::from_millis(20));
            }
        });
        let begun = Instant::now();
        let answer = read_answer(&mut stream).0;
        assert_eq!(status(&answer), 408, "{answer}");
        assert!(begun.elapsed() < Duration::from_secs(3));
        stream.shutdown(Shutdown::Both).unwrap();
        drip.join().unwrap();
    }
}

#[test]
fn an_idle_client_is_left_without_a_word() {
    let server = Server::start(quick());
    assert_eq!(server.talk(""), "");
    let mut stream = server.connect();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    read_answer(&mut stream);
    assert_eq!(read_to_end(&mut stream), "");
}

#[test]
fn a_full_gate_lets_the_silent_give_way() {
    let limits = Limits {
        max_connections: 8,
        ..Limits::default()
    };
    let server = Server::start(limits);
    let mut silent: Vec<_> = (0..8).map(|_| server.connect()).collect();
    silent[0].write_all(b"GET / HT").unwrap();
    // Time for the gate to read it.
    thread::sleep(Duration::from_millis(100));
    let answer = server.talk(format!("GET / HTTP/1.1\r\n{CLOSE}\r\n"));
    assert_eq!(status(&answer), 200);
    // The one that came first had begun a request, so it is told; the others are left alone.
    assert_eq!(status(&read_to_end(&mut silent[0])), 408);
    write!(silent[1], "GET / HTTP/1.1\r\n{CLOSE}\r\n").unwrap();
    assert_eq!(status(&read_to_end(&mut silent[1])), 200);
}

#[test]
fn a_burst_of_clients_is_answered_while_all_stay_open() {
    let server = Server::start(Limits::default());
    let mut streams: Vec<_> = (0..200).map(|_| server.connect()).collect();
    for stream in &mut streams {
        stream
            .write_all(b"GET /slow/50 HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
    }
    for stream in &mut streams {
        assert_eq!(status(&read_answer(stream).0), 200);
    }
}

#[test]
fn an_answer_that_is_none_is_500_and_the_next_request_works() {
    let server = Server::start(Limits::default());
    for _ in 0..3 {
        let answer = server.talk(format!("GET /garbage HTTP/1.1\r\n{CLOSE}\r\n"));
        assert_eq!(status(&answer), 500, "{answer}");
        let answer = server.talk(format!("GET / HTTP/1.1\r\n{CLOSE}\r\n"));
        assert_eq!(status(&answer), 200, "{answer}");
    }
}

#[test]
fn a_long_answer_is_relayed_whole_and_the_connection_is_kept() {
    let server = Server::start(Limits::default());
    let mut stream = server.connect();
    for request in [
        "GET /long HTTP/1.1\r\nHost: a\r\n\r\n",
        "HEAD /long HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        stream.write_all(request.repeat(2).as_bytes()).unwrap();
        for _ in 0..2 {
            let (head, body) = if request.starts_with("HEAD") {
                (read_head(&mut stream), String::new())
            } else {
                read_answer(&mut stream)
            };
            assert!(head.contains("\r\nContent-Length: 10000000\r\n"), "{head}");
            assert!(body.is_empty() || body.as_bytes() == long_body());
        }
    }
}

#[test]
fn a_server_that_breaks_off_a_long_answer_breaks_the_connection() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = directory.path().join("cutting.sock");
    let cutting = UnixListener::bind(&upstream).unwrap();
    let server = Server::start_with(Limits::default(), |config| Config { upstream, ..config });
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2 {
                let (mut stream, _) = cutting.accept().unwrap();
                read_head(&mut stream);
                stream
                    .write_all(b"HTTP/1.1 204 No Content\r\n\r\n")
                    .unwrap();
                read_head(&mut stream);
                let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
                stream.write_all(head).unwrap();
                stream.write_all(&long_body()[..500_000]).unwrap();
            }
        });
        for _ in 0..2 {
            let answer = server.talk("GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with("\r\nContent-Length: 1000000"), "{head}");
            assert_eq!(body.as_bytes(), &long_body()[..500_000]);
        }
    });
}

#[test]
fn a_client_that_goes_away_within_a_long_answer_frees_its_place() {
    let server = Server::start(Limits::default());
    for _ in 0..8 {
        let mut stream = server.connect();
        stream
            .write_all(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        read_head(&mut stream);
    }
    let begun = Instant::now();
    while server.gate.connections() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(20));
        thread::yield_now();
    }
    let answer = server.talk(format!("GET / HTTP/1.1\r\n{CLOSE}\r\n"));
    assert_eq!(status(&answer), 200);
}

#[test]
fn without_a_server_the_answer_is_503() {
    let server = Server::start_with(Limits::default(), |config| Config {
        upstream: "/nonexistent/tiny.sock".into(),
        ..config
    });
    let answer = server.talk(format!("GET / HTTP/1.1\r\n{CLOSE}\r\n"));
    assert_eq!(status(&answer), 503, "{answer}");
    assert!(answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
}

#[test]
fn stopping_answers_what_has_begun_and_leaves_the_idle() {
    let server = Server::start(Limits::default());
    let mut idle = server.connect();
    let mut kept = server.connect();
    kept.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    read_answer(&mut kept);
    let mut answering = server.connect();
    answering
        .write_all(b"GET /slow/400 HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut half = server.connect();
    half.write_all(b"GET /half HTTP/1.1\r\nHo").unwrap();
    thread::sleep(Duration::from_millis(200));
    let late = thread::spawn(move || {
        thread::sleep(Duration::from_millis(200));
        half.write_all(b"st: a\r\n\r\n").unwrap();
        read_to_end(&mut half)
    });
    let begun = Instant::now();
    assert!(server.gate.stop(Duration::from_secs(10)));
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(read_to_end(&mut idle), "");
    assert_eq!(read_to_end(&mut kept), "");
    for answer in [read_to_end(&mut answering), late.join().unwrap()] {
        assert_eq!(status(&answer), 200, "{answer}");
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
}

#[test]
fn a_request_that_began_over_a_socket_file_just_before_the_stop_is_answered() {
    for _ in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("public.sock");
        let server = Server::start_with(Limits::default(), |config| Config {
            listen: vec![Address::Unix(path.clone())],
            ..config
        });
        let mut stream = UnixStream::connect(&path).unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        read_answer(&mut stream);
        thread::scope(|scope| {
            stream.write_all(b"GET / HTTP/1.1\r\n").unwrap();
            let stopped = scope.spawn(|| server.gate.stop(Duration::from_secs(10)));
            // The file goes when nothing more is accepted.
            while path.exists() {
                thread::yield_now();
            }
            for byte in b"Host: a\r\n\r\n" {
                thread::yield_now();
                stream.write_all(&[*byte]).unwrap();
            }
            assert_eq!(status(&read_to_end(&mut stream)), 200);
            assert!(stopped.join().unwrap());
        });
    }
}

#[test]
fn a_socket_file_and_ipv6_are_listened_on_beside_tcp() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("public.sock");
    let server = Server::start_with(Limits::default(), |config| Config {
        listen: vec![
            "[::1]:0".parse().unwrap(),
            Address::Unix(path.clone()),
            "127.0.0.1:0".parse().unwrap(),
        ],
        ..config
    });
    let request = format!("GET / HTTP/1.1\r\n{CLOSE}\r\n");
    assert!(server.talk(&request).ends_with("GET / [::1] "));
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    assert!(read_to_end(&mut stream).ends_with("GET / [unix] "));
    drop(server);
    assert!(!path.exists());
}

/// Serves `localhost` under an authority in `directory`.
fn tls_server(directory: &std::path::Path) -> Server {
    let tls = Tls::SelfSigned {
        ca_certificate: directory.join("ca.pem"),
        ca_key: directory.join("ca.key"),
        names: vec!["localhost".to_owned()],
    };
    Server::start_with(quick(), |config| Config {
        tls: Some(tls),
        ..config
    })
}

/// A client that trusts the authority in `directory`, and speaks these versions.
fn tls_client(
    directory: &std::path::Path,
    stream: TcpStream,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> rustls::StreamOwned<rustls::ClientConnection, TcpStream> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in tls::read_certificates(&directory.join("ca.pem")).unwrap() {
        roots.add(certificate).unwrap();
    }
    let config = rustls::ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    rustls::StreamOwned::new(connection, stream)
}

#[test]
fn tls_1_2_and_1_3_carry_requests() {
    let directory = tempfile::tempdir().unwrap();
    let server = tls_server(directory.path());
    assert!(
        server.gate.addresses()[0]
            .to_string()
            .starts_with("https://")
    );
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut stream = tls_client(directory.path(), server.connect(), &[version]);
        let body = "x".repeat(16 * 1024);
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        assert!(read_answer(&mut stream).1.ends_with(&body));
        write!(stream, "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").unwrap();
        // Ends with TLS's own farewell, or reading would fail.
        assert_eq!(status(&read_to_end(&mut stream)), 400);
    }
}

#[test]
fn a_silent_or_clumsy_tls_client_holds_nobody_up() {
    let directory = tempfile::tempdir().unwrap();
    let server = tls_server(directory.path());
    let mut silent = server.connect();
    let mut dripping = server.connect();
    dripping.write_all(&[22]).unwrap();
    assert_eq!(status(&server.talk("GET / HTTP/1.1\r\nHost: a\r\n\r\n")), 0);
    let mut stream = tls_client(directory.path(), server.connect(), rustls::ALL_VERSIONS);
    write!(stream, "GET / HTTP/1.1\r\n{CLOSE}\r\n").unwrap();
    assert_eq!(status(&read_to_end(&mut stream)), 200);
    for stream in [&mut silent, &mut dripping] {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
    }
}

#[test]
fn a_certificate_is_read_again_and_the_old_one_kept_when_it_is_bad() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let make = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        std::fs::write(path("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        std::fs::write(path("key.pem"), key.serialize_pem()).unwrap();
    };
    make();
    let server = Server::start_with(Limits::default(), |config| Config {
        tls: Some(Tls::Files {
            certificate: path("ca.pem"),
            key: path("key.pem"),
        }),
        ..config
    });
    let shown = || {
        let mut stream = tls_client(directory.path(), server.connect(), rustls::ALL_VERSIONS);
        let sent = write!(stream, "GET / HTTP/1.1\r\n{CLOSE}\r\n");
        sent.and_then(|()| stream.read_to_end(&mut Vec::new()))
            .is_ok()
    };
    assert!(shown());
    make();
    assert!(
        !shown(),
        "the client trusts what the server does not show yet"
    );
    server.gate.reload_tls().unwrap();
    assert!(shown());
    std::fs::write(path("key.pem"), "no key").unwrap();
    let error = server.gate.reload_tls().unwrap_err();
    assert!(error.to_string().contains("key.pem"), "{error}");
    assert!(shown());
}
