//! Runs docs/several-machines.md unchanged from top to bottom, with all its machines on this one.
//!
//! Only addresses, ports and file paths are replaced. The test starts what systemd starts there.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::account::assert_good;
use crate::harness::accounts;
use crate::harness::deployed::{ProxyProcess, adapted, deployed, start_nginx};
use crate::harness::page::{assert_shows, examples};
use crate::harness::postgres::PostgresServer;
use crate::harness::process::PROGRAM;
use crate::harness::{HeldPort, Place, Server, eventually};

const PAGE: &str = include_str!("../../docs/several-machines.md");

const SITE: &str = "stable.projectthanos.com";

/// The arguments of setpriv for the user as which the harness runs PostgreSQL when root runs the tests.
const AS_NOBODY: [&str; 4] = [
    "setpriv",
    "--reuid=nobody",
    "--regid=nogroup",
    "--clear-groups",
];

struct Machines {
    proxy: Place,
    logins: [Place; 2],
    /// The directory for `data` of the second database, until that runs.
    empty: Option<TempDir>,
    databases: Vec<PostgresServer>,
    /// The ports of the databases, of the login servers and of nginx.
    ports: [HeldPort; 3],
    servers: Vec<Server>,
    nginx: Option<ProxyProcess>,
}

impl Machines {
    fn new() -> Self {
        let ports = [(); 3].map(|()| HeldPort::new());
        let empty = tempfile::tempdir().unwrap();
        fs::set_permissions(empty.path(), PermissionsExt::from_mode(0o711)).unwrap();
        give_to_owner(empty.path());
        let port = format!("port={}", ports[0].number);
        let first = PostgresServer::start(&["listen_addresses=127.0.1.21", &port]);
        let old = accounts::organization(
            "Corner Shop",
            [
                serde_json::json!({"username": "ann@corner.example", "password": "a long and secret sentence"}),
                serde_json::json!({"username": "bob@corner.example", "password": "another one", "status": "DEACTIVATED"}),
            ],
        );
        let accounts = serde_json::json!({ "organizations": [old] });
        let roles = deployed("postgres/roles.sql");
        fs::write(first.directory().join("roles.sql"), roles).unwrap();
        let machines = Self {
            proxy: Place::new(),
            logins: [Place::seeded(&accounts), Place::new()],
            empty: Some(empty),
            databases: vec![first],
            ports,
            servers: Vec::new(),
            nginx: None,
        };
        // The page exports into a file of this name.
        fs::remove_file(machines.logins[0].path("accounts.json")).unwrap();
        for place in machines.logins.iter().chain([&machines.proxy]) {
            fs::create_dir(place.path("bin")).unwrap();
            symlink(PROGRAM, place.path("bin/thanos-login")).unwrap();
            place.write("bin/systemctl", "#!/bin/sh\n");
            let executable = PermissionsExt::from_mode(0o755);
            fs::set_permissions(place.path("bin/systemctl"), executable).unwrap();
        }
        machines
    }

    /// Gives the first database a certificate and the page's lines of `pg_hba.conf`, and the login servers its authority.
    fn protect(&self) {
        let first = self.databases[0].directory();
        first_certificates(&self.logins, [first, self.empty.as_ref().unwrap().path()]);
        let (rules, _) = examples(PAGE)
            .into_iter()
            .find(|(block, _)| block.language == "pg_hba.conf")
            .unwrap();
        let rules = format!("local all all trust\n{}", self.here(&rules.text, 0));
        fs::write(first.join("data/pg_hba.conf"), rules).unwrap();
        self.databases[0].stop("fast");
        self.databases[0].start_again(&["ssl=on"]);
    }

    /// Adapts a text of the page to this machine; `number` selects the files of the first or the second machine of a kind.
    fn here(&self, text: &str, number: usize) -> String {
        let place = &self.logins[number];
        let path = |name: &str| place.path(name).display().to_string();
        let deployed = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");
        let site = self.proxy.path("site.conf").display().to_string();
        let [databases, servers, _] = &self.ports;
        [
            ("10.0.0.0/24", "127.0.0.0/8"),
            // nginx connects from this address here.
            ("10.0.0.10", "127.0.0.1"),
            ("10.0.0.", "127.0.1."),
            ("5432", &databases.number.to_string()),
            ("8080", &servers.number.to_string()),
            ("/etc/default/thanos-login", &path("environment")),
            ("/etc/thanos-login/db-ca.pem", &path("db-ca.pem")),
            ("/var/lib/thanos-login/pgpass", &path("pgpass")),
            ("/var/lib/thanos-login", &path("")),
            (
                "/var/lib/postgresql/15/main",
                &self.data(number).display().to_string(),
            ),
            ("/usr/share/doc/thanos-login/examples", deployed),
            ("/etc/nginx/conf.d/thanos-login.conf", &site),
        ]
        .iter()
        .fold(text.to_owned(), |text, (there, here)| {
            text.replace(there, here)
        })
    }

