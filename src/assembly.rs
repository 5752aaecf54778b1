//! A whole server, put together from its parts.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;

use crate::auth::{self, Auth, Limits, Policy};
use crate::endpoint::{Clock, Services};
use crate::fixture::{self, Findings, Fixture};
use crate::hashing::{self, Cost, Engine, EngineConfig, Permits};
use crate::housekeeping::Housekeeping;
use crate::http::TrustedProxies;
use crate::scratch::Scratch;
use crate::store::{self, Durability, Migrated, Store, WhenMissing};
use crate::{seed, server};

/// Everything that can be chosen about a server.
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: Vec<SocketAddr>,
    /// Where the accounts are.
    pub database: Database,
    /// Tokens, cost of new hashes, failed logins.
    pub policy: Policy,
    /// Whose word about a client's address counts.
    pub trusted_proxies: TrustedProxies,
    /// The longest request body that is read, in bytes.
    pub max_body: usize,
    /// How many logins may be in work or waiting.
    pub hash_queue: usize,
    /// How long a login may wait before its hashing begins.
    pub hash_wait: Duration,
}

/// Where the accounts are.
pub enum Database {
    /// A file that stays; made if it is missing.
    File(PathBuf),
    /// A throw-away database that holds this fixture.
    Demo(Fixture),
}

/// Why a server did not start. Every text names the file or address.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not one of this machine.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address as it was given.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// The library would not take the listening socket.
    #[error("cannot serve on {address}: {reason}")]
    Serve {
        /// The address as it was given.
        address: SocketAddr,
        /// What the library says.
        reason: String,
    },
    /// The database was refused.
    #[error(transparent)]
    Database(#[from] store::OpenError),
    /// The fixture has mistakes.
    #[error(transparent)]
    Fixture(#[from] Findings),
    /// The fixture could not be loaded.
    #[error(transparent)]
    Seed(#[from] seed::Error),
    /// The hashing threads could not be started.
    #[error("cannot start hashing")]
    Hashing(#[from] hashing::Error),
    /// Logins cannot begin.
    #[error(transparent)]
    Auth(#[from] auth::StartError),
    /// There is no room for the throw-away database.
    #[error("cannot make a directory below {}", std::env::temp_dir().display())]
    Scratch(#[source] std::io::Error),
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// A server that runs until it is stopped or dropped.
///
/// It touches nothing that belongs to the whole process (signals, logger, limits), so a test of another program can have
/// one of its own:
///
/// ```
/// use std::io::{Read, Write};
///
/// let server = thanos_login::Server::demo()?;
/// let mut stream = std::net::TcpStream::connect(server.addresses()[0])?;
/// let body = r#"{"username": "jweir@projectthanos.com", "password": "thanosrocks"}"#;
/// write!(
///     stream,
///     "POST /api/organizations/user-login/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
///      Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
///     body.len(),
/// )?;
/// let mut answer = String::new();
/// stream.read_to_string(&mut answer)?;
/// assert!(answer.starts_with("HTTP/1.1 200 "));
/// assert!(answer.contains(r#"{"auth_token":"a0f17278bed479ee719ea890b8caf0329e1f3e5b","#));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server {
    addresses: Vec<SocketAddr>,
    loops: Vec<server::Server>,
    migrated: Option<Migrated>,
    _housekeeping: Housekeeping,
    /// Last, so that the directory outlives the database in it.
    _scratch: Option<Scratch>,
}

impl Default for Config {
    /// What `serve` does without flags.
    fn default() -> Self {
        Self {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 8080))],
            database: Database::File(PathBuf::from("thanos-login.db")),
            policy: Policy {
                token_ttl: Some(Duration::from_secs(2 * 60 * 60)),
                max_tokens_per_user: 32,
                bcrypt_cost: Cost::DEFAULT,
                failed_logins: Limits::DEFAULT,
            },
            trusted_proxies: TrustedProxies::default(),
            max_body: 16 * 1024,
            hash_queue: 256,
            hash_wait: Duration::from_secs(30),
        }
    }
}

impl Server {
    /// Starts what `serve --demo` starts, on a free port of the loopback address.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn demo() -> Result<Self, StartError> {
        let mut config = Config {
            listen: vec![SocketAddr::from((Ipv4Addr::LOCALHOST, 0))],
            database: Database::Demo(Fixture::parse(fixture::DEMO.as_bytes())?),
            ..Config::default()
        };
        config.policy.bcrypt_cost = Cost::MIN;
        config.policy.failed_logins = Limits::NONE;
        Self::start(config)
    }

    /// Starts a server; when this returns it answers.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: Config) -> Result<Self, StartError> {
        let listeners = listen(&config.listen)?;
        let engine = Arc::new(Engine::start(EngineConfig {
            threads: thread::available_parallelism().map_or(1, usize::from),
            max_wait: config.hash_wait,
        })?);
        let (store, migrated, scratch) = open(config.database, &engine, config.policy.bcrypt_cost)?;
        let clock: Clock = Arc::new(Timestamp::now);
        let housekeeping = Housekeeping::start(Arc::clone(&store), Arc::clone(&clock));
        let services = Arc::new(Services {
            auth: Auth::new(store, engine, config.policy)?,
            clock,
            trusted_proxies: config.trusted_proxies,
            max_body: config.max_body,
        });
        let permits = Permits::new(config.hash_queue);
        let mut server = Self {
            addresses: Vec::new(),
            loops: Vec::new(),
            migrated,
            _housekeeping: housekeeping.map_err(StartError::Thread)?,
            _scratch: scratch,
        };
        for (address, listener) in listeners {
            let http = tiny_http::Server::from_listener(listener, None).map_err(|error| {
                let reason = error.to_string();
                StartError::Serve { address, reason }
            })?;
            let running = server::Server::start(http, Arc::clone(&services), permits.clone());
            server.addresses.push(address);
            server.loops.push(running.map_err(StartError::Thread)?);
        }
        Ok(server)
    }

    /// The addresses it listens on, with their real ports, in the order they were asked for.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The first address as a URL, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses[0])
    }

    /// The migration that opening the database took.
    pub fn migrated(&self) -> Option<Migrated> {
        self.migrated
    }

    /// Answers what has been received and ends, with everything in the database's one file. Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        for running in self.loops.drain(..) {
            running.stop();
        }
    }
}

fn listen(addresses: &[SocketAddr]) -> Result<Vec<(SocketAddr, TcpListener)>, StartError> {
    addresses
        .iter()
        .map(|&address| {
            let failed = |source| StartError::Listen { address, source };
            let listener = TcpListener::bind(address).map_err(failed)?;
            let address = listener.local_addr().map_err(failed)?;
            Ok((address, listener))
        })
        .collect()
}

type Opened = (Arc<Store>, Option<Migrated>, Option<Scratch>);

fn open(database: Database, engine: &Engine, cost: Cost) -> Result<Opened, StartError> {
    match database {
        Database::File(path) => {
            let (store, migrated) = Store::open(&path, WhenMissing::Create, Durability::Full)?;
            Ok((Arc::new(store), migrated, None))
        }
        Database::Demo(fixture) => {
            let scratch = Scratch::create().map_err(StartError::Scratch)?;
            let path = scratch.path().join("demo.db");
            let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None)?;
            seed::seed(&store, engine, fixture, cost, Timestamp::now())?;
            Ok((Arc::new(store), None, Some(scratch)))
        }
    }
}
