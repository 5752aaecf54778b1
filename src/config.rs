//! The configuration of a server.

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

/// The configuration of a server.
pub struct Config {
    /// The addresses to listen on; port 0 chooses a free port.
    pub listen: Vec<Address>,
    /// The mode of socket files, which decides who may connect.
    pub socket_mode: SocketMode,
    /// The certificate for TCP addresses; `None` means plain HTTP.
    pub tls: Option<Certificate>,
    /// The limits on the size and duration of requests and connections.
    pub limits: gate::GateLimits,
    /// The database with the accounts.
    pub database: Database,
    /// Whether a missing database file is created.
    pub when_missing: WhenMissing,
    /// The settings for tokens, new hashes, failed logins and events.
    pub policy: Policy,
    /// The proxies whose statements about a client's address are trusted.
    pub trusted_proxies: TrustedProxies,
    /// How many logins may run or wait at once.
    pub hash_queue: usize,
    /// The hashing threads and lanes, and how long a login may wait for them.
    pub hashing: EngineConfig,
    /// Where metrics for Prometheus are served.
    pub metrics: MetricsAccess,
    /// The origins whose pages may make the calls. A demo adds the origins of this machine.
    pub cors_origins: Vec<Origin>,
    /// The hosts for which a demo answers, in addition to those of this machine and of a certificate made for it.
    pub allow_hosts: Vec<Host>,
    /// Whether a demo answers for every host, and pages of every origin may steer it.
    pub allow_remote_steering: bool,
}

/// Where metrics for Prometheus are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricsAccess {
    /// Metrics are not served.
    Off,
    /// Metrics are served at the addresses of the calls.
    WithCalls,
    /// Metrics are served only at this address.
    At(SocketAddr),
}

/// Where the TLS certificate comes from.
pub enum Certificate {
    /// The certificate is read from PEM files.
    Files {
        /// The file with the certificate, followed by the certificates of its issuers.
        certificate: PathBuf,
        /// The file with the certificate's private key.
        key: PathBuf,
    },
    /// The certificate is made for these names, and issued by the server's own authority. Its files are in the
    /// directory of the database.
    SelfSigned(Vec<String>),
}

/// The database with the accounts.
pub enum Database {
    /// A SQLite database in this file.
    File(PathBuf),
    /// A database on PostgreSQL servers.
    #[cfg(feature = "postgres")]
    Servers(Location),
    /// A temporary database with these accounts.
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
    /// The configuration of `serve` without flags.
    fn default() -> Self {
        Self {
            listen: vec![Address::Tcp(Self::LISTEN)],
            socket_mode: SocketMode::default(),
            tls: None,
            limits: gate::GateLimits::default(),
            database: Database::File(PathBuf::from(Self::DATABASE)),
            when_missing: WhenMissing::Create,
            policy: Policy::DEFAULT,
            trusted_proxies: TrustedProxies::default(),
            hash_queue: Self::HASH_QUEUE,
            hashing: EngineConfig::new(Self::HASH_WAIT),
            metrics: MetricsAccess::Off,
            cors_origins: Vec::new(),
            allow_hosts: Vec::new(),
            allow_remote_steering: false,
        }
    }
}

impl Config {
    pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);
    pub(crate) const DATABASE: &str = "thanos-login.db";
    pub(crate) const HASH_QUEUE: usize = 256;
    pub(crate) const HASH_WAIT: Duration = Duration::from_secs(30);

    /// The hosts for which a demo answers.
    pub(crate) fn hosts(&self) -> Hosts {
        let certified = match &self.tls {
            Some(Certificate::SelfSigned(names)) => &names[..],
            Some(Certificate::Files { .. }) | None => &[],
        };
        // An invalid name is refused when the certificate is made.
        let certified = certified.iter().filter_map(|name| name.parse().ok());
        Hosts {
            allowed: self.allow_hosts.iter().cloned().chain(certified).collect(),
            every: self.allow_remote_steering,
        }
    }
}

impl Database {
    /// The parent of the directory for the private sockets and the files of a demo.
    pub(crate) fn scratch_parent(&self) -> PathBuf {
        match self {
            Self::File(path) => scratch::parent(path),
            _ => scratch::parent(Path::new("")),
        }
    }

    /// `scratch` is the directory for the files of a demo.
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
            // The authority's files are created in the working directory.
            #[cfg(feature = "postgres")]
            Self::Servers(_) => PathBuf::from(Config::DATABASE),
        }
    }
}

impl MetricsAccess {
    /// What is served at the addresses of the calls.
    pub(crate) fn beside_calls(self) -> Exposure {
        match self {
            Self::WithCalls => Exposure::ApiAndMetrics,
            Self::Off | Self::At(_) => Exposure::Api,
        }
    }
}

impl Certificate {
    /// `scratch` is the directory for the files of a demo.
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

/// The database file of a demo. It has a directory of its own, since creating the authority locks the directory.
pub(crate) fn demo_database(scratch: &Path) -> PathBuf {
    scratch.join("demo/demo.db")
}

/// The path of the authority's certificate with [`Certificate::SelfSigned`].
pub(crate) fn own_authority(database: &Path) -> PathBuf {
    database.with_file_name("thanos-login-ca.pem")
}

pub(crate) fn loopback(port: u16) -> Address {
    Address::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
}
