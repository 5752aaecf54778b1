//! Tests of the whole gate, with a small tiny_http server behind it.

mod answers;
mod limits;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::net::{self, AddressFamily, SocketType};

use super::*;

const FIELDS: &[(&str, &str)] = &[("Content-Type", "application/json")];

/// A gate before a tiny_http server that answers 200 without a body, except for a few special paths.
struct Server {
    gate: Gate,
    tiny: Arc<tiny_http::Server>,
    receivers: Vec<JoinHandle<()>>,
    _directory: tempfile::TempDir,
}

impl Server {
    fn start(limits: GateLimits) -> Self {
        Self::start_with(limits, |config| config)
    }

    fn start_with(limits: GateLimits, change: impl FnOnce(Config) -> Config) -> Self {
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
            listeners: BoundListeners::bind(
                &["127.0.0.1:0".parse().unwrap()],
                SocketMode::default(),
                None,
            )
            .unwrap(),
            limits,
            network_grouping: NetworkGrouping::default(),
            backend: Arc::new(upstream),
            answer_timeout: Duration::from_secs(60),
            forward: Forward::Only(&["Content-Type", "Host"]),
            on_refusal: OnRefusal::new(|_| Vec::new()),
            on_delivery: Arc::new(|_, _| {}),
            answer_fields: FIELDS,
            reserved_descriptors: 0,
        };
        Self {
            gate: Gate::start(change(config)).unwrap(),
            tiny,
            receivers,
            _directory: directory,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// Connects with a small receive buffer, which is soon full.
    fn connect_small(&self) -> TcpStream {
        let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        net::sockopt::set_socket_recv_buffer_size(&socket, 1 << 16).unwrap();
        net::connect(&socket, &self.address()).unwrap();
        TcpStream::from(socket)
    }

    fn address(&self) -> SocketAddr {
        let Address::Tcp(address) = self.gate.addresses()[0].address else {
            panic!("bound to TCP");
        };
        address
    }

    /// Sends bytes on a new connection, and reads until the gate closes it.
    fn talk(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes.as_ref()).unwrap();
        read_to_end(&mut stream)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.gate.stop(Duration::ZERO, || {});
        for _ in &self.receivers {
            self.tiny.unblock();
        }
        for receiver in self.receivers.drain(..) {
            receiver.join().unwrap();
        }
    }
}

fn answer(request: tiny_http::Request) {
    let is_warm_up = request.headers().iter().any(|h| h.field.equiv(WARM_UP));
    let status = match request.url() {
        _ if is_warm_up => 204,
        "/none" => 204,
        "/numbered" | "/lost" => {
            let instructions: &[&str] = match request.url() {
                "/numbered" => &["X-Gate-Number: 7"],
                _ => &["X-Gate-Number: 8", "X-Gate-Fault: empty"],
            };
            let mut response = tiny_http::Response::empty(200);
            for instruction in instructions {
                response.add_header(instruction.parse::<tiny_http::Header>().unwrap());
            }
            let _ = request.respond(response);
            return;
        }
        "/long" => {
            // The body is larger than all buffers on the way together.
            let body = long_body();
            let response = tiny_http::Response::from_data(body).with_chunked_threshold(usize::MAX);
            // Fails if the client disconnects before the end, which one of the tests does.
            let _ = request.respond(response);
            return;
        }
        "/garbage" => {
            let mut writer = request.into_writer();
            writer.write_all(b"garbage\r\n\r\n").unwrap();
            writer.flush().unwrap();
            return;
        }
        _ => 200,
    };
    let _ = request.respond(tiny_http::Response::empty(status));
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

/// Reads one answer that has a Content-Length.
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

const CLOSE: &str = "Host: a\r\nConnection: close\r\n";
