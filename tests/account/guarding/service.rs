//! A guarded service that keeps each request unchanged.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// A service that answers every request and returns what it received.
pub(super) struct Service {
    pub(super) address: SocketAddr,
    reached: Receiver<Reached>,
}

/// A request that reached the service.
#[derive(Debug)]
pub(super) struct Reached {
    /// The request line and the header fields, in lower case.
    pub(super) head: Vec<String>,
    pub(super) body: Vec<u8>,
}

impl Service {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, reached) = mpsc::channel();
        thread::spawn(move || {
            for stream in listener.incoming() {
                // Nothing receives once the test is over.
                if sender.send(Reached::read(&stream.unwrap())).is_err() {
                    return;
                }
            }
        });
        Self { address, reached }
    }

    #[track_caller]
    pub(super) fn reached(&self) -> Reached {
        self.reached.recv_timeout(crate::harness::DEADLINE).unwrap()
    }

    #[track_caller]
    pub(super) fn was_not_reached(&self) {
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

    pub(super) fn fields(&self, name: &str) -> Vec<&str> {
        let fields = self.head.iter().filter_map(|line| line.split_once(':'));
        fields
            .filter(|(given, _)| *given == name)
            .map(|(_, value)| value.trim())
            .collect()
    }
}
