//! Servers inside this process, and the accounts they have.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use thanos_login::accounts::{self, Accounts};
use thanos_login::auth::Limits;
use thanos_login::gate::Address;
use thanos_login::hashing::{Cost, Engine, EngineConfig};
use thanos_login::store::{Durability, Store, WhenMissing};
use thanos_login::{Config, Database, Server};

/// What every account has.
pub const PASSWORD: &str = "thanosrocks";

/// Connections at once, each a user of its own.
pub const CLIENTS: usize = 32;

pub fn username(number: usize) -> String {
    format!("user-{number}")
}

/// A hash of [`PASSWORD`].
pub fn hash(cost: Cost) -> String {
    bcrypt::hash(PASSWORD, u32::from(cost.get())).unwrap()
}

/// A fixture of one organization with these users, each a name, a status and a hash.
pub fn fixture(users: &[(String, &str, String)]) -> Accounts {
    let users: Vec<_> = users
        .iter()
        .map(|(username, status, hash)| {
            serde_json::json!({ "username": username, "status": status, "password_hash": hash })
        })
        .collect();
    let organization =
        serde_json::json!({ "name": "Bench", "org_type": "RETAILER", "users": users });
    let text = serde_json::json!({ "organizations": [organization] }).to_string();
    Accounts::parse(&text).unwrap()
}

/// A database file with a user for each of [`CLIENTS`], `user-0` and so on.
pub fn seeded(path: &Path, cost: Cost) -> Store {
    let (store, _) = Store::open(path, WhenMissing::Create, Durability::Full).unwrap();
    seed(&store, cost);
    store
}

/// Adds these users.
pub fn seed(store: &Store, cost: Cost) {
    let hash = hash(cost);
    let users: Vec<_> = (0..CLIENTS)
        .map(|number| (username(number), "ACTIVE", hash.clone()))
        .collect();
    accounts::load(store, &engine(), fixture(&users), cost, Timestamp::now()).unwrap();
}

pub fn engine() -> Engine {
    Engine::start(EngineConfig::new(Duration::from_secs(30))).unwrap()
}

/// A server of [`seeded`] accounts.
pub fn serve_file(directory: &Path, cost: Cost) -> Server {
    let path = directory.join("server.db");
    drop(seeded(&path, cost));
    serve(Database::File(path), cost)
}

/// A server with what `serve` has but the throttle.
pub fn serve(database: Database, cost: Cost) -> Server {
    let mut config = config(database);
    config.policy.bcrypt_cost = cost;
    config.policy.failed_logins = Limits::NONE;
    Server::start(config).unwrap()
}

/// What `serve` has, at a port of its own.
pub fn config(database: Database) -> Config {
    Config {
        listen: vec![Address::Tcp((Ipv4Addr::LOCALHOST, 0).into())],
        database,
        ..Config::default()
    }
}

pub fn address(url: &str) -> SocketAddr {
    url.strip_prefix("http://").unwrap().parse().unwrap()
}

/// tiny_http with as little around it as there can be: four threads that answer 404 and know nothing else.
pub fn bare_loop(http: tiny_http::Server) {
    let http = Arc::new(http);
    for _ in 0..4 {
        let http = Arc::clone(&http);
        thread::spawn(move || {
            for request in http.incoming_requests() {
                let response = tiny_http::Response::from_string(r#"{"detail":"Not found."}"#);
                // A client that is gone needs no answer.
                let _ = request.respond(response.with_status_code(404));
            }
        });
    }
}
