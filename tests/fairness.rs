//! Logins of one client network, or of one user in it, do not use up what others need.
//!
//! Observed by the order of answers, with so many logins in progress that no machine completes them all meanwhile.

use std::ops::Range;

use serde_json::json;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, Connection, JSON, LOGIN, Lock, Place, Server, login_body, request};

const OTHER: &str = "other@projectthanos.com";

/// Trusts the test as a proxy, so that it can name the client address of a login.
const PROXY: [&str; 2] = ["--trusted-proxy", "127.0.0.1/32"];

/// A server that hashes one password after the other: it has one thread with one lane.
fn serve_slowly() -> Server {
    let hash = bcrypt::hash(PASSWORD, 10).unwrap();
    let users = [JWEIR, OTHER].map(|name| json!({"username": name, "password_hash": hash}));
    // The cost of the server is that of the hash, so that nothing is rehashed.
    let flags = "--hash-threads 1 --hash-lanes 1 --bcrypt-cost 10";
    let flags: Vec<&str> = PROXY.into_iter().chain(flags.split(' ')).collect();
    Place::new().serve_demo(&accounts::retailer(users), &flags)
}

/// A server with a queue of eight logins, which stay in the queue until the lock is dropped.
fn serve_locked(flags: &[&str]) -> (Server, Lock) {
    let place = Place::seeded(&accounts::retailer([JWEIR, OTHER].map(accounts::user)));
    let common = [&PROXY[..], &["--metrics", "--hash-queue", "8"]].concat();
    let server = place.serve(&[&common, flags].concat());
    let lock = place.lock();
    (server, lock)
}

fn network(number: usize) -> String {
    format!("192.0.2.{number}")
}

/// Sends a login from a network and returns before the answer is read.
fn start_login(server: &Server, network: &str, username: &str) -> Connection {
    let mut connection = server.connect();
    let fields = [JSON, ("X-Forwarded-For", network)];
    let body = login_body(username, PASSWORD);
    connection.send(request("POST", LOGIN, &fields, body));
    connection
}

/// Sends `each` logins from each of the networks.
fn start_logins(server: &Server, networks: Range<usize>, each: usize) -> Vec<Connection> {
    let logins = (0..each)
        .flat_map(|_| networks.clone())
        .map(|number| start_login(server, &network(number), JWEIR))
        .collect();
    server.answers_something_else();
    logins
}

/// Sends `each` logins from each of the networks, and waits until a total of `in_progress` logins are in progress.
fn start_logins_until_in_progress(
    server: &Server,
    networks: Range<usize>,
    each: usize,
    in_progress: usize,
) -> Vec<Connection> {
    let logins = start_logins(server, networks, each);
    Server::wait_until_in_progress(in_progress, server.address());
    logins
}

fn count_answered(logins: &mut [Connection]) -> usize {
    let answered = logins.iter_mut().map(Connection::is_answered);
    answered.filter(|is_answered| *is_answered).count()
}

fn statuses(logins: &mut [Connection]) -> Vec<u16> {
    let answers = logins.iter_mut().map(Connection::answer);
    let mut statuses: Vec<u16> = answers.map(|answer: Answer| answer.status).collect();
    statuses.sort_unstable();
    statuses
}

#[test]
fn a_single_login_is_answered_while_those_of_busy_networks_wait() {
    for (label, networks, each) in [("one network", 1..2, 60), ("many networks", 1..21, 3)] {
        let server = serve_slowly();
        let mut greedy = start_logins(&server, networks, each);
        start_login(&server, &network(99), OTHER).answer().token();
        let answered = count_answered(&mut greedy);
        assert!(answered < 15, "{label}: {answered} of 60 came first");
    }
}

#[test]
fn networks_take_turns() {
    let server = serve_slowly();
    let mut greedy = start_logins(&server, 1..2, 60);
    let mut modest = start_logins(&server, 2..3, 5);
    assert_eq!(statuses(&mut modest), [200; 5]);
    let answered = count_answered(&mut greedy);
    assert!(answered < 30, "{answered} of 60 came first");
}

#[test]
fn users_of_one_network_take_turns() {
    let server = serve_slowly();
    let mut greedy = start_logins(&server, 1..2, 60);
    start_login(&server, &network(1), OTHER).answer().token();
    let answered = count_answered(&mut greedy);
    assert!(answered < 15, "{answered} of 60 came first");
}

#[test]
fn a_network_that_fills_the_queue_leaves_half_of_it_to_others() {
    let (server, lock) = serve_locked(&[]);
    let mut greedy = start_logins_until_in_progress(&server, 1..2, 10, 8);
    let mut others = start_logins_until_in_progress(&server, 2..3, 4, 12);
    others.extend(start_logins_until_in_progress(&server, 3..5, 1, 14));
    drop(lock);
    assert_eq!(statuses(&mut others), [200; 6]);
    assert_eq!(statuses(&mut greedy), [vec![200; 8], vec![503; 2]].concat());
}

#[test]
fn a_network_has_half_of_the_queue_beside_others() {
    let (server, lock) = serve_locked(&[]);
    let mut other = start_logins_until_in_progress(&server, 1..2, 1, 1);
    let mut greedy = start_logins_until_in_progress(&server, 2..3, 6, 5);
    drop(lock);
    assert_eq!(statuses(&mut greedy), [vec![200; 4], vec![503; 2]].concat());
    assert_eq!(statuses(&mut other), [200]);
}

#[test]
fn networks_that_fill_the_queue_together_do_not_block_one_without_a_login_in_it() {
    let (server, lock) = serve_locked(&[]);
    let mut greedy = start_logins_until_in_progress(&server, 1..5, 2, 8);
    let mut refused = start_logins(&server, 1..5, 1);
    assert_eq!(statuses(&mut refused), [503; 4]);
    let mut lone = start_login(&server, &network(99), OTHER);
    Server::wait_until_in_progress(9, server.address());
    drop(lock);
    lone.answer().token();
    assert_eq!(statuses(&mut greedy), [200; 8]);
}

#[test]
fn logins_that_wait_for_others_of_their_user_leave_half_of_the_queue_to_others() {
    let (server, lock) = serve_locked(&["--failed-logins-per-user", "1"]);
    let mut greedy = start_logins_until_in_progress(&server, 1..2, 8, 8);
    let mut others: Vec<Connection> = (2..6)
        .map(|number| start_login(&server, &network(number), OTHER))
        .collect();
    Server::wait_until_in_progress(12, server.address());
    drop(lock);
    assert_eq!(statuses(&mut others), [200; 4]);
    assert_eq!(statuses(&mut greedy), [200; 8]);
}
