//! A client that sends the bytes it is given and keeps the answer unchanged: letter case, order, framing.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;

use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use serde_json::{Value, json};

use super::sent_request::{SentRequest, UnansweredRequests};
use super::{DEADLINE, description};

/// The path of the login call.
pub const LOGIN: &str = "/api/organizations/user-login/";

/// The header field that the login call needs.
pub const JSON: (&str, &str) = ("Content-Type", "application/json");

pub fn login_body(username: &str, password: &str) -> String {
    json!({"username": username, "password": password}).to_string()
}

/// A request with `Host` and, if there is a body, its length.
pub fn request(
    method: &str,
    target: &str,
    fields: &[(&str, &str)],
    body: impl AsRef<[u8]>,
) -> Vec<u8> {
    let body = body.as_ref();
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    for (name, value) in fields {
        bytes.extend(format!("{name}: {value}\r\n").bytes());
    }
    if !body.is_empty() {
        bytes.extend(format!("Content-Length: {}\r\n", body.len()).bytes());
    }
    bytes.extend(b"\r\n");
    bytes.extend(body);
    bytes
}

trait Stream: Read + Write + Send {
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        TcpStream::set_nonblocking(self, nonblocking)
    }
}

impl Stream for UnixStream {
    fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        UnixStream::set_nonblocking(self, nonblocking)
    }
}

/// One connection, for any number of requests. Every answer is checked against the OpenAPI description.
pub struct Connection {
    stream: Box<dyn Stream>,
    /// Bytes that were received and not yet returned as part of an answer.
    received: Vec<u8>,
    /// `None` for a server that is not described by the OpenAPI description.
    unanswered: Option<UnansweredRequests>,
    /// The request that the last answer belongs to.
    sent_request: Option<SentRequest>,
}

impl Connection {
    pub fn to(address: SocketAddr) -> Self {
        Self::over_tcp(TcpStream::connect(address).unwrap())
    }

