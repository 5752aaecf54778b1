//! Servers on one PostgreSQL database.

mod accounts;
mod address;
mod network;
mod opening;
mod secrets;
mod server;
mod throttle;
mod tls;

use crate::account::assert_good;
use crate::harness::accounts::{JWEIR, PASSWORD, retailer, user};
use crate::harness::postgres::PostgresServer;
use crate::harness::{Place, Server, eventually};

/// A place whose database on a server holds the accounts of a fixture.
#[track_caller]
fn seeded(url: &str, fixture: &serde_json::Value) -> Place {
    let place = Place::new();
    place.write("accounts.json", fixture.to_string());
    let seed = ["seed", "accounts.json", "--bcrypt-cost", "10", "--db", url];
    place.run(&seed).succeeded();
    place
}

/// A server on a database; hashes cost as little as they may.
#[track_caller]
fn serve(place: &Place, url: &str, flags: &[&str]) -> Server {
    place.serve(&[&["--db", url], flags].concat())
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

#[test]
#[ignore = "needs PostgreSQL"]
fn a_server_that_is_stopped_and_started_again_is_used_again() {
    let postgres = PostgresServer::start(&[]);
    postgres.create("accounts");
    let url = postgres.url("accounts");
    let place = seeded(&url, &retailer([user(JWEIR)]));
    let server = serve(&place, &url, &[]);
    postgres.stop("fast");
    assert_eq!(server.login(JWEIR, PASSWORD).status, 503);
    postgres.start_again(&[]);
    eventually("logins are answered again", || {
        server.login(JWEIR, PASSWORD).status == 200
    });
}
