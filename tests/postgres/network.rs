//! A PostgreSQL server that is reached over TCP and requires a password there.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};

use crate::harness::HeldPort;
use crate::harness::postgres::{PostgresServer, psql};

/// The user with a password, the password, and the password in percent-encoding.
pub const USER: &str = "keeper";
pub const SECRET: &str = "se/cr@t of:a%keeper";
pub const ENCODED: &str = "se%2Fcr%40t%20of%3Aa%25keeper";

/// A PostgreSQL server with a database `accounts` of that user. Its socket file requires no password.
pub struct Network {
    pub postgres: PostgresServer,
    pub port: HeldPort,
}

impl Network {
    /// Starts a server with this line of `pg_hba.conf` for TCP connections.
    #[track_caller]
    pub fn start(rule: &str) -> Self {
        let port = HeldPort::new();
        let number = format!("port={}", port.number);
        let settings = ["listen_addresses=127.0.0.1", &number];
        let postgres = PostgresServer::start(&settings);
        let network = Self { postgres, port };
        let admin = network.postgres.url("postgres");
        let secret = SECRET.replace('\'', "''");
        psql(
            &admin,
            &format!("CREATE ROLE {USER} LOGIN PASSWORD '{secret}'"),
        );
        psql(&admin, &format!("CREATE DATABASE accounts OWNER {USER}"));
        network.set_rules(rule);
        network
    }

    /// Starts a server with a certificate for a host; also returns the path of the certificate's authority.
    #[track_caller]
    pub fn with_tls(rule: &str, host: SanType) -> (Self, PathBuf) {
        let network = Self::start(rule);
        let directory = network.postgres.directory().to_owned();
        let (authority, certificate, key) = certificate(host);
        for (name, content, mode) in [
            ("ca.pem", authority, 0o644),
            ("server.pem", certificate, 0o644),
            ("server.key", key, 0o600),
        ] {
            let path = directory.join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let owner = fs::metadata(directory.join("data")).unwrap();
            chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        let admin = network.postgres.url("postgres");
        for (setting, name) in [
            ("ssl_cert_file", "server.pem"),
            ("ssl_key_file", "server.key"),
        ] {
            let path = directory.join(name);
            psql(
                &admin,
                &format!("ALTER SYSTEM SET {setting} = '{}'", path.display()),
            );
        }
        psql(&admin, "ALTER SYSTEM SET ssl = on");
        network.postgres.stop("fast");
        network.postgres.start_again(&[]);
        (network, directory.join("ca.pem"))
    }

    /// The URL of `accounts` over TCP; `userinfo` is the user and optionally the password.
    pub fn url(&self, userinfo: &str, query: &str) -> String {
        let port = self.port.number;
        format!("postgres://{userinfo}@127.0.0.1:{port}/accounts{query}")
    }

    /// The URL of `accounts` over the socket file, as the administrator.
    pub fn admin(&self) -> String {
        self.postgres.url("accounts")
    }

    /// The database as `host:port/database`, as in messages.
    pub fn shown(&self) -> String {
        format!("127.0.0.1:{}/accounts", self.port.number)
    }

    #[track_caller]
    fn set_rules(&self, rule: &str) {
        let path = self.postgres.directory().join("data/pg_hba.conf");
        fs::write(path, format!("local all all trust\n{rule}\n")).unwrap();
        psql(&self.postgres.url("postgres"), "SELECT pg_reload_conf()");
    }
}

/// Creates an authority, a certificate of it for a host, and the key of the certificate, in PEM format.
pub fn certificate(host: SanType) -> (String, String, String) {
    let authority_key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
        .distinguished_name
        .push(DnType::CommonName, "authority of a test");
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = Issuer::new(params, authority_key);
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![host];
    let certificate = params.signed_by(&key, &issuer).unwrap();
    (authority.pem(), certificate.pem(), key.serialize_pem())
}
