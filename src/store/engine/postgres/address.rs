//! The address of a PostgreSQL database: its servers, its name and the user, parsed from a URL.

use std::fmt;
use std::time::Duration;

use nix::unistd::{User, geteuid};
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, Host};

use super::url::{Url, Values};

/// The default port.
const PORT: u16 = 5432;

/// The parameters that the query of a URL may have.
const PARAMETERS: &str = "user, password, host, port, dbname, sslmode, target_session_attrs, connect_timeout, channel_binding, application_name and options";

/// The servers of a database, its name and the user to log in as. `Display` omits the password.
#[derive(Clone)]
pub struct Address {
    /// The settings that are the same for each server: everything but the hosts.
    pub(super) config: Config,
    pub(super) servers: Vec<Server>,
    /// Whether servers that accept only reads, such as standbys, are skipped.
    pub(super) must_write: bool,
    /// Whether the name in a certificate must match the host in the URL.
    pub(super) checks_names: bool,
    /// The time limit for connecting to one server. `None` for the default.
    pub(super) connect_timeout: Option<Duration>,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) is_tls: bool,
}

/// Why a URL is not valid. The messages contain no part of the URL that may be a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text is not a URL of this form.
    #[error(
        "the URL of a database is postgres://USER@HOST:PORT/DATABASE; write several HOST:PORT separated by commas"
    )]
    Form,
    /// A character must be percent-encoded, or a percent-encoding is malformed.
    #[error(
        "in the URL of a database, write @ / ? & % and : in names and passwords as %40 %2F %3F %26 %25 and %3A, in UTF-8 and without %00"
    )]
    Encoding,
    /// A part of the query is not of the form NAME=VALUE.
    #[error("the query of the URL of a database is NAME=VALUE; write several separated by &")]
    Query,
    /// A parameter is unknown.
    #[error("the URL of a database cannot have {0}; its parameters are {PARAMETERS}")]
    Parameter(String),
    /// The value of a parameter is not valid.
    #[error("{0}")]
    Value(&'static str),
    /// The URL names no database.
    #[error("the URL names no database: postgres://USER@HOST/DATABASE")]
    NoDatabase,
    /// The URL names no host.
    #[error(
        "the URL names no host: postgres://USER@HOST/DATABASE, or postgres://USER@/DATABASE?host=/run/postgresql for a socket in that directory"
    )]
    NoHost,
    /// The URL names no user, and the system user has no name.
    #[error("the URL names no user: postgres://USER@HOST/DATABASE")]
    NoUser,
}

/// How connections are protected.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Protection {
    /// TLS with full verification, except for addresses of this machine.
    Usual,
    /// No TLS.
    None,
    /// TLS. The certificate must be signed by a trusted authority.
    Authority,
    /// TLS. The certificate must be signed by a trusted authority and be valid for the host.
    Full,
}

impl Address {
    /// Parses a URL. With an authority, TLS is also used for servers on this machine.
    ///
    /// # Errors
    /// [`AddressError`] if the URL is not valid.
    pub fn new(url: &str, has_authority: bool) -> Result<Self, AddressError> {
        let values = Url::split(url)?.values()?;
        let database = values.database.as_deref().filter(|name| !name.is_empty());
        let mut config = Config::new();
        config.dbname(database.ok_or(AddressError::NoDatabase)?);
        config.user(
            values
                .user
                .clone()
                .filter(|name| !name.is_empty())
                .map_or_else(system_user, Ok)?,
        );
        if let Some(password) = values
            .password
            .as_ref()
            .filter(|password| !password.is_empty())
        {
            config.password(password.as_bytes());
        }
        config.application_name("thanos-login");
        let mut address = Self {
            config,
            servers: Vec::new(),
            must_write: values.hosts.len() > 1,
            checks_names: true,
            connect_timeout: None,
        };
        let mut protection = if has_authority {
            Protection::Full
        } else {
            Protection::Usual
        };
        for (name, value) in &values.parameters {
            match name.as_str() {
                "sslmode" => protection = protection_of(value)?,
                _ => address.set(name, value)?,
            }
        }
        if has_authority && protection == Protection::None {
            return Err(AddressError::Value(
                "--db-ca cannot be combined with sslmode=disable",
            ));
        }
        address.checks_names = protection != Protection::Authority;
        address.servers = servers(&values, protection)?;
        Ok(address)
    }

