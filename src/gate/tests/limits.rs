//! Tests with clients that read slowly.

use super::*;

/// The client is closed although each of its pauses is short.
#[test]
fn a_client_that_reads_below_the_minimum_rate_is_closed() {
    let server = Server::start(GateLimits {
        write_timeout: Duration::from_millis(100),
        min_write_rate: u32::MAX,
        ..GateLimits::default()
    });
    let mut stream = server.connect_small();
    write!(stream, "GET /long HTTP/1.1\r\n{CLOSE}\r\n").unwrap();
    // Ten million system calls take longer than the gate waits.
    let (mut byte, mut received) = ([0], 0);
    while let Ok(1) = stream.read(&mut byte) {
        received += 1;
    }
    assert!(received < long_body().len(), "{received}");
}

#[test]
fn a_stop_closes_slow_readers_when_the_grace_period_is_over() {
    let server = Server::start(GateLimits::default());
    let mut slow = server.connect_small();
    write!(slow, "GET /long HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    read_head(&mut slow);
    assert!(!server.gate.stop(Duration::from_millis(100), || {}));
    // The connection's thread may not have noticed it yet.
    while server.gate.connections() > 0 {
        thread::yield_now();
    }
}
