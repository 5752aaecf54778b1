//! Assembles a whole server from its parts.

mod check;
mod error;
mod gated;

use std::fs::{self, File, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;

pub use error::StartError;
use error::no_scratch;
use gated::{Answering, GRACE, GatedServer, GatedServers};

use crate::accounts::{self, Accounts};
use crate::auth::{self, Auth, FailedLoginLimits};
use crate::clock::Now;
use crate::config::{Config, Database, MetricsAccess, demo_database, loopback};
use crate::endpoint::{Lists, LongAnswers, Services, SharedProbe, health};
use crate::files::directory_of;
use crate::gate::{
    self, Address, Bound, BoundListeners, Forward, NetworkGrouping, SocketMode, Tls, TlsError,
};
use crate::hashing::{Cost, Engine, Permits};
use crate::housekeeping;
use crate::http::{EveryField, ReadField, TrustedProxies};
use crate::metrics::Metrics;
use crate::periodic::Periodic;
use crate::scratch::Scratch;
use crate::server::{Cors, CorsPolicy, Endpoints, Origin, Origins, check_resources};
use crate::store::{
    self, AccountCounts, DatabaseFile, Durability, IntegrityProgress, Location, Migrated, OpenedBy,
    Store, WhenMissing,
};
use crate::stub::{Hosts, StubBuilder};

/// The file descriptors that the rest of a start takes: three for the database, and the others for two private sockets.
const REST_OF_START: usize = 15;

/// The threads that a gate and its private socket take.
const GATE_THREADS: usize = 9;

/// The threads that the rest of a start and the first login take: four for the database, housekeeping and logins, with
/// PostgreSQL three more, and three for the login. One is to spare.
const OTHER_THREADS: usize = if cfg!(feature = "postgres") { 11 } else { 8 };

/// The file descriptors that the first login takes: one for the client, three between gate and server, three for a
/// database connection that reads, and one to spare.
const FIRST_LOGIN: usize = 8;

/// A server that runs until it is stopped or dropped.
///
/// It does not touch the state of the whole process (signals, logger, limits), so a test of another program can start
/// its own server:
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
    calls: GatedServer,
    /// The server for metrics, if they have their own address.
    metrics: Option<GatedServer>,
    authority: Option<PathBuf>,
    /// `None` for a demo.
    database: Option<Location>,
    migrated: Option<Migrated>,
    _housekeeping: Periodic,
    store: Arc<Store>,
    /// The last field, so that the directory is dropped after the sockets and the database in it.
    _scratch: Arc<Scratch>,
}

