//! The flags of `serve` with their environment variables, and the [`Config`] that they result in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgMatches, ValueHint};
use ipnet::IpNet;

use crate::auth::{FailedLoginLimits, Policy};
use crate::cli::database::{CostArgs, DatabaseArgs};
use crate::cli::{WrongUsage, logging, parse, seed};
use crate::duration;
use crate::gate::{self, Address, SocketMode};
use crate::hashing::EngineConfig;
use crate::http::TrustedProxies;
use crate::server::Origin;
use crate::store::WhenMissing;
use crate::stub::Host;
use crate::{Certificate, Config, Database, MetricsAccess};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Listen on this address: IP:PORT (port 0 chooses a free port), localhost:PORT or unix:PATH; repeatable
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "THANOS_LOGIN_LISTEN",
        value_delimiter = ',',
        value_parser = parse::listed::<Address>,
        default_values_t = [Address::Tcp(Config::LISTEN)]
    )]
    pub(super) listen: Vec<Address>,
    /// Permissions of the socket file, in octal; 0660 also lets the group connect
    #[arg(
        long,
        value_name = "MODE",
        env = "THANOS_LOGIN_SOCKET_MODE",
        default_value_t
    )]
    socket_mode: SocketMode,
    #[command(flatten)]
    pub(super) database: DatabaseArgs,
    /// Create the database if it is missing; always on without --db, and for a PostgreSQL URL
    #[arg(long, env = "THANOS_LOGIN_CREATE", value_parser = parse::switch)]
    pub(super) create: bool,
    /// Serve the demo accounts from a temporary database
    #[arg(long, env = "THANOS_LOGIN_DEMO", value_parser = parse::switch)]
    pub(super) demo: bool,
    /// With --demo: serve the accounts of this fixture
    #[arg(long, value_name = "FILE", env = "THANOS_LOGIN_FIXTURE")]
    pub(super) fixture: Option<PathBuf>,
    /// With --demo: allow addresses that other machines can reach, and accept any Host
    #[arg(long, env = "THANOS_LOGIN_ALLOW_REMOTE_DEMO", value_parser = parse::switch)]
    pub(super) allow_remote_demo: bool,
    /// With --demo: also accept this Host, such as 10.0.2.2; repeatable
    #[arg(
        long,
        value_name = "NAME",
        env = "THANOS_LOGIN_ALLOW_HOST",
        value_delimiter = ',',
        value_parser = parse::listed::<Host>,
        value_hint = ValueHint::Hostname
    )]
    allow_host: Vec<Host>,
    /// Stop when the parent process ends, or when standard input is a pipe and is closed
    #[arg(long, env = "THANOS_LOGIN_EXIT_WITH_PARENT", value_parser = parse::switch)]
    pub(super) exit_with_parent: bool,
    /// Trust X-Forwarded-For of reverse proxies in this network, such as 10.0.0.0/8; repeatable
    #[arg(
        long,
        value_name = "CIDR",
        env = "THANOS_LOGIN_TRUSTED_PROXY",
        value_delimiter = ',',
        value_parser = parse::network
    )]
    trusted_proxy: Vec<IpNet>,
    /// Allow pages of this origin, such as https://shop.example, to make the calls; with --demo also
    /// capacitor://localhost, ionic://localhost, tauri://localhost or null; repeatable
    #[arg(
        long,
        value_name = "ORIGIN",
        env = "THANOS_LOGIN_CORS_ORIGIN",
        value_delimiter = ',',
        value_parser = parse::listed::<Origin>
    )]
    pub(super) cors_origin: Vec<Origin>,
    #[command(flatten)]
    tokens: TokenArgs,
    #[command(flatten)]
    failed_logins: FailedLoginArgs,
    /// Keep logins and changes by operators in the table events for this long; 0 keeps none
    #[arg(long, value_name = "DURATION", env = "THANOS_LOGIN_KEEP_EVENTS", value_parser = parse::duration, default_value = keep_events())]
    keep_events: Duration,
    #[command(flatten)]
    hashing: HashingArgs,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    limits: LimitArgs,
    /// Serve metrics for Prometheus at /metrics
    #[arg(long, env = "THANOS_LOGIN_METRICS", value_parser = parse::switch)]
    metrics: bool,
    /// Serve metrics for Prometheus at this address only
    #[arg(long, value_name = "IP:PORT", env = "THANOS_LOGIN_METRICS_LISTEN", value_parser = parse::tcp_address)]
    metrics_listen: Option<SocketAddr>,
    #[command(flatten)]
    pub(super) logging: logging::Args,
    /// Print every setting with its value and origin (flag, variable or default), report what a start would warn about
    /// or fail on, and exit
    #[arg(long, env = "THANOS_LOGIN_CHECK_CONFIG", value_parser = parse::switch)]
    pub(super) check_config: bool,
}

