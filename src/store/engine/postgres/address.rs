//! Where a database is, as a URL says it.

use std::fmt;
use std::str::FromStr;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, TargetSessionAttrs};

/// The port where the URL has none.
const PORT: u16 = 5432;

/// The servers of a database, and as whom to log in. Shown without the password.
#[derive(Clone)]
pub struct Address {
    /// All of it but the hosts is sent to each server.
    pub(super) config: Config,
    pub(super) servers: Vec<Server>,
    /// Whether one that only reads, such as a standby, is passed over.
    pub(super) must_write: bool,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) is_tls: bool,
}

/// Why a URL means no database.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is none of these URLs.
    #[error(
        "a URL of a database is postgres://USER@HOST:PORT/DATABASE, with several hosts between commas if there are"
    )]
    Form,
    /// A parameter is not known, or its value is not.
    #[error("{0}")]
    Parameter(String),
    /// It names no database.
    #[error("the URL names no database: postgres://USER@HOST/DATABASE")]
    NoDatabase,
}

/// How connections are protected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protection {
    /// TLS, but for addresses of this machine.
    Usual,
    None,
    Tls,
}

impl Address {
    /// The name of the database.
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(url: &str) -> Result<Self, AddressError> {
        let (rest, protection) = take_protection(url)?;
        let mut config: Config = rest.parse().map_err(explain)?;
        if config.get_dbname().is_none_or(str::is_empty) {
            return Err(AddressError::NoDatabase);
        }
        let must_write = match config.get_target_session_attrs() {
            TargetSessionAttrs::Any => config.get_hosts().len() > 1,
            TargetSessionAttrs::ReadWrite => true,
            _ => {
                let text = "target_session_attrs is read-write or any: tokens are written";
                return Err(AddressError::Parameter(text.to_owned()));
            }
        };
        let servers = servers(&config, protection);
        if servers.is_empty() {
            return Err(AddressError::Form);
        }
        config.application_name("thanos-login");
        Ok(Self {
            config,
            servers,
            must_write,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.servers.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            server.fmt(f)?;
        }
        write!(f, "/{}", self.database())
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, .. } = self;
        match host {
            Host::Tcp(name) if name.contains(':') => write!(f, "[{name}]:{port}"),
            Host::Tcp(name) => write!(f, "{name}:{port}"),
            Host::Unix(directory) => write!(f, "{}:{port}", directory.display()),
        }
    }
}

/// The library knows other values than users of the database do, so `sslmode` is taken out before it reads the rest.
fn take_protection(url: &str) -> Result<(String, Protection), AddressError> {
    let Some((start, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), Protection::Usual));
    };
    let (mut kept, mut protection) = (Vec::new(), Protection::Usual);
    for parameter in query.split('&') {
        protection = match parameter.strip_prefix("sslmode=") {
            None => {
                kept.push(parameter);
                continue;
            }
            Some("disable") => Protection::None,
            Some("require" | "verify-ca" | "verify-full") => Protection::Tls,
            Some(other) => {
                return Err(AddressError::Parameter(format!(
                    "sslmode={other}: it is disable or verify-full; `require` and `verify-ca` are taken as verify-full, and nothing is sent in clear that was to be protected"
                )));
            }
        };
    }
    Ok((format!("{start}?{}", kept.join("&")), protection))
}

/// The library's texts name the key, and no value.
fn explain(error: tokio_postgres::Error) -> AddressError {
    let source = error.into_source();
    source.map_or(AddressError::Form, |source| {
        AddressError::Parameter(format!("the URL of the database: {source}"))
    })
}

fn servers(config: &Config, protection: Protection) -> Vec<Server> {
    let ports = config.get_ports();
    let server = |(index, host): (usize, &Host)| Server {
        port: *ports.get(index).or(ports.first()).unwrap_or(&PORT),
        is_tls: match (protection, host) {
            (Protection::None, _) | (_, Host::Unix(_)) => false,
            (Protection::Tls, _) => true,
            (Protection::Usual, Host::Tcp(name)) => !is_this_machine(name),
        },
        host: host.clone(),
    };
    config.get_hosts().iter().enumerate().map(server).collect()
}

fn is_this_machine(name: &str) -> bool {
    let address = name.parse::<std::net::IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_servers_and_a_database() {
        for (url, shown, tls, must_write) in [
            (
                "postgres://u@db.example/accounts",
                "db.example:5432/accounts",
                vec![true],
                false,
            ),
            (
                "postgresql://u:s%40cret@127.0.0.1:5433/a",
                "127.0.0.1:5433/a",
                vec![false],
                false,
            ),
            (
                "postgres://u@a:1,[::1]:2,c/d",
                "a:1,[::1]:2,c:5432/d",
                vec![true, false, true],
                true,
            ),
            (
                "postgres://u@a,b/d?sslmode=disable&target_session_attrs=read-write",
                "a:5432,b:5432/d",
                vec![false, false],
                true,
            ),
            (
                "postgres://u@localhost/d?sslmode=verify-full",
                "localhost:5432/d",
                vec![true],
                false,
            ),
            (
                "postgres://u@%2Frun%2Fpostgresql/d",
                "/run/postgresql:5432/d",
                vec![false],
                false,
            ),
            (
                "postgres:///d?host=/run/postgresql&user=u",
                "/run/postgresql:5432/d",
                vec![false],
                false,
            ),
        ] {
            let address: Address = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(address.to_string(), shown);
            assert_eq!(
                address
                    .servers
                    .iter()
                    .map(|server| server.is_tls)
                    .collect::<Vec<_>>(),
                tls,
                "{url}"
            );
            assert_eq!(address.must_write, must_write, "{url}");
            assert!(!format!("{:?}", address.config).contains("s@cret"));
        }
    }

    #[test]
    fn other_urls_are_refused_without_their_password() {
        for url in [
            "postgres://u:secret@a",
            "postgres://u:secret@/d",
            "postgres://u:secret@a:x/d",
            "postgres://u:secret@a/d?sslmode=prefer",
            "postgres://u:secret@a/d?sslmode=secret",
            "postgres://u:secret@a/d?target_session_attrs=read-only",
            "postgres://u:secret@a/d?nonsense=1",
            "postgres://u:secret@a/d?connect_timeout",
        ] {
            let error = url
                .parse::<Address>()
                .err()
                .unwrap_or_else(|| panic!("{url}"));
            if !url.contains("sslmode=secret") {
                assert!(!error.to_string().contains("secret"), "{error}");
            }
        }
    }
}
