//! Stopping, and where the gate listens.

use std::os::unix::net::UnixStream;

use super::*;

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
    assert!(server.gate.stop(Duration::from_secs(10)));
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