#[derive(clap::Args)]
struct TokenArgs {
    /// Lifetime of a token; 0 means that tokens do not expire
    #[arg(long, value_name = "DURATION", env = "THANOS_LOGIN_TOKEN_TTL", value_parser = parse::duration, default_value = token_ttl())]
    token_ttl: Duration,
    /// Maximum number of valid tokens of one user; a further login ends the oldest
    #[arg(
        long,
        value_name = "NUMBER",
        env = "THANOS_LOGIN_MAX_TOKENS_PER_USER",
        value_parser = parse::size::<u32>,
        default_value_t = Policy::DEFAULT.max_tokens_per_user
    )]
    max_tokens_per_user: u32,
}

#[derive(clap::Args)]
struct FailedLoginArgs {
    /// Period in which failed logins are counted, starting with the first one
    #[arg(
        long,
        value_name = "DURATION",
        env = "THANOS_LOGIN_FAILED_LOGIN_WINDOW",
        value_parser = parse::positive_duration,
        default_value = duration::format(FailedLoginLimits::DEFAULT.window)
    )]
    failed_login_window: Duration,
    #[arg(
        long,
        value_name = "NUMBER",
        env = "THANOS_LOGIN_FAILED_LOGINS_PER_USER",
        value_parser = parse::count::<u32>,
        help = limit("Maximum number of failed logins of one username from one client address", |limits| limits.per_pair)
    )]
    failed_logins_per_user: Option<u32>,
    #[arg(
        long,
        value_name = "NUMBER",
        env = "THANOS_LOGIN_FAILED_LOGINS_PER_ADDRESS",
        value_parser = parse::count::<u32>,
        help = limit("Maximum number of failed logins from one client address", |limits| limits.per_address)
    )]
    failed_logins_per_address: Option<u32>,
    #[arg(
        long,
        value_name = "NUMBER",
        env = "THANOS_LOGIN_FAILED_LOGINS_PER_ACCOUNT",
        value_parser = parse::count::<u32>,
        help = limit("Maximum number of failed logins of one username from all addresses", |limits| limits.per_username)
    )]
    failed_logins_per_account: Option<u32>,
}

#[derive(clap::Args)]
struct HashingArgs {
    #[command(flatten)]
    cost: CostArgs,
    /// Maximum number of running and waiting logins; further logins are answered 503; one client network gets at most
    /// half of them while others log in
    #[arg(
        long,
        value_name = "NUMBER",
        env = "THANOS_LOGIN_HASH_QUEUE",
        default_value_t = Config::HASH_QUEUE,
        value_parser = parse::size::<usize>
    )]
    hash_queue: usize,
    /// Number of hashing threads [default: one per core]
    #[arg(long, value_name = "NUMBER", env = "THANOS_LOGIN_HASH_THREADS", value_parser = parse::threads)]
    hash_threads: Option<usize>,
    /// Number of passwords that each thread hashes at once, 1 to 10, plus one lane reserved for a client network that has
    /// no other login in progress [default: the fastest of 6 to 8, measured at the start]
    #[arg(long, value_name = "NUMBER", env = "THANOS_LOGIN_HASH_LANES", value_parser = parse::lanes)]
    hash_lanes: Option<usize>,
    /// Maximum time that a login waits for other attempts, and for its hashing to start; then it is answered 503
    #[arg(long, value_name = "DURATION", env = "THANOS_LOGIN_HASH_WAIT", value_parser = parse::positive_duration, default_value = duration::format(Config::HASH_WAIT))]
    hash_wait: Duration,
}

#[derive(clap::Args)]
struct TlsArgs {
    /// Serve TLS on TCP addresses with this certificate and its chain (PEM); read again on SIGHUP
    #[arg(long, value_name = "FILE", env = "THANOS_LOGIN_TLS_CERT")]
    tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert (PEM)
    #[arg(long, value_name = "FILE", env = "THANOS_LOGIN_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Serve TLS with a generated certificate for this name; its authority is created beside the database; repeatable
    #[arg(
        long,
        value_name = "NAME",
        env = "THANOS_LOGIN_TLS_SELF_SIGNED",
        value_delimiter = ',',
        value_parser = parse::listed::<String>,
        value_hint = ValueHint::Hostname,
        conflicts_with = "tls_cert"
    )]
    tls_self_signed: Vec<String>,
}

