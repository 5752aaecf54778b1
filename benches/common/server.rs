//! Servers inside this process, and their accounts.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use thanos_login::accounts::{self, Accounts};
use thanos_login::auth::FailedLoginLimits;
use thanos_login::gate::Address;
use thanos_login::hashing::{Cost, Engine, EngineConfig};
use thanos_login::store::{Durability, Store, WhenMissing};
use thanos_login::{Config, Database, Server};

/// The password of every account.
pub const PASSWORD: &str = "thanosrocks";

/// The number of concurrent connections, each with its own user.
pub const CLIENTS: usize = 32;

pub fn username(number: usize) -> String {
    format!("user-{number}")
}

/// A hash of [`PASSWORD`].
pub fn hash(cost: Cost) -> String {
    bcrypt::hash(PASSWORD, u32::from(cost.get())).unwrap()
}

/// A fixture of one organization with these users, each given as name, status and hash.
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

/// Creates a database file with the users `user-0`, `user-1` and so on, one for each of [`CLIENTS`].
pub fn seeded(path: &Path, cost: Cost) -> Store {
    let (store, _) = Store::open(path, WhenMissing::Create, Durability::Full).unwrap();
    seed(&store, cost);
    store
}

/// Adds the same users to a database.
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

/// Starts a server with the accounts of [`seeded`].
pub fn serve_file(directory: &Path, cost: Cost) -> Server {
    let path = directory.join("server.db");
    drop(seeded(&path, cost));
    serve(Database::File(path), cost)
}

/// Starts a server with the defaults of `serve`, but without the throttle.
pub fn serve(database: Database, cost: Cost) -> Server {
    let mut config = config(database);
    config.policy.bcrypt_cost = cost;
    config.policy.failed_logins = FailedLoginLimits::NONE;
    Server::start(config).unwrap()
}

/// The default configuration of `serve`, with a free port.
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

/// tiny_http with as little code around it as possible: four threads that answer every request with 404.
pub fn bare_loop(http: tiny_http::Server) {
    let http = Arc::new(http);
    for _ in 0..4 {
        let http = Arc::clone(&http);
        thread::spawn(move || {
            for request in http.incoming_requests() {
                let response = tiny_http::Response::from_string(r#"{"detail":"Not found."}"#);
                // The client may have disconnected.
                let _ = request.respond(response.with_status_code(404));
            }
        });
    }
}