    fn data(&self, number: usize) -> PathBuf {
        let running = self.databases.get(number).map(PostgresServer::directory);
        let directory = running.unwrap_or_else(|| self.empty.as_ref().unwrap().path());
        directory.join("data")
    }

    /// Runs a block on the machine that its first line names; returns the output.
    fn run(&self, block: &str) -> String {
        let (machine, _) = block.strip_prefix("# ").unwrap().split_once(',').unwrap();
        let number = usize::from(machine.ends_with('2'));
        let script = self.here(block, number);
        match machine {
            "db1" | "db2" => {
                let data = self.data(number);
                let mut command = owner_command();
                // The machines do not inherit the environment of the test.
                command
                    .current_dir(data.parent().unwrap())
                    .env_clear()
                    .env("PATH", env::var("PATH").unwrap())
                    .env("PGHOST", data.parent().unwrap())
                    .env("PGPORT", self.ports[0].number.to_string())
                    .env("PGUSER", "postgres");
                output(command.args(["bash", "-euc", &script]), block)
            }
            _ => {
                let place = match machine {
                    "proxy" => &self.proxy,
                    _ => &self.logins[number],
                };
                let bin = place.path("bin").display().to_string();
                let path = format!("{bin}:{}", env::var("PATH").unwrap());
                let mut command = Command::new("bash");
                command
                    .args(["-euc", &script])
                    .current_dir(place.path(""))
                    .env("PATH", path)
                    .env("HOME", place.path(""));
                output(&mut command, block)
            }
        }
    }

    /// Does what the machines do by themselves after a block.
    fn go_on_after(&mut self, block: &str) {
        if block.contains("cat >> /etc/default/thanos-login") {
            self.put_the_same_on_the_other();
        } else if block.contains("pg_basebackup") {
            self.start_standby();
        } else if block.contains("enable --now thanos-login") {
            self.servers.push(self.serve(self.servers.len()));
        } else if block.contains("reload nginx") {
            self.nginx = Some(self.start_nginx());
        }
    }

    fn put_the_same_on_the_other(&self) {
        let [first, second] = &self.logins;
        let read = |name: &str| fs::read_to_string(first.path(name)).unwrap();
        let paths = [first, second].map(|place| place.path("").display().to_string());
        let environment = adapted(
            read("environment"),
            &[("127.0.1.11", "127.0.1.12"), (&paths[0], &paths[1])],
        );
        second.write("environment", environment);
        second.write("pgpass", read("pgpass"));
        let only_owner = PermissionsExt::from_mode(0o600);
        fs::set_permissions(second.path("pgpass"), only_owner).unwrap();
    }

    /// Starts the standby, which has its own certificate and address.
    fn start_standby(&mut self) {
        let directory = self.empty.take().unwrap();
        for name in ["server.crt", "server.key"] {
            fs::rename(
                directory.path().join(name),
                directory.path().join("data").join(name),
            )
            .unwrap();
        }
        let socket = format!("unix_socket_directories={}", directory.path().display());
        let settings = ["listen_addresses=127.0.1.22", &socket];
        self.databases
            .push(PostgresServer::start_in(directory, &settings));
    }

    /// Starts a login server with the variables of its environment file, as systemd does.
    fn serve(&self, number: usize) -> Server {
        let place = &self.logins[number];
        let environment = fs::read_to_string(place.path("environment")).unwrap();
        environment
            .lines()
            .filter_map(|line| line.split_once('='))
            .fold(place.program(&["serve"]), |program, (name, value)| {
                program.env(name, value)
            })
            .env("THANOS_LOGIN_BCRYPT_COST", "10")
            .start()
    }