#[derive(clap::Args)]
struct LimitArgs {
    /// Maximum size of a request's head, in bytes
    #[arg(long, value_name = "BYTES", env = "THANOS_LOGIN_MAX_HEAD", default_value_t = gate::GateLimits::default().max_head, value_parser = parse::size::<usize>)]
    max_head: usize,
    /// Maximum number of header fields of a request
    #[arg(long, value_name = "NUMBER", env = "THANOS_LOGIN_MAX_HEADER_FIELDS", default_value_t = gate::GateLimits::default().max_header_fields, value_parser = parse::size::<usize>)]
    max_header_fields: usize,
    /// Maximum size of a request's body, in bytes
    #[arg(long, value_name = "BYTES", env = "THANOS_LOGIN_MAX_BODY", default_value_t = gate::GateLimits::default().max_body, value_parser = parse::size::<usize>)]
    max_body: usize,
    /// Maximum time from the first byte of a request to its last
    #[arg(long, value_name = "DURATION", env = "THANOS_LOGIN_REQUEST_TIMEOUT", default_value = duration::format(gate::GateLimits::default().request_timeout), value_parser = parse::positive_duration)]
    request_timeout: Duration,
    /// Close a connection whose answer makes no progress for this long, or is read at less than 1 kB per second
    #[arg(long, value_name = "DURATION", env = "THANOS_LOGIN_WRITE_TIMEOUT", default_value = duration::format(gate::GateLimits::default().write_timeout), value_parser = parse::positive_duration)]
    write_timeout: Duration,
    /// Maximum time that a connection is kept open without a request
    #[arg(long, value_name = "DURATION", env = "THANOS_LOGIN_IDLE_TIMEOUT", default_value = duration::format(gate::GateLimits::default().idle_timeout), value_parser = parse::positive_duration)]
    idle_timeout: Duration,
    /// Maximum number of open connections
    #[arg(long, value_name = "NUMBER", env = "THANOS_LOGIN_MAX_CONNECTIONS", default_value_t = gate::GateLimits::default().max_connections, value_parser = parse::size::<usize>)]
    max_connections: usize,
    /// Maximum number of connections from one client, an IPv4 address or an IPv6 /64, except for trusted proxies; 0
    /// means no limit [default: a quarter of all]
    #[arg(
        long,
        value_name = "NUMBER",
        env = "THANOS_LOGIN_MAX_CONNECTIONS_PER_CLIENT",
        value_parser = parse::count::<usize>
    )]
    max_connections_per_client: Option<usize>,
}

/// The default of `--token-ttl`, in the notation of flags.
fn token_ttl() -> String {
    duration::format(Policy::DEFAULT.token_ttl.unwrap_or_default())
}

/// The default of `--keep-events`, in the notation of flags.
fn keep_events() -> String {
    duration::format(Policy::DEFAULT.keep_events.unwrap_or_default())
}

/// The help of a limit on failed logins.
fn limit(counted: &str, of: impl Fn(FailedLoginLimits) -> u32) -> String {
    let [real, demo] = [FailedLoginLimits::DEFAULT, FailedLoginLimits::NONE].map(of);
    format!("{counted}; 0 means no limit [default: {real}, with --demo {demo}]")
}

impl Args {
    pub(super) fn into_config(self, matches: &ArgMatches) -> anyhow::Result<Config> {
        // A file of settings may set the variable to the default.
        let is_default = match matches.value_source("path") {
            Some(ValueSource::CommandLine) => false,
            Some(ValueSource::EnvVariable) => self.database.path == Path::new(Config::DATABASE),
            _ => true,
        };
        let cost = &self.hashing.cost;
        let bcrypt_cost = if self.demo { cost.demo() } else { cost.real()? };
        let database = if self.demo {
            let (file, read) = seed::read(self.fixture.as_deref())?;
            Database::Demo(read.without_findings(file)?)
        } else {
            self.database.location()?.into()
        };
        // A mistyped name of a database on servers fails without being created: servers refuse unknown databases.
        let is_file = matches!(database, Database::File(_));
        let when_missing = match self.create || is_default || !is_file {
            true => WhenMissing::Create,
            false => WhenMissing::Refuse,
        };
        let ttl = self.tokens.token_ttl;
        Ok(Config {
            listen: self.listen,
            socket_mode: self.socket_mode,
            tls: self.tls.certificate(),
            limits: self.limits.limits(),
            database,
            when_missing,
            policy: Policy {
                token_ttl: (!ttl.is_zero()).then_some(ttl),
                max_tokens_per_user: self.tokens.max_tokens_per_user,
                bcrypt_cost,
                failed_logins: self.failed_logins.limits(self.demo),
                keep_events: (!self.keep_events.is_zero()).then_some(self.keep_events),
            },
            trusted_proxies: TrustedProxies::new(self.trusted_proxy),
            hash_queue: self.hashing.hash_queue,
            hashing: self.hashing.engine(),
            metrics: match self.metrics_listen {
                Some(address) => MetricsAccess::At(address),
                None if self.metrics => MetricsAccess::WithCalls,
                None => MetricsAccess::Off,
            },
            cors_origins: self.cors_origin,
            allow_hosts: self.allow_host,
            allow_remote_steering: self.allow_remote_demo,
        })
    }
}