impl Server {
    /// Starts a demo like `serve --demo`, on a free port of the loopback address.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn demo() -> Result<Self, StartError> {
        let mut config = Config {
            listen: vec![loopback(0)],
            database: Database::Demo(Accounts::demo()?),
            ..Config::default()
        };
        config.policy.bcrypt_cost = Cost::MIN;
        config.policy.failed_logins = FailedLoginLimits::NONE;
        Self::start(config)
    }

    /// Starts a server, which answers once this returns. A failed start stops everything that it has started.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(config: Config) -> Result<Self, StartError> {
        Self::start_reporting(config, Box::new(|_, _| {}))
    }

    /// Checks a configuration without starting anything or writing a file. Returns the warnings that a start would log,
    /// one sentence each, and the errors that would make it fail. Does not check whether TCP addresses are free.
    pub fn check(config: Config) -> (Vec<String>, Vec<StartError>) {
        check::check(config)
    }

    /// Starts a server. `progress` is called with the number of checked pages of the database, and the number of all
    /// pages, if the previous server did not end cleanly.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start_reporting(
        config: Config,
        progress: IntegrityProgress,
    ) -> Result<Self, StartError> {
        let parent = config.database.scratch_parent();
        let scratch = Scratch::create_below(&parent).map_err(no_scratch(&parent))?;
        let scratch = Arc::new(scratch);
        let (hosts, answer_timeout) = (config.hosts(), answer_timeout(config.hashing.max_wait));
        let tls = config
            .tls
            .map(|tls| tls.beside(&config.database, scratch.path()));
        let authority = tls.as_ref().and_then(authority);
        let stub = match &config.database {
            Database::Demo(accounts) => Some((StubBuilder::new(accounts, tls.is_some()), hosts)),
            _ => None,
        };
        let engine = Arc::new(Engine::start(config.hashing)?);
        // Everything that can fail is done before permanent files are created: the database and the authority's
        // certificate.
        let calls = BoundListeners::bind(&config.listen, config.socket_mode, tls)?;
        let metrics_listening = listen_for_metrics(config.metrics)?;
        check_descriptors().map_err(StartError::Descriptors)?;
        let gates = 1 + usize::from(metrics_listening.is_some());
        check_resources(gates * GATE_THREADS + OTHER_THREADS).map_err(StartError::Thread)?;
        let database = permanent_location(&config.database)?;
        let shown = config.database.location(scratch.path()).to_string();
        let (missing, cost) = (config.when_missing, config.policy.bcrypt_cost);
        let (store, migrated) = open(config.database, missing, &scratch, &engine, cost, progress)?;
        let clock = match &stub {
            Some((stub, _)) => stub.clock(),
            None => Arc::new(Now::read),
        };
        let policy = config.policy;
        let housekeeping = housekeeping::start(Arc::clone(&store), Arc::clone(&clock), policy)
            .map_err(StartError::Thread)?;
        let services = Arc::new(Services {
            auth: Auth::new(Arc::clone(&store), Arc::clone(&engine), policy, clock()).map_err(
                |error| match error {
                    auth::StartError::Store(source) => StartError::FailedLogins {
                        database: shown,
                        source,
                    },
                    auth::StartError::Thread(error) => StartError::Thread(error),
                },
            )?,
            store: Arc::clone(&store),
            engine,
            permits: Permits::new(config.hash_queue),
            lists: Lists::default(),
            long_answers: LongAnswers::new(gate::MAX_WHOLE_BYTES),
            is_writable: SharedProbe::new(health::WRITABLE_FOR),
            database_metrics: SharedProbe::new(Duration::ZERO),
            metrics: Metrics::new().map_err(StartError::Metrics)?,
            clock,
            trusted_proxies: config.trusted_proxies.clone(),
            is_reachable: Arc::default(),
        });
        let gated_servers = GatedServers {
            scratch: Arc::clone(&scratch),
            services: Arc::clone(&services),
            limits: config.limits,
            answer_timeout,
            client_network: client_network(config.trusted_proxies),
        };
        let hosts = stub.as_ref().map(|(_, hosts)| hosts.clone());
        let metrics = metrics_listening
            .map(|(address, listening)| gated_servers.start_metrics(address, listening, hosts))
            .transpose()?;
        let endpoints = Endpoints::new(config.metrics.beside_calls(), Arc::clone(&services));
        let answering = answering(endpoints, config.cors_origins, stub, &services);
        Ok(Self {
            calls: gated_servers.start_calls(answering, calls)?,
            metrics,
            authority,
            database,
            migrated,
            _housekeeping: housekeeping,
            store,
            _scratch: scratch,
        })
    }

    /// The addresses that it listens on, with their actual ports, in the order of the configuration.
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

    /// The path of the authority's certificate that clients have to trust; `None` without
    /// [`Certificate::SelfSigned`](crate::Certificate::SelfSigned).
    pub fn authority(&self) -> Option<&Path> {
        self.authority.as_deref()
    }

    /// The location of the database, with symbolic links resolved; `None` for a demo.
    pub fn database(&self) -> Option<&Location> {
        self.database.as_ref()
    }

    /// Whether the start created the database.
    pub fn is_new(&self) -> bool {
        self.store.is_new()
    }

    /// Counts organizations and users.
    ///
    /// # Errors
    /// The database cannot be read.
    pub fn count_accounts(&self) -> Result<AccountCounts, store::Error> {
        self.store.count_accounts()
    }

    /// The migration that was done when the database was opened; `None` if it needed none.
    pub fn migrated(&self) -> Option<Migrated> {
        self.migrated
    }

    /// Whether the previous server did not end cleanly. The whole database was checked then, and is sound.
    pub fn was_unclean(&self) -> bool {
        self.store.was_unclean()
    }

    /// Reads the certificate again; `false` if the server has no TLS.
    ///
    /// # Errors
    /// The certificate cannot be used; the server keeps the old one then.
    pub fn reload_tls(&self) -> Result<bool, TlsError> {
        self.calls.gate.reload_tls()?;
        Ok(self.addresses().iter().any(|bound| bound.tls))
    }

    /// Stops the server: answers every request whose first byte has arrived, within ten seconds, and closes the
    /// database, so that a SQLite database is one file. Dropping does the same.
    pub fn stop(self) {}
}

