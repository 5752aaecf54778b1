//! Login servers on one PostgreSQL database.

mod accounts;
mod address;
mod away;
mod deploy;
mod failover;
pub mod network;
mod opening;
mod secrets;
mod server;
mod several;
mod throttle;
mod tls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::account::assert_good;
use crate::harness::accounts::{JWEIR, PASSWORD, retailer, user};
use crate::harness::postgres::PostgresServer;
use crate::harness::{Answer, Place, Server};

/// Loads the accounts of a fixture into the database at `url`; returns the directory that was used.
#[track_caller]
fn seeded(url: &str, fixture: &serde_json::Value) -> Place {
    let place = Place::new();
    place.write("accounts.json", fixture.to_string());
    let seed = ["seed", "accounts.json", "--bcrypt-cost", "10", "--db", url];
    place.run(&seed).succeeded();
    place
}

/// Starts a login server on a database, with the lowest hashing cost that is allowed.
#[track_caller]
fn serve(place: &Place, url: &str, flags: &[&str]) -> Server {
    place.serve(&[&["--db", url], flags].concat())
}

/// Logs in repeatedly from several threads until `meanwhile` is done; returns the tokens that were answered. Each answer
/// must be a 200 or a 503.
#[track_caller]
fn tokens_of_logins_during(server: &Server, meanwhile: impl FnOnce()) -> Vec<String> {
    let is_done = AtomicBool::new(false);
    let log_in_until_done = || {
        let mut tokens = Vec::new();
        while !is_done.load(Ordering::Relaxed) {
            let answer = server.login(JWEIR, PASSWORD);
            match answer.status {
                200 => tokens.push(answer.token()),
                _ => assert_unavailable(&answer),
            }
        }
        tokens
    };
    thread::scope(|scope| {
        let clients = [(); 8].map(|()| scope.spawn(log_in_until_done));
        meanwhile();
        is_done.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .flat_map(|client| client.join().unwrap())
            .collect()
    })
}

#[track_caller]
fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_token_of_one_server_is_good_for_another() {
    let postgres = PostgresServer::start(&[]);
    let url = postgres.create("accounts");
    let place = seeded(&url, &retailer([user(JWEIR)]));
    let servers = [(); 2].map(|()| serve(&place, &url, &[]));
    let token = servers[0].login(JWEIR, PASSWORD).token();
    assert_good(&servers[1], &token);
}
