//! Tests of answers that are long, aborted, malformed or missing.

use std::path::PathBuf;

use super::*;

#[test]
fn a_malformed_answer_is_500_and_the_next_request_works() {
    let server = Server::start(GateLimits::default());
    for _ in 0..3 {
        let answer = server.talk(format!("GET /garbage HTTP/1.1\r\n{CLOSE}\r\n"));
        assert_eq!(status(&answer), 500, "{answer}");
        let answer = server.talk(format!("GET / HTTP/1.1\r\n{CLOSE}\r\n"));
        assert_eq!(status(&answer), 200, "{answer}");
    }
}

#[test]
fn a_long_answer_is_relayed_completely_and_the_connection_stays_open() {
    let server = Server::start(GateLimits::default());
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
fn if_the_server_aborts_a_long_answer_the_connection_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let upstream = directory.path().join("aborting.sock");
    let aborting = UnixListener::bind(&upstream).unwrap();
    let server = Server::start_with(GateLimits::default(), |config| Config {
        backend: Arc::new(upstream),
        ..config
    });
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..2 {
                let (mut stream, _) = aborting.accept().unwrap();
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
fn a_client_that_disconnects_during_a_long_answer_frees_its_slot() {
    let server = Server::start(GateLimits::default());
    for _ in 0..8 {
        let mut stream = server.connect();
        stream
            .write_all(b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n")
            .unwrap();
        read_head(&mut stream);
    }
    let start = Instant::now();
    while server.gate.connections() > 0 {
        assert!(start.elapsed() < Duration::from_secs(20));
        thread::yield_now();
    }
    let answer = server.talk(format!("GET / HTTP/1.1\r\n{CLOSE}\r\n"));
    assert_eq!(status(&answer), 200);
}

#[test]
fn without_a_server_the_answer_is_503_and_reported() {
    let (sender, reported) = std::sync::mpsc::channel();
    let server = Server::start_with(GateLimits::default(), |config| Config {
        backend: Arc::new(PathBuf::from("/nonexistent/tiny.sock")),
        forward: Forward::All,
        on_refusal: OnRefusal::new(move |refused| {
            let (method, target) = (refused.method.unwrap(), refused.target.as_deref().unwrap());
            let origin = refused
                .joined("origin")
                .map(|origin| String::from_utf8(origin).unwrap());
            let report = format!(
                "{} {method} {target} {} {origin:?}",
                refused.peer, refused.status
            );
            sender.send(report).unwrap();
            vec![("Vary", "Origin".to_owned())]
        }),
        ..config
    });
    let body = "Origin: http://a\r\nContent-Length: 15\r\n\r\nOrigin: secret\n";
    let answer = server.talk(format!("POST /a?b HTTP/1.1\r\n{CLOSE}{body}"));
    assert_eq!(status(&answer), 503, "{answer}");
    for line in ["Retry-After: 1", "Vary: Origin"] {
        assert!(answer.contains(&format!("\r\n{line}\r\n")), "{answer}");
    }
    let expected = "127.0.0.1 POST /a?b 503 Some(\"http://a\")";
    assert_eq!(reported.recv().unwrap(), expected);
}

#[test]
fn the_delivery_of_numbered_answers_is_reported() {
    let (sender, reported) = std::sync::mpsc::channel();
    let server = Server::start_with(GateLimits::default(), |config| Config {
        on_refusal: OnRefusal::new(|_| vec![(NUMBER, "9".to_owned())]),
        on_delivery: Arc::new(move |number, is_whole| sender.send((number, is_whole)).unwrap()),
        ..config
    });
    for (path, expected) in [
        ("/numbered", (7, true)),
        ("/lost", (8, false)),
        ("/b c", (9, true)),
    ] {
        let answer = server.talk(format!("GET {path} HTTP/1.1\r\n{CLOSE}\r\n"));
        assert!(!answer.to_ascii_lowercase().contains("x-gate"), "{answer}");
        assert_eq!(reported.recv().unwrap(), expected, "{path}");
    }
    server.talk(format!("GET / HTTP/1.1\r\n{CLOSE}\r\n"));
    assert!(
        reported.try_recv().is_err(),
        "an answer without a number is not reported"
    );
}