    /// Connects from the given address of this machine, with a receive buffer of about `receive_buffer` bytes.
    pub fn from(source: [u8; 4], address: SocketAddr, receive_buffer: usize) -> Self {
        // Programs that other tests start meanwhile must not inherit the socket.
        let (family, flags) = (AddressFamily::INET, SocketFlags::CLOEXEC);
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None).unwrap();
        sockopt::set_socket_recv_buffer_size(&socket, receive_buffer).unwrap();
        rustix::net::bind(&socket, &SocketAddr::from((source, 0))).unwrap();
        rustix::net::connect(&socket, &address).unwrap();
        Self::over_tcp(TcpStream::from(socket))
    }

    pub fn over_tcp(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self::on(stream)
    }

    pub fn over(stream: UnixStream) -> Self {
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Self::on(stream)
    }

    fn on(stream: impl Stream + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            received: Vec::new(),
            unanswered: Some(UnansweredRequests::default()),
            sent_request: None,
        }
    }

    /// Turns the check of answers off, for a server that is not described by the OpenAPI description.
    pub fn unchecked(mut self) -> Self {
        self.unanswered = None;
        self
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    /// Sends bytes on a connection that the server may already have closed.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        if let Some(unanswered) = &mut self.unanswered {
            unanswered.sent(bytes.as_ref());
        }
        self.stream.write_all(bytes.as_ref())
    }

    /// Reads the next answer.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        self.read_answer(false)
    }

    /// Reads the next answer, to a HEAD request: its head announces a body that does not follow.
    #[track_caller]
    pub fn answer_to_head(&mut self) -> Answer {
        self.read_answer(true)
    }

    /// Reads the next answer; `None` when the server closed or reset the connection instead.
    #[track_caller]
    pub fn answer_or_end(&mut self) -> Option<Answer> {
        if self.received.is_empty() && !self.receive() {
            return None;
        }
        Some(self.answer())
    }

    /// Waits until the server ends the connection, and discards what it still sends. Always true.
    #[track_caller]
    pub fn ends(&mut self) -> bool {
        while self.receive() {}
        true
    }

    /// Reads everything up to the end of the connection, whatever the bytes are.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<u8> {
        while self.receive() {}
        std::mem::take(&mut self.received)
    }

    /// Reads everything up to the end of the connection; `None` when it was reset instead of closed.
    pub fn rest_or_reset(&mut self) -> Option<Vec<u8>> {
        let mut rest = Vec::new();
        match self.stream.read_to_end(&mut rest) {
            Ok(_) => Some(rest),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => None,
            Err(error) => panic!("neither closed nor reset: {error}"),
        }
    }

    /// Whether the server has by now sent something or closed the connection. Does not wait.
    pub fn is_answered(&mut self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let mut byte = [0];
        let result = self.stream.read(&mut byte);
        self.stream.set_nonblocking(false).unwrap();
        match result {
            Err(error) if error.kind() == ErrorKind::WouldBlock => !self.received.is_empty(),
            Ok(count) => {
                self.received.extend(&byte[..count]);
                true
            }
            Err(_) => true,
        }
    }

    #[track_caller]
    fn read_answer(&mut self, to_head: bool) -> Answer {
        let head_end = loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                break end;
            }
            assert!(
                self.receive(),
                "closed in an answer's head: {:?}",
                self.received.escape_ascii().to_string()
            );
        };
        let head: Vec<u8> = self.received.drain(..head_end + 4).collect();
        let mut answer = Answer::from_head(std::str::from_utf8(&head).unwrap().trim_end());
        let length = match answer.header("content-length") {
            Some(length) if !to_head => length.parse().unwrap(),
            _ => 0,
        };
        while self.received.len() < length {
            assert!(self.receive(), "closed in the body of {answer:?}");
        }
        answer.body = self.received.drain(..length).collect();
        self.check(&answer);
        answer
    }

    #[track_caller]
    fn check(&mut self, answer: &Answer) {
        let is_final = answer.status >= 200;
        if let Some(unanswered) = self.unanswered.as_mut().filter(|_| is_final) {
            self.sent_request = unanswered.next();
            description::check(self.sent_request.as_ref(), answer);
        }
    }

    /// The entry of the OpenAPI description that the last answer matched.
    #[track_caller]
    pub fn described(&self, answer: &Answer) -> Option<description::Key> {
        description::key(self.sent_request.as_ref()?, answer)
    }

    /// Reads once; `false` at the end of the connection.
    #[track_caller]
    fn receive(&mut self) -> bool {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(count) => {
                self.received.extend(&bytes[..count]);
                count > 0
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            // A read with a deadline is not restarted by the kernel after the process was stopped and continued.
            Err(error) if error.kind() == ErrorKind::Interrupted => self.receive(),
            Err(error) => panic!("no answer: {error}"),
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// An HTTP response, unchanged.
#[derive(Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// In their order and letter case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    fn from_head(head: &str) -> Self {
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap();
        assert!(status_line.starts_with("HTTP/1."), "{status_line:?}");
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        Self {
            status: status_line[9..12].parse().unwrap(),
            headers,
            body: Vec::new(),
        }
    }

    /// The value of a header field, which must not occur twice.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self
            .headers
            .iter()
            .filter(|(given, _)| given.eq_ignore_ascii_case(name));
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} twice in {self:?}");
        value
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// The string at a key of the JSON body.
    #[track_caller]
    pub fn field(&self, key: &str) -> String {
        self.json()[key]
            .as_str()
            .unwrap_or_else(|| panic!("no {key} in {self:?}"))
            .to_owned()
    }

    /// The token of a login that must have succeeded.
    #[track_caller]
    pub fn token(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.field("auth_token")
    }

    /// A copy without one header field, for comparisons.
    pub fn without(&self, name: &str) -> Self {
        let mut rest = self.clone();
        rest.headers
            .retain(|(given, _)| !given.eq_ignore_ascii_case(name));
        rest
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?} {}",
            self.status,
            self.headers,
            self.body.escape_ascii()
        )
    }
}