    /// The name of the database.
    pub fn database(&self) -> &str {
        self.config.get_dbname().unwrap_or_default()
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), AddressError> {
        match (name, value) {
            ("target_session_attrs", "any") => self.must_write = false,
            ("target_session_attrs", "read-write" | "primary") => self.must_write = true,
            ("target_session_attrs", _) => {
                return Err(AddressError::Value(
                    "target_session_attrs is read-write, primary or any: tokens are written",
                ));
            }
            ("connect_timeout", value) => {
                let seconds: u64 = value.parse().map_err(|_| {
                    AddressError::Value(
                        "connect_timeout is a number of seconds; 0 is the default limit",
                    )
                })?;
                self.connect_timeout = (seconds > 0).then(|| Duration::from_secs(seconds));
            }
            ("channel_binding", value) => {
                self.config.channel_binding(match value {
                    "disable" => ChannelBinding::Disable,
                    "prefer" => ChannelBinding::Prefer,
                    "require" => ChannelBinding::Require,
                    _ => {
                        let text = "channel_binding is disable, prefer or require";
                        return Err(AddressError::Value(text));
                    }
                });
            }
            ("application_name", name) => {
                self.config.application_name(name);
            }
            ("options", options) => {
                self.config.options(options);
            }
            ("sslrootcert", _) => {
                return Err(AddressError::Value(
                    "--db-ca, not sslrootcert, names the certificate authority",
                ));
            }
            ("passfile", _) => {
                return Err(AddressError::Value(
                    "the variable PGPASSFILE, not passfile, names the password file",
                ));
            }
            _ => return Err(AddressError::Parameter(shown(name))),
        }
        Ok(())
    }
}

