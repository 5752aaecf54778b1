//! Logging out: of one token, or of all tokens of a user.

use super::{JWEIRS_TOKEN, LOGOUT, LOGOUT_ALL, assert_ended, assert_good, call, log_in, one_user};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, Place, Server};

#[track_caller]
fn assert_done(answer: &Answer) {
    assert_eq!(answer.status, 204, "{answer:?}");
    for name in ["content-type", "content-length", "transfer-encoding"] {
        assert_eq!(answer.header(name), None, "{answer:?}");
    }
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

#[test]
fn logout_ends_the_presented_token_and_no_other() {
    let place = one_user();
    let server = place.serve(&[]);
    let (first, second) = (log_in(&server), log_in(&server));
    assert_done(&server.send(call("POST", LOGOUT, &first)));
    assert!(!place.holds_token(&first));
    assert_ended(&server, &first);
    assert_good(&server, &second);
}

#[test]
fn logout_all_ends_all_tokens_of_the_user_and_of_no_other_user() {
    let users = [accounts::user(JWEIR), accounts::user("zoe")];
    let place = Place::seeded(&accounts::retailer(users));
    let server = place.serve(&[]);
    let own: Vec<String> = (0..3).map(|_| log_in(&server)).collect();
    let others = server.login("zoe", PASSWORD).token();
    assert_done(&server.send(call("POST", LOGOUT_ALL, &own[1])));
    for token in &own {
        assert_ended(&server, token);
    }
    assert_eq!(place.tokens_of(JWEIR), 0);
    assert_good(&server, &others);
    let again = log_in(&server);
    assert_good(&server, &again);
}

#[test]
fn a_pinned_token_outlives_every_logout() {
    let server = Server::demo();
    for path in [LOGOUT, LOGOUT_ALL] {
        assert_done(&server.send(call("POST", path, JWEIRS_TOKEN)));
        assert_good(&server, JWEIRS_TOKEN);
    }
    assert_eq!(server.login(JWEIR, PASSWORD).token(), JWEIRS_TOKEN);
}

#[test]
fn a_logout_is_on_disk_when_it_is_answered() {
    let place = one_user();
    let server = place.serve(&[]);
    let token = log_in(&server);
    assert_done(&server.send(call("POST", LOGOUT, &token)));
    server.kill();
    let server = place.serve(&[]);
    assert_ended(&server, &token);
}

#[test]
fn a_logout_that_cannot_be_written_is_answered_503_and_ends_nothing() {
    let place = one_user();
    let server = place.serve(&[]);
    let token = log_in(&server);
    let lock = place.lock();
    let mut connections = [server.connect(), server.connect()];
    for (connection, path) in connections.iter_mut().zip([LOGOUT, LOGOUT_ALL]) {
        connection.send(call("POST", path, &token));
    }
    // Neither logout blocks a call that writes nothing.
    assert_good(&server, &token);
    for connection in &mut connections {
        let answer = connection.answer();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    drop(lock);
    assert_good(&server, &token);
}
