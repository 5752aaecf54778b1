//! A whole server, put together from its parts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::auth::{self, Auth, Limits};
use crate::config::{Config, Database, MetricsAccess, loopback};
use crate::endpoint::{Clock, Services};
use crate::fixture::{self, Findings, Fixture};
use crate::gate::{self, Address, Bound, Forward, Gate, Quick, Tls, TlsError};
use crate::hashing::{self, Cost, Engine, Permits};
use crate::housekeeping::Housekeeping;
use crate::http::COMMON_HEADERS;
use crate::metrics::Metrics;
use crate::scratch::Scratch;
use crate::server::{
    Answerer, Cors, Endpoints, Exposure, Origins, Pace, READ_HEADERS, READ_HEADERS_WITH_CORS,
};
use crate::store::{self, Durability, Migrated, OpenedBy, Progress, Store, WhenMissing};
use crate::stub::Beginning;
use crate::{seed, server};

/// How long a stop waits for requests in flight.
const GRACE: Duration = Duration::from_secs(10);

/// File descriptors of everything but the gate: the database's connections have three each.
const DESCRIPTORS: usize = 32;

/// Why a server did not start. Every text names the file or address.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address or a certificate cannot be used.
    #[error(transparent)]
    Gate(#[from] gate::Error),
    /// The library would not take the private socket.
    #[error("cannot serve on the private socket: {0}")]
    Library(String),
    /// The database was refused.
    #[error(transparent)]
    Database(#[from] store::OpenError),
    /// The fixture has mistakes.
    #[error("the fixture has mistakes")]
    Fixture(#[from] Findings),
    /// The fixture could not be loaded.
    #[error("cannot start with this fixture")]
    Seed(#[from] seed::Error),
    /// The hashing threads could not be started.
    #[error("cannot start hashing")]
    Hashing(#[from] hashing::Error),
    /// Logins cannot begin.
    #[error(transparent)]
    Auth(#[from] auth::StartError),
    /// The figures for Prometheus contradict each other.
    #[error("cannot count")]
    Metrics(#[source] prometheus::Error),
    /// There is no room for the private socket and the throw-away database.
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
/// let address = server.url().replace("http://", "");
/// let mut stream = std::net::TcpStream::connect(&address)?;
/// let body = r#"{"username": "jweir@projectthanos.com", "password": "thanosrocks"}"#;
/// write!(
///     stream,
///     "POST /api/organizations/user-login/ HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
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
    calls: Front,
    /// Figures at an address of their own.
    figures: Option<Front>,
    authority: Option<PathBuf>,
    migrated: Option<Migrated>,
    _housekeeping: Housekeeping,
    /// Last, so that the directory outlives the sockets and the database in it.
    _scratch: Scratch,
}

impl Server {
    /// Starts what `serve --demo` starts, on a free port of the loopback address.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn demo() -> Result<Self, StartError> {
        let mut config = Config {
            listen: vec![loopback(0)],
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
        Self::start_reporting(config, Box::new(|_, _| {}))
    }

    /// Starts a server; `progress` hears how many pages of the database are looked at, of how many, after an unclean end.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start_reporting(config: Config, progress: Progress) -> Result<Self, StartError> {
        let scratch = Scratch::create().map_err(StartError::Scratch)?;
        let engine = Arc::new(Engine::start(config.hashing)?);
        let tls = config.tls.map(|tls| tls.beside(&config.database, &scratch));
        let authority = tls.as_ref().and_then(authority);
        let stub = match &config.database {
            Database::Demo(fixture) => Some(Beginning::of(fixture)),
            Database::File(_) => None,
        };
        let (store, migrated) = open(
            config.database,
            &scratch,
            &engine,
            config.policy.bcrypt_cost,
            progress,
        )?;
        let clock: Clock = stub
            .as_ref()
            .map_or_else(|| Arc::new(Timestamp::now) as Clock, Beginning::clock);
        let housekeeping = Housekeeping::start(Arc::clone(&store), Arc::clone(&clock));
        let services = Arc::new(Services {
            auth: Auth::new(Arc::clone(&store), Arc::clone(&engine), config.policy)?,
            store,
            engine,
            permits: Permits::new(config.hash_queue),
            metrics: Metrics::new().map_err(StartError::Metrics)?,
            clock,
            trusted_proxies: config.trusted_proxies,
        });
        let gate_config = |name: &str, listen, tls, forward, answerer: &_| gate::Config {
            listen,
            socket_mode: config.socket_mode,
            limits: config.limits.clone(),
            tls,
            upstream: scratch.path().join(name),
            forward,
            quick: quick(answerer),
            answer_fields: COMMON_HEADERS,
            reserved_descriptors: DESCRIPTORS,
        };
        let figures = match config.metrics {
            MetricsAccess::At(address) => {
                let listen = vec![Address::Tcp(address)];
                let forward = Forward::Only(READ_HEADERS);
                let endpoints = Endpoints::new(Exposure::Metrics, Arc::clone(&services));
                let answerer: Arc<dyn Answerer> = Arc::new(endpoints);
                let gate = gate_config("figures.sock", listen, None, forward, &answerer);
                Some(Front::start(answerer, &services, gate)?)
            }
            MetricsAccess::Off | MetricsAccess::WithCalls => None,
        };
        let endpoints = Endpoints::new(config.metrics.beside_calls(), Arc::clone(&services));
        let origins = Origins {
            listed: config.cors_origins,
            loopback: false,
        };
        let (answerer, forward) = match stub {
            Some(stub) => {
                let (services, is_remote) = (Arc::clone(&services), config.steer_from_elsewhere);
                let stub = stub.around(endpoints, services, origins, is_remote);
                (Arc::new(stub) as Arc<dyn Answerer>, Forward::All)
            }
            None => real(endpoints, origins),
        };
        let gate = gate_config("calls.sock", config.listen, tls, forward, &answerer);
        let calls = Front::start(answerer, &services, gate)?;
        calls.count_connections(&services);
        Ok(Self {
            calls,
            figures,
            authority,
            migrated,
            _housekeeping: housekeeping.map_err(StartError::Thread)?,
            _scratch: scratch,
        })
    }

    /// The addresses it listens on, with their real ports, in the order they were asked for.
    pub fn addresses(&self) -> &[Bound] {
        self.calls.gate.addresses()
    }

    /// The first address as a URL, without a slash at the end.
    pub fn url(&self) -> String {
        self.addresses()
            .first()
            .map(ToString::to_string)
            .unwrap_or_default()
    }

    /// The certificate of the authority that clients must trust, with [`Certificate::SelfSigned`].
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    /// The migration that opening the database took.
    pub fn migrated(&self) -> Option<Migrated> {
        self.migrated
    }

    /// Reads the certificate again; `false` when there is none to read.
    ///
    /// # Errors
    /// When it cannot be used; the old one stays then.
    pub fn reload_tls(&self) -> Result<bool, TlsError> {
        self.calls.gate.reload_tls()?;
        Ok(self.addresses().iter().any(|bound| bound.tls))
    }

    /// Answers every request whose first byte has arrived, within ten seconds, and ends with everything in the database's
    /// one file. Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for Server {
    fn drop(&mut self) {
        self.calls.stop();
        if let Some(figures) = &mut self.figures {
            figures.stop();
        }
    }
}

/// A gate and the loop behind it.
struct Front {
    gate: Arc<Gate>,
    /// `None` once it is stopped.
    running: Option<server::Server>,
}

impl Front {
    fn start(
        answerer: Arc<dyn Answerer>,
        services: &Arc<Services>,
        config: gate::Config,
    ) -> Result<Self, StartError> {
        let http = tiny_http::Server::http_unix(&config.upstream)
            .map_err(|error| StartError::Library(error.to_string()))?;
        let running = server::Server::start(http, answerer, Arc::clone(services))
            .map_err(StartError::Thread)?;
        Ok(Self {
            gate: Arc::new(Gate::start(config)?),
            running: Some(running),
        })
    }

    fn count_connections(&self, services: &Services) {
        let gate = Arc::downgrade(&self.gate);
        services
            .metrics
            .count_connections_by(move || gate.upgrade().map_or(0, |gate| gate.connections()));
    }

    fn stop(&mut self) {
        if !self.gate.stop(GRACE) {
            tracing::warn!("requests in flight were cut off");
        }
        if let Some(running) = self.running.take() {
            running.stop();
        }
    }
}

/// What answers when there is no stub, and the client's headers that it reads.
fn real(endpoints: Endpoints, origins: Origins) -> (Arc<dyn Answerer>, Forward) {
    if origins.listed.is_empty() {
        return (Arc::new(endpoints), Forward::Only(READ_HEADERS));
    }
    let cors = Cors::new(Arc::new(endpoints), origins);
    (Arc::new(cors), Forward::Only(READ_HEADERS_WITH_CORS))
}

fn quick(answerer: &Arc<dyn Answerer>) -> Quick {
    let answerer = Arc::clone(answerer);
    Quick::new(move |method, target| answerer.call(method, target).pace == Pace::Quick)
}

fn authority(tls: &Tls) -> Option<PathBuf> {
    match tls {
        Tls::SelfSigned { ca_certificate, .. } => Some(ca_certificate.clone()),
        Tls::Files { .. } => None,
    }
}

fn open(
    database: Database,
    scratch: &Scratch,
    engine: &Engine,
    cost: Cost,
    progress: Progress,
) -> Result<(Arc<Store>, Option<Migrated>), StartError> {
    match database {
        Database::File(path) => {
            let (by, missing) = (OpenedBy::Server, WhenMissing::Create);
            let (store, migrated) = Store::open_by(by, &path, missing, Durability::Full, progress)?;
            Ok((Arc::new(store), migrated))
        }
        Database::Demo(fixture) => {
            let path = scratch.path().join("demo.db");
            let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None)?;
            seed::seed(&store, engine, fixture, cost, Timestamp::now())?;
            Ok((Arc::new(store), None))
        }
    }
}