/// The name of a parameter for an error. A text that is not a name is not shown, because it may be part of a password.
fn shown(name: &str) -> String {
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    match name.len() < 30 && name.bytes().all(is_name) {
        true => format!("the parameter {name}"),
        false => "such a parameter".to_owned(),
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

fn system_user() -> Result<String, AddressError> {
    let user = User::from_uid(geteuid()).ok().flatten();
    user.map(|user| user.name).ok_or(AddressError::NoUser)
}

/// Parses `sslmode`. In libpq, `require` does not verify the certificate, so that an attacker on the network could
/// impersonate the server. Here it is the same as `verify-full`.
fn protection_of(mode: &str) -> Result<Protection, AddressError> {
    match mode {
        "disable" => Ok(Protection::None),
        "verify-ca" => Ok(Protection::Authority),
        "require" | "verify-full" => Ok(Protection::Full),
        _ => Err(AddressError::Value(
            "sslmode is verify-full, require (the same), verify-ca (does not check the host name) or disable (does not encrypt); modes that depend on the server are not supported",
        )),
    }
}

fn servers(values: &Values, protection: Protection) -> Result<Vec<Server>, AddressError> {
    let Values { hosts, ports, .. } = values;
    if hosts.is_empty() || hosts.iter().any(String::is_empty) {
        return Err(AddressError::NoHost);
    }
    if ports.len() > 1 && ports.len() != hosts.len() {
        return Err(AddressError::Value(
            "give one port for all hosts, or one for each",
        ));
    }
    let server = |(index, name): (usize, &String)| {
        let port = ports
            .get(index)
            .or(ports.first())
            .map_or(Ok(PORT), |text| port(text))?;
        let is_socket = name.starts_with('/');
        Ok(Server {
            port,
            is_tls: match protection {
                _ if is_socket => false,
                Protection::None => false,
                Protection::Authority | Protection::Full => true,
                Protection::Usual => !is_this_machine(name),
            },
            host: match is_socket {
                true => Host::Unix(name.into()),
                false => Host::Tcp(name.clone()),
            },
        })
    };
    hosts.iter().enumerate().map(server).collect()
}

fn port(text: &str) -> Result<u16, AddressError> {
    if text.is_empty() {
        return Ok(PORT);
    }
    let port = text.parse().ok().filter(|port| *port != 0);
    // The error does not contain the text, which may be part of a password.
    port.ok_or(AddressError::Value("a port in the URL of the database is not a number from 1 to 65535; write a : in a name or a password as %3A"))
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
            let address = Address::new(url, false).unwrap_or_else(|error| panic!("{url}: {error}"));
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
            assert!(!address.to_string().contains("s@cret"));
        }
    }

    #[test]
    fn an_authority_enables_tls_on_this_machine() {
        let address = Address::new(
            "postgres://u@127.0.0.1,/run/x/d?host=localhost,/run/x",
            true,
        );
        let address = address.unwrap_or_else(|error| panic!("{error}"));
        let is_tls: Vec<bool> = address.servers.iter().map(|server| server.is_tls).collect();
        assert_eq!(is_tls, [true, false]);
        assert!(address.checks_names);
        assert!(Address::new("postgres://u@a/d?sslmode=disable", true).is_err());
    }

    #[test]
    fn ports_and_databases_may_be_parameters() {
        for (url, shown) in [
            ("postgres://u@a,b:2/d?port=7", "a:7,b:7/d"),
            ("postgres://u@/d?host=a,b&port=1,", "a:1,b:5432/d"),
            ("postgres://u@a/x?dbname=d%2F", "a:5432/d/"),
            (
                "postgres://u@a:/d?connect_timeout=2&options=-c%20jit%3Doff&",
                "a:5432/d",
            ),
            (
                "postgres://u@a?dbname=d&application_name=x&channel_binding=require",
                "a:5432/d",
            ),
            ("postgres://a/d?target_session_attrs=primary", "a:5432/d"),
        ] {
            let address = Address::new(url, false).unwrap_or_else(|error| panic!("{url}: {error}"));
            assert_eq!(address.to_string(), shown, "{url}");
            assert!(address.config.get_user().is_some());
        }
    }

    #[test]
    fn other_urls_are_refused_and_the_error_does_not_show_the_password() {
        for (url, named) in [
            ("postgres://u:secret@a", "no database"),
            ("postgres://u:secret@a/", "no database"),
            ("postgres://u:secret@/d", "no host"),
            ("postgres://u:secret@a,/d", "no host"),
            ("postgres://u:secret@a:x/d", "port"),
            ("postgres://u:secret@a:0/d", "port"),
            ("postgres://u:secret@a:65536/d", "port"),
            (
                "postgres://u:secret@a,b,c/d?port=1,2",
                "one port for all hosts",
            ),
            ("postgres://u:secret@[::1/d", "HOST:PORT"),
            ("postgres://u:secret@[::1]x/d", "HOST:PORT"),
            ("postgres://u:secret@a/d?sslmode=prefer", "sslmode is"),
            ("postgres://u:x@a/d?sslmode=secret", "sslmode is"),
            (
                "postgres://u:secret@a/d?target_session_attrs=read-only",
                "tokens are written",
            ),
            (
                "postgres://u:secret@a/d?nonsense=1",
                "the parameter nonsense; its parameters are user",
            ),
            ("postgres://u:secret@a/d?sslrootcert=x", "--db-ca"),
            ("postgres://u:secret@a/d?passfile=x", "PGPASSFILE"),
            ("postgres://u:secret@a/d?connect_timeout", "NAME=VALUE"),
            ("postgres://u:secret@a/d?connect_timeout=x", "seconds"),
            (
                "postgres://u:secret@a/d?channel_binding=x",
                "channel_binding is",
            ),
            ("postgres://u:secr%zzet@a/d", "%40"),
            ("postgres://u:secret%@a/d", "%40"),
            ("postgres://u:secret@a%00/d", "%40"),
            ("postgres://u:%FFsecret@a/d", "%40"),
            ("postgres://u:x@secret@a/d", "%40"),
            ("postgres://u:x/secret@a/d", "%40"),
            ("postgres://u:x?secret@a/d", "%40"),
            ("postgres://u:secret/x@a/d", "%40"),
        ] {
            let error = Address::new(url, false).err();
            let error = error.unwrap_or_else(|| panic!("{url}")).to_string();
            assert!(error.contains(named), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