    fn start_nginx(&self) -> ProxyProcess {
        let port = self.ports[2].number;
        let path = |name: &str| self.proxy.path(name).display().to_string();
        write_certificate(&self.proxy.path(""), ["tls.pem", "tls.key"], SITE);
        let settings = format!(
            "connect-to = {SITE}:443:127.0.0.1:{port}\ncacert = {}\nsilent\n",
            path("tls.pem")
        );
        self.proxy.write(".curlrc", settings);
        let site = fs::read_to_string(self.proxy.path("site.conf")).unwrap();
        let site = adapted(
            self.here(&site, 0),
            &[
                ("listen 443 ssl", &format!("listen 127.0.0.1:{port} ssl")),
                ("/etc/thanos-login/fullchain.pem", &path("tls.pem")),
                ("/etc/thanos-login/privkey.pem", &path("tls.key")),
            ],
        );
        start_nginx(&self.proxy, port, &site)
    }

    /// Logs in through nginx with the command of the page; returns the token of a successful login.
    fn log_in(&self) -> Option<String> {
        let (block, _) = examples(PAGE)
            .into_iter()
            .find(|(block, _)| block.text.starts_with("# proxy, as root\ncurl "))
            .unwrap();
        let answer: serde_json::Value = serde_json::from_str(&self.run(&block.text)).unwrap();
        Some(answer.get("auth_token")?.as_str().unwrap().to_owned())
    }
}

/// Writes self-signed certificates for both databases.
fn first_certificates(logins: &[Place; 2], [first, second]: [&Path; 2]) {
    write_certificate(first, ["data/server.crt", "data/server.key"], "127.0.1.21");
    write_certificate(second, ["server.crt", "server.key"], "127.0.1.22");
    let read = |path: PathBuf| fs::read_to_string(path).unwrap();
    let authorities = read(first.join("data/server.crt")) + &read(second.join("server.crt"));
    for place in logins {
        place.write("db-ca.pem", &authorities);
    }
}

fn write_certificate(directory: &Path, names: [&str; 2], subject: &str) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new([subject.to_owned()]).unwrap();
    let texts = [params.self_signed(&key).unwrap().pem(), key.serialize_pem()];
    for (name, text) in names.iter().zip(texts) {
        let path = directory.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        give_to_owner(&path);
    }
}

/// Changes the owner of a file to the user that runs the databases.
fn give_to_owner(path: &Path) {
    if rustix::process::geteuid().is_root() {
        chown(path, Some(65534), Some(65534)).unwrap();
    }
}

fn owner_command() -> Command {
    let words: &[&str] = if rustix::process::geteuid().is_root() {
        &AS_NOBODY
    } else {
        &["env"]
    };
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    command
}

#[track_caller]
fn output(command: &mut Command, block: &str) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{block}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Kills a database, as when its machine is lost.
fn kill(database: &PostgresServer) {
    let pid = fs::read_to_string(database.directory().join("data/postmaster.pid")).unwrap();
    let pid = pid.lines().next().unwrap().parse().unwrap();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[test]
#[ignore = "needs PostgreSQL, nginx and curl"]
fn the_page_about_several_machines_does_what_it_shows() {
    let mut machines = Machines::new();
    machines.protect();
    let mut tokens = Vec::new();
    let mut count = 0;
    for (block, shown) in examples(PAGE) {
        if block.language != "sh" {
            continue;
        }
        count += 1;
        if block.text.contains("pg_promote") {
            tokens = lose_a_server_and_the_primary(&mut machines);
        }
        let printed = machines.run(&block.text);
        if let Some(shown) = shown {
            assert_shows(&machines.here(&shown, 0), &printed, &block.text);
        }
        machines.go_on_after(&block.text);
        if block.text.contains("pg_promote") {
            eventually("logins are answered again", || machines.log_in().is_some());
        }
    }
    assert!(count >= 10, "only {count} blocks were found");
    assert_eq!(tokens.len(), 20);
    for token in tokens {
        assert_good(machines.servers.last().unwrap(), &token);
    }
}

/// Checks that logins reach both servers and continue without one of them; then kills the primary. Returns the tokens that
/// were answered.
fn lose_a_server_and_the_primary(machines: &mut Machines) -> Vec<String> {
    let log_in = |machines: &Machines| machines.log_in().expect("a token");
    let mut tokens: Vec<_> = (0..10).map(|_| log_in(machines)).collect();
    for server in &machines.servers {
        eventually("each has answered some", || {
            server.log().contains("/user-login/")
        });
    }
    machines.servers.remove(0).kill();
    tokens.extend((0..10).map(|_| log_in(machines)));
    assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), tokens.len());
    kill(&machines.databases[0]);
    tokens
}