impl Drop for Server {
    /// Stops both gates within one grace period.
    fn drop(&mut self) {
        let start = Instant::now();
        self.calls.stop(GRACE);
        if let Some(metrics) = &self.metrics {
            metrics.stop(GRACE.saturating_sub(start.elapsed()));
        }
    }
}

fn check_descriptors() -> io::Result<()> {
    let spare: io::Result<Vec<File>> = (0..REST_OF_START + FIRST_LOGIN)
        .map(|_| File::open("/"))
        .collect();
    spare.map(drop)
}

/// The endpoints, wrapped by the stub if this is a demo.
fn answering(
    endpoints: Endpoints,
    listed: Vec<Origin>,
    stub: Option<(StubBuilder, Hosts)>,
    services: &Arc<Services>,
) -> Answering {
    let origins = Origins { listed, own: None };
    if let Some((stub, hosts)) = stub {
        let fields = EveryField::of_a_demo();
        let services = Arc::clone(services);
        let stub = stub.build(endpoints, services, origins, fields, hosts);
        return (Arc::new(stub), Forward::All);
    }
    let forward = Forward::Only(ReadField::NAMES);
    if origins.listed.is_empty() {
        return (Arc::new(endpoints), forward);
    }
    let cors = Cors::new(Arc::new(endpoints), CorsPolicy::new(origins));
    (Arc::new(cors), forward)
}

/// The longest time to wait for an answer. A login may wait twice for `hash_wait`: for other attempts, and for its
/// hash. The rest of a request takes far less than the minute that is added.
fn answer_timeout(hash_wait: Duration) -> Duration {
    hash_wait
        .saturating_mul(2)
        .saturating_add(Duration::from_secs(60))
}

/// The network by which the gate counts connections; `None` for a trusted proxy, whose connections are of many clients.
fn client_network(trusted_proxies: TrustedProxies) -> NetworkGrouping {
    NetworkGrouping::new(move |address| {
        (!trusted_proxies.contains(address)).then(|| auth::ClientNetwork::from(address).first())
    })
}

fn authority(tls: &Tls) -> Option<PathBuf> {
    match tls {
        Tls::SelfSigned { ca_certificate, .. } => Some(ca_certificate.clone()),
        Tls::Files { .. } => None,
    }
}

/// Binds the metrics' own address, which has no TLS.
fn listen_for_metrics(
    metrics: MetricsAccess,
) -> Result<Option<(SocketAddr, BoundListeners)>, StartError> {
    let MetricsAccess::At(address) = metrics else {
        return Ok(None);
    };
    let listening = BoundListeners::bind(&[Address::Tcp(address)], SocketMode::default(), None)?;
    Ok(Some((address, listening)))
}

fn permanent_location(database: &Database) -> Result<Option<Location>, StartError> {
    Ok(match database {
        Database::File(path) => {
            let file = DatabaseFile::resolve(path)?;
            Some(Location::File(file.path().to_owned()))
        }
        #[cfg(feature = "postgres")]
        Database::Servers(location) => Some(location.clone()),
        Database::Demo(_) => None,
    })
}