impl Args {
    /// The first address to listen on, and whether it uses TLS, which a socket file never does.
    pub(in crate::cli) fn first_address(&self) -> Option<(&Address, bool)> {
        let address = self.listen.first()?;
        let is_tcp = matches!(address, Address::Tcp(_));
        Some((address, is_tcp && self.tls.is_on()))
    }

    /// Checks that --tls-cert and --tls-key are given together. Not left to clap, which would only name the missing
    /// flag.
    pub(in crate::cli) fn check_tls(&self) -> Result<(), WrongUsage> {
        let (given, missing) = match (&self.tls.tls_cert, &self.tls.tls_key) {
            (Some(_), None) => ("--tls-cert", "--tls-key"),
            (None, Some(_)) => ("--tls-key", "--tls-cert"),
            _ => return Ok(()),
        };
        Err(WrongUsage(format!("{given} requires {missing}")))
    }
}

impl TlsArgs {
    fn is_on(&self) -> bool {
        self.tls_cert.is_some() || !self.tls_self_signed.is_empty()
    }

    fn certificate(self) -> Option<Certificate> {
        match (self.tls_cert, self.tls_key) {
            (Some(certificate), Some(key)) => Some(Certificate::Files { certificate, key }),
            _ if self.tls_self_signed.is_empty() => None,
            _ => Some(Certificate::SelfSigned(self.tls_self_signed)),
        }
    }
}

impl LimitArgs {
    fn limits(&self) -> gate::GateLimits {
        gate::GateLimits {
            max_head: self.max_head,
            max_header_fields: self.max_header_fields,
            max_body: self.max_body,
            request_timeout: self.request_timeout,
            write_timeout: self.write_timeout,
            idle_timeout: self.idle_timeout,
            max_connections: self.max_connections,
            max_connections_per_client: self.max_connections_per_client,
            ..gate::GateLimits::default()
        }
    }
}

impl HashingArgs {
    fn engine(&self) -> EngineConfig {
        let defaults = EngineConfig::new(self.hash_wait);
        EngineConfig {
            threads: self.hash_threads.unwrap_or(defaults.threads),
            lanes: self.hash_lanes.or(defaults.lanes),
            ..defaults
        }
    }
}

impl FailedLoginArgs {
    /// The limits on failed logins. A stub has no limits by default, since tests fail on purpose.
    fn limits(&self, demo: bool) -> FailedLoginLimits {
        let defaults = if demo {
            FailedLoginLimits::NONE
        } else {
            FailedLoginLimits::DEFAULT
        };
        FailedLoginLimits {
            window: self.failed_login_window,
            per_pair: self.failed_logins_per_user.unwrap_or(defaults.per_pair),
            per_address: self
                .failed_logins_per_address
                .unwrap_or(defaults.per_address),
            per_username: self
                .failed_logins_per_account
                .unwrap_or(defaults.per_username),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches, Parser};

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn config(words: &[&str]) -> Config {
        let matches = Command::command().get_matches_from(words);
        let command = Command::from_arg_matches(&matches).unwrap();
        command.args.into_config(&matches).unwrap()
    }

    #[test]
    fn a_missing_database_is_created_if_requested_or_if_it_is_the_default() {
        for (words, expected) in [
            (&["serve", "--db", "x.db"][..], WhenMissing::Refuse),
            (&["serve", "--db", Config::DATABASE], WhenMissing::Refuse),
            (&["serve", "--db", "x.db", "--create"], WhenMissing::Create),
            (&["serve"], WhenMissing::Create),
            #[cfg(feature = "postgres")]
            (&["serve", "--db", "postgres://u@a/d"], WhenMissing::Create),
        ] {
            assert_eq!(config(words).when_missing, expected, "{words:?}");
        }
    }

    #[test]
    fn without_flags_the_configuration_is_the_default() {
        let config = config(&["serve"]);
        let default = Config::default();
        assert_eq!(config.listen, default.listen);
        assert_eq!(config.socket_mode, default.socket_mode);
        assert!(config.tls.is_none() && default.tls.is_none());
        assert_eq!(config.limits, default.limits);
        let [path, default_path] = [config.database, default.database].map(|of| match of {
            Database::File(path) => path,
            _ => panic!("no file"),
        });
        assert_eq!(path, default_path);
        assert_eq!(config.when_missing, default.when_missing);
        assert_eq!(config.policy, default.policy);
        assert_eq!(config.hash_queue, default.hash_queue);
        assert_eq!(config.hashing, default.hashing);
        assert_eq!(config.metrics, default.metrics);
        assert_eq!(config.cors_origins, default.cors_origins);
        assert_eq!(config.allow_hosts, default.allow_hosts);
        assert_eq!(config.allow_remote_steering, default.allow_remote_steering);
    }
}
