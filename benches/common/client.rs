//! A client with one connection, which is kept open.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

pub const CALLS: &str = "/api/organizations";

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").into_bytes()
}

pub fn get_with_token(path: &str, token: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {token}\r\n\r\n")
        .into_bytes()
}

pub fn login(username: &str, password: &str) -> Vec<u8> {
    login_with("Host: localhost", username, password)
}

/// A login call with these header fields instead of `Host`.
pub fn login_with(fields: &str, username: &str, password: &str) -> Vec<u8> {
    let body = serde_json::json!({ "username": username, "password": password }).to_string();
    format!(
        "POST {CALLS}/user-login/ HTTP/1.1\r\n{fields}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len(),
    )
    .into_bytes()
}

pub struct Client<S = TcpStream> {
    stream: S,
    buffer: Vec<u8>,
    received: Vec<u8>,
}

impl Client {
    /// Connects and waits for a first answer: of many new connections at once, tiny_http leaves some without a thread.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self::over(stream);
        client.exchange(&get("/"));
        client
    }
}

impl<S: Read + Write> Client<S> {
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            buffer: vec![0; 64 * 1024],
            received: Vec::new(),
        }
    }

    /// Sends a request and returns the status of its answer once that is complete.
    pub fn exchange(&mut self, request: &[u8]) -> u16 {
        self.send(request);
        self.receive()
    }

    pub fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).unwrap();
    }

    pub fn receive(&mut self) -> u16 {
        self.received.clear();
        loop {
            let length = self.stream.read(&mut self.buffer).unwrap();
            assert!(length > 0, "the server closed the connection");
            self.received.extend_from_slice(&self.buffer[..length]);
            if let Some(status) = whole_answer(&self.received) {
                return status;
            }
        }
    }

    /// The last answer, head and body.
    pub fn received(&self) -> &str {
        std::str::from_utf8(&self.received).unwrap()
    }
}

/// The status of an answer; `None` until its head and its body have been received completely.
fn whole_answer(received: &[u8]) -> Option<u16> {
    let end_of_head = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&received[..end_of_head]).unwrap();
    let length: usize = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .map_or(0, |(_, value)| value.parse().unwrap());
    let status = head["HTTP/1.1 ".len()..][..3].parse().unwrap();
    (received.len() >= end_of_head + 4 + length).then_some(status)
}