fn open(
    database: Database,
    missing: WhenMissing,
    scratch: &Scratch,
    engine: &Engine,
    cost: Cost,
    progress: IntegrityProgress,
) -> Result<(Arc<Store>, Option<Migrated>), StartError> {
    match database {
        Database::File(path) => {
            let (by, durability) = (OpenedBy::Server, Durability::Full);
            let (store, migrated) = Store::open_by(by, &path, missing, durability, progress)?;
            Ok((Arc::new(store), migrated))
        }
        #[cfg(feature = "postgres")]
        Database::Servers(location) => {
            let (store, migrated) = Store::open_at(OpenedBy::Server, &location, missing, progress)?;
            Ok((Arc::new(store), migrated))
        }
        Database::Demo(accounts) => {
            let path = demo_database(scratch.path());
            create_private_directory(directory_of(&path)).map_err(no_scratch(scratch.path()))?;
            let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None)?;
            accounts::load(&store, engine, accounts, cost, Timestamp::now())?;
            Ok((Arc::new(store), None))
        }
    }
}

/// Creates a directory of mode 0700 whatever the umask.
fn create_private_directory(path: &Path) -> io::Result<()> {
    fs::create_dir(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ffi::OsString;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};

    use super::*;
    use crate::config::MetricsAccess;
    use crate::gate::Address;

    /// The variable with which the test passes the database's path to the process that it starts.
    const DATABASE: &str = "TEST_DATABASE_OF_A_FAILED_START";

    /// The names of this process's threads. A thread without a name has the name of the thread that started it.
    fn threads() -> BTreeSet<String> {
        let tasks = fs::read_dir("/proc/self/task").unwrap();
        tasks
            .filter_map(|task| fs::read_to_string(task.unwrap().path().join("comm")).ok())
            .collect()
    }

    /// The names in a directory, in order.
    fn names(directory: &Path) -> BTreeSet<OsString> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect()
    }

    #[track_caller]
    fn assert_fails_without_trace(config: Config, is_expected: fn(&StartError) -> bool) {
        let directory = directory_of(config.database.path(Path::new("")).as_path()).to_owned();
        let descriptors = Path::new("/proc/self/fd");
        let before = (threads(), names(&directory), names(descriptors));
        let error = Server::start(config).err().unwrap();
        assert!(is_expected(&error), "{error}");
        // A joined thread remains listed for a moment.
        let end = Instant::now() + Duration::from_secs(30);
        while threads() != before.0 && Instant::now() < end {
            std::thread::yield_now();
        }
        assert_eq!((threads(), names(&directory), names(descriptors)), before);
    }

    #[test]
    fn a_start_that_fails_leaves_no_thread_no_descriptor_and_no_file() {
        if let Some(database) = std::env::var_os(DATABASE) {
            let database = PathBuf::from(database);
            let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let listener = TcpListener::bind(free).unwrap();
            let taken = listener.local_addr().unwrap();
            let config = |metrics| Config {
                listen: vec![Address::Tcp(free)],
                database: Database::File(database.clone()),
                metrics,
                ..Config::default()
            };
            for metrics in [
                MetricsAccess::Off,
                MetricsAccess::At(free),
                MetricsAccess::At(taken),
            ] {
                let mut config = config(metrics);
                config.listen.push(Address::Tcp(taken));
                assert_fails_without_trace(config, |error| matches!(error, StartError::Gate(_)));
            }
            // The database is open when this start fails.
            let (store, _) = Store::open(&database, WhenMissing::Create, Durability::Full).unwrap();
            drop(store);
            let connection = rusqlite::Connection::open(&database).unwrap();
            connection
                .execute_batch("DROP TABLE failed_logins")
                .unwrap();
            drop(connection);
            assert_fails_without_trace(config(MetricsAccess::At(free)), |error| {
                matches!(error, StartError::FailedLogins { .. })
            });
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let this = "assembly::tests::a_start_that_fails_leaves_no_thread_no_descriptor_and_no_file";
        // In its own process, since other tests start threads at the same time.
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this])
            .env(DATABASE, directory.path().join("d.db"))
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success());
    }
}
