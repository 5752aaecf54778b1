//! Refusals, deadlines, slow readers and places.

use super::*;

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
fn a_full_gate_evicts_the_silent() {
    let limits = Limits {
        max_connections: 8,
        max_connections_per_client: Some(0),
        ..Limits::default()
    };
    let server = Server::start(limits);
    let mut silent: Vec<_> = (0..8).map(|_| server.connect()).collect();
    silent[0].write_all(b"GET / HT").unwrap();
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

/// However short its pauses are.
#[test]
fn a_client_that_reads_more_slowly_than_the_least_rate_is_closed() {
    let server = Server::start(Limits {
        write_timeout: Duration::from_millis(100),
        min_write_rate: u32::MAX,
        ..Limits::default()
    });
    let mut stream = server.connect_small();
    write!(stream, "GET /long HTTP/1.1\r\n{CLOSE}\r\n").unwrap();
    let (mut piece, mut received) = (vec![0; 32 * 1024], 0);
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        received += count;
        thread::sleep(Duration::from_millis(1));
    }
    assert!(received < long_body().len(), "{received}");
}

#[test]
fn a_stop_cuts_off_slow_readers_within_its_time_and_answers_the_others() {
    let server = Server::start(Limits::default());
    let mut slow = server.connect_small();
    write!(slow, "GET /long HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_head(&mut slow);
    let mut other = server.connect();
    write!(other, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_answer(&mut other);
    write!(other, "GET /slow/300 HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    thread::scope(|scope| {
        let stopped = scope.spawn(|| server.gate.stop(Duration::from_secs(2)));
        assert_eq!(status(&read_answer(&mut other).0), 200);
        assert!(!stopped.join().unwrap());
    });
    assert_eq!(server.gate.connections(), 0);
}
