//! What waits for a hash holds nothing else up.

use serde_json::json;

use crate::harness::accounts::{self, JWEIR, PASSWORD, SLOW_HASH};
use crate::harness::{Connection, JSON, LOGIN, Place, login_body, request};

#[test]
fn beside_64_logins_in_flight_everything_cheap_is_answered_first() {
    // So much hashing that none is over, also on a busy machine.
    let hash = SLOW_HASH.replace("$12$", "$15$");
    let accounts = accounts::retailer([json!({"username": JWEIR, "password_hash": hash})]);
    let server = Place::new().serve_demo(&accounts, &[]);
    let mut logins = server.begin_logins(64, JWEIR, PASSWORD);
    for (label, bytes, status) in [
        ("404", request("GET", "/nothing-here/", &[], ""), 404),
        ("405", request("GET", LOGIN, &[], ""), 405),
        ("415", request("POST", LOGIN, &[], "{}"), 415),
        ("400", request("POST", LOGIN, &[JSON], "{"), 400),
    ] {
        assert_eq!(server.send(bytes).status, status, "{label}");
    }
    let answered = logins
        .iter_mut()
        .map(Connection::is_answered)
        .filter(|answered| *answered)
        .count();
    assert_eq!(answered, 0, "logins were answered first");
}

#[test]
fn a_client_that_sends_nothing_holds_nothing_up() {
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
