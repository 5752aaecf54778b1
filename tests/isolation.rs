//! Requests that wait for a hash do not block others.

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Connection, JSON, LOGIN, Place, login_body, request};

#[test]
fn beside_64_logins_in_flight_everything_cheap_is_answered_first() {
    // Hashing one after the other at the highest cost takes so long that a request which waited for it would run into the
    // deadline of the test.
    let one = ["--hash-threads", "1", "--hash-lanes", "1"];
    let flags = [&one[..], &["--hash-wait", "1h"]].concat();
    let server = Place::new().serve_demo(&accounts::slowest(), &flags);
    let mut logins = server.start_logins(64, JWEIR, PASSWORD);
    for (label, bytes, status) in [
        ("404", request("GET", "/nothing-here/", &[], ""), 404),
        ("405", request("GET", LOGIN, &[], ""), 405),
        ("415", request("POST", LOGIN, &[], "{}"), 415),
        ("400", request("POST", LOGIN, &[JSON], "{"), 400),
    ] {
        assert_eq!(server.send(bytes).status, status, "{label}");
    }
    assert!(!logins.iter_mut().all(Connection::is_answered));
}

#[test]
fn a_client_that_sends_nothing_blocks_nothing() {
    let server = Place::new().serve_demo(&accounts::slow(), &[]);
    let mut idle: Vec<_> = (0..64).map(|_| server.connect()).collect();
    for connection in &mut idle[..32] {
        connection.send("POST ");
    }
    server.login(JWEIR, PASSWORD).token();
    let bytes = request("POST", LOGIN, &[JSON], login_body(JWEIR, "wrong"));
    for connection in &mut idle[32..34] {
        connection.send(&bytes);
        assert_eq!(connection.answer().status, 401);
    }
}
