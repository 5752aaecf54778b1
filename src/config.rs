//! Everything that can be chosen about a server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::accounts::Accounts;
use crate::auth::Policy;
use crate::gate::{self, Address, SocketMode, Tls};
use crate::hashing::EngineConfig;
use crate::http::TrustedProxies;
use crate::scratch;
use crate::server::{Exposure, Origin};
use crate::store::{Location, WhenMissing};
use crate::stub::{Host, Hosts};

/// Everything that can be chosen about a server.
pub struct Config {
    /// Where to listen; port 0 picks a free one.
    pub listen: Vec<Address>,
    /// Who may connect to socket files.
    pub socket_mode: SocketMode,
    /// The certificate that is shown on TCP addresses; without one they speak plain HTTP.
    pub tls: Option<Certificate>,
    /// What clients may send, and how long they may take.
    pub limits: gate::Limits,
    /// Where the accounts are.
    pub database: Database,
    /// Whether a database file that is missing is made.
    pub when_missing: WhenMissing,
    /// Tokens, cost of new hashes, failed logins.
    pub policy: Policy,
    /// Whose word about a client's address counts.
    pub trusted_proxies: TrustedProxies,
    /// How many logins may be in work or waiting.
    pub hash_queue: usize,
    /// Threads and lanes that hash, and how long a login may wait for one.
    pub hashing: EngineConfig,
    /// Where figures for Prometheus are to be had.
    pub metrics: MetricsAccess,
    /// Of which origins pages may make the calls. A demo adds those of this machine.
    pub cors_origins: Vec<Origin>,
    /// The hosts that a demo answers to, besides those of this machine and of a certificate that is made for it.
    pub allow_hosts: Vec<Host>,
    /// Whether a demo answers to every host, and pages of every origin may steer it.
    pub steer_from_elsewhere: bool,
}

/// Where figures for Prometheus are to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Nowhere.
    Off,
    /// Beside the calls.
    WithCalls,
    /// At an address of their own.
    At(SocketAddr),
}

/// Where the TLS certificate comes from.
pub enum Certificate {
    /// PEM files.
    Files {
        /// The certificate, then those that issued it.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// Made for these names, issued by an authority of its own whose files stand beside the database.
    SelfSigned(Vec<String>),
}

/// Where the accounts are.
pub enum Database {
    /// A file that stays.
    File(PathBuf),
    /// A database on PostgreSQL servers.
    #[cfg(feature = "postgres")]
    Servers(Location),
    /// A throw-away database that holds these accounts.
    Demo(Accounts),
}

impl From<Location> for Database {
    fn from(location: Location) -> Self {
        match location {
            Location::File(path) => Self::File(path),
            #[cfg(feature = "postgres")]
            servers => Self::Servers(servers),
        }
    }
}

impl Default for Config {
    /// What `serve` does without flags.
    fn default() -> Self {
        Self {
            listen: vec![Address::Tcp(Self::LISTEN)],
            socket_mode: SocketMode::default(),
            tls: None,
            limits: gate::Limits::default(),
            database: Database::File(PathBuf::from(Self::DATABASE)),
            when_missing: WhenMissing::Create,
            policy: Policy::DEFAULT,
            trusted_proxies: TrustedProxies::default(),
            hash_queue: Self::HASH_QUEUE,
            hashing: EngineConfig::new(Self::HASH_WAIT),
            metrics: MetricsAccess::Off,
            cors_origins: Vec::new(),
            allow_hosts: Vec::new(),
            steer_from_elsewhere: false,
        }
    }
}

impl Config {
    pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
    pub(crate) const DATABASE: &str = "thanos-login.db";
    pub(crate) const HASH_QUEUE: usize = 256;
    pub(crate) const HASH_WAIT: Duration = Duration::from_secs(30);

    /// Those that a demo answers to.
    pub(crate) fn hosts(&self) -> Hosts {
        let certified = match &self.tls {
            Some(Certificate::SelfSigned(names)) => &names[..],
            Some(Certificate::Files { .. }) | None => &[],
        };
        // A name that is none is refused when the certificate is made.
        let certified = certified.iter().filter_map(|name| name.parse().ok());
        Hosts {
            allowed: self.allow_hosts.iter().cloned().chain(certified).collect(),
            every: self.steer_from_elsewhere,
        }
    }
}

impl Database {
    /// Below which directory the private sockets are, and what a demo makes.
    pub(crate) fn scratch_parent(&self) -> PathBuf {
        match self {
            Self::File(path) => scratch::parent(path),
            _ => scratch::parent(Path::new("")),
        }
    }

    /// `scratch` is the directory of what a demo makes.
    pub(crate) fn location(&self, scratch: &Path) -> Location {
        match self {
            #[cfg(feature = "postgres")]
            Self::Servers(location) => location.clone(),
            _ => Location::File(self.path(scratch)),
        }
    }

    pub(crate) fn path(&self, scratch: &Path) -> PathBuf {
        match self {
            Self::File(path) => path.clone(),
            Self::Demo(_) => demo_database(scratch),
            // The authority of a certificate is made where the server was started.
            #[cfg(feature = "postgres")]
            Self::Servers(_) => PathBuf::from(Config::DATABASE),
        }
    }
}

impl MetricsAccess {
    /// What the addresses of the calls answer.
    pub(crate) fn beside_calls(self) -> Exposure {
        match self {
            Self::WithCalls => Exposure::ApiAndMetrics,
            Self::Off | Self::At(_) => Exposure::Api,
        }
    }
}

impl Certificate {
    /// `scratch` is the directory of what a demo makes.
    pub(crate) fn beside(self, database: &Database, scratch: &Path) -> Tls {
        match self {
            Self::Files { certificate, key } => Tls::Files { certificate, key },
            Self::SelfSigned(names) => {
                let database = database.path(scratch);
                Tls::SelfSigned {
                    ca_certificate: own_authority(&database),
                    ca_key: database.with_file_name("thanos-login-ca.key"),
                    names,
                }
            }
        }
    }
}

/// Where a demo keeps its accounts. Not in the locked directory itself: the authority is made under a lock on its own.
pub(crate) fn demo_database(scratch: &Path) -> PathBuf {
    scratch.join("demo/demo.db")
}

/// The certificate of the authority that serves a database with [`Certificate::SelfSigned`].
pub(crate) fn own_authority(database: &Path) -> PathBuf {
    database.with_file_name("thanos-login-ca.pem")
}

pub(crate) fn loopback(port: u16) -> Address {
    Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}
