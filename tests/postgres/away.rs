//! A database whose servers are unavailable, or become so in the middle of an operation.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;

use rustix::process::Signal;

use super::{assert_unavailable, seeded, serve, tokens_of_logins_during};
use crate::account::{assert_good, call};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::postgres::{PostgresServer, psql};
use crate::harness::{HeldPort, Place, Server, eventually, request};

const OUR_SESSIONS: &str = "FROM pg_stat_activity WHERE application_name = 'thanos-login'";
const LOST: &str = "cannot connect to the database";
const FOUND: &str = "connected to the database again";

/// A server on the database of its own PostgreSQL server.
struct Setup {
    postgres: PostgresServer,
    url: String,
    place: Place,
    server: Server,
}

impl Setup {
    #[track_caller]
    fn new(settings: &[&str], flags: &[&str]) -> Self {
        let postgres = PostgresServer::start(settings);
        let url = postgres.create("accounts");
        let place = seeded(&url, &accounts::retailer([accounts::user(JWEIR)]));
        let server = serve(&place, &url, flags);
        Self {
            postgres,
            url,
            place,
            server,
        }
    }

    /// Checks that every call that needs the database is answered 503 and that the process is up.
    #[track_caller]
    fn assert_away(&self, token: &str) {
        assert_unavailable(&self.server.login(JWEIR, PASSWORD));
        for (method, path) in [
            ("GET", "/api/organizations/token-verify/"),
            ("GET", "/api/organizations/users/all/"),
            ("POST", "/api/organizations/user-logout/"),
            ("POST", "/api/organizations/user-logout-all/"),
            ("GET", "/readyz"),
        ] {
            assert_unavailable(&self.server.send(call(method, path, token)));
        }
        let healthy = self.server.send(request("GET", "/healthz", &[], ""));
        assert_eq!(healthy.status, 200);
    }

    fn sessions(&self) -> usize {
        let count = format!("SELECT count(*) {OUR_SESSIONS}");
        psql(&self.url, &count).parse().unwrap()
    }

    fn lines(&self, text: &str) -> usize {
        self.server.log().matches(text).count()
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn while_the_database_is_stopped_requests_are_answered_and_take_no_memory() {
    let setting = Setup::new(&[], &[]);
    let server = &setting.server;
    let token = server.login(JWEIR, PASSWORD).token();
    setting.postgres.stop("fast");
    setting.assert_away(&token);
    let log_in = |count: usize| {
        thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    (0..count).for_each(|_| assert_unavailable(&server.login(JWEIR, PASSWORD)));
                });
            }
        });
    };
    log_in(1);
    let before = server.peak_memory();
    log_in(10);
    let grown = server.peak_memory() - before;
    assert!(grown < 8 << 20, "{grown}");
    setting.postgres.start_again(&[]);
    assert_good(server, &token);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    let lines = (
        setting.lines(LOST),
        setting.lines(FOUND),
        setting.lines("request failed"),
    );
    assert!(matches!(lines, (1 | 2, 1, 0)), "{lines:?}");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_database_that_is_silent_holds_no_request_for_long() {
    let port = HeldPort::new();
    let setting = Setup::new(
        &[
            "listen_addresses=127.0.0.1",
            &format!("port={}", port.number),
        ],
        &[],
    );
    let by_tcp = format!("postgres://postgres@{}/accounts", port.on_loopback());
    let over_tcp = serve(&setting.place, &by_tcp, &[]);
    for server in [&setting.server, &over_tcp] {
        let token = server.login(JWEIR, PASSWORD).token();
        setting.postgres.signal(Signal::STOP);
        let verify = || server.send(call("GET", "/api/organizations/token-verify/", &token));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_unavailable(&server.login(JWEIR, PASSWORD)));
                scope.spawn(|| assert_unavailable(&verify()));
            }
        });
        let healthy = server.send(request("GET", "/healthz", &[], ""));
        assert_eq!(healthy.status, 200);
        setting.postgres.signal(Signal::CONT);
        eventually("the token is good again", || verify().status == 200);
        assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn sessions_that_are_ended_in_the_middle_of_logins_cost_nothing_but_503s() {
    let setting = Setup::new(
        &["restart_after_crash=on"],
        &["--max-tokens-per-user", "10000"],
    );
    let ended = format!("SELECT count(pg_terminate_backend(pid, 10000)) {OUR_SESSIONS}");
    let tokens = tokens_of_logins_during(&setting.server, || {
        for _ in 0..20 {
            psql(&setting.url, &ended);
        }
        // PostgreSQL ends all its sessions then, and starts again.
        let pid = loop {
            let pid = psql(&setting.url, &format!("SELECT pid {OUR_SESSIONS} LIMIT 1"));
            if !pid.is_empty() {
                break pid;
            }
        };
        let killed = Command::new("kill").args(["-KILL", &pid]).status();
        assert!(killed.unwrap().success());
        eventually("the token of another login counts", || {
            setting.server.login(JWEIR, PASSWORD).status == 200
        });
        setting.postgres.stop("fast");
        setting.postgres.start_again(&[]);
    });
    assert_eq!(setting.server.login(JWEIR, PASSWORD).status, 200);
    for token in &tokens {
        assert_good(&setting.server, token);
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_new_password_of_the_role_is_read_from_its_file() {
    let postgres = PostgresServer::start(&[]);
    let url = postgres.create("accounts");
    let place = seeded(&url, &accounts::retailer([accounts::user(JWEIR)]));
    psql(
        &url,
        "CREATE ROLE server SUPERUSER LOGIN PASSWORD 'the-first'",
    );
    require_password(&postgres);
    psql(&url, "SELECT pg_reload_conf()");
    let url_of_role = url.replace("postgres@", "server@");
    let file = place.path("passwords");
    let write = |password: &str| {
        fs::write(&file, format!("*:*:*:server:{password}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("the-first");
    let server = place
        .program(&["serve", "--db", &url_of_role])
        .env("PGPASSFILE", file.to_str().unwrap())
        .start();
    let token = server.login(JWEIR, PASSWORD).token();
    psql(&url, "ALTER ROLE server PASSWORD 'the-second'");
    // Open sessions stay open.
    assert_good(&server, &token);
    psql(
        &url,
        &format!("SELECT pg_terminate_backend(pid, 10000) {OUR_SESSIONS}"),
    );
    assert_unavailable(&server.login(JWEIR, PASSWORD));
    assert_unavailable(&server.login(JWEIR, PASSWORD));
    write("the-second");
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    eventually("it is logged", || {
        server.log().contains("password authentication failed")
    });
    let log = server.log();
    assert_eq!(log.matches(LOST).count(), 1, "{log}");
    assert!(log.contains("password authentication failed"), "{log}");
    assert!(!log.contains("the-first") && !log.contains("the-second"));
}

fn require_password(postgres: &PostgresServer) {
    let path = postgres.directory().join("data/pg_hba.conf");
    let rules = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("local all server scram-sha-256\n{rules}")).unwrap();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn many_logins_share_few_connections() {
    let setting = Setup::new(&[], &[]);
    let log_in = || {
        let login = || setting.server.login(JWEIR, PASSWORD);
        thread::scope(|scope| {
            let logins = [(); 64].map(|()| scope.spawn(login));
            logins.map(|login| login.join().unwrap())
        })
    };
    assert!(log_in().iter().all(|answer| answer.status == 200));
    let most = setting.sessions();
    assert!((1..=16).contains(&most), "{most}");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn calls_beyond_the_connections_that_a_role_may_have_wait_for_those() {
    let postgres = PostgresServer::start(&[]);
    let url = postgres.create("accounts");
    let place = seeded(&url, &accounts::retailer([accounts::user(JWEIR)]));
    let grants = "CREATE ROLE server LOGIN;
         GRANT USAGE ON SCHEMA thanos_login TO server;
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA thanos_login TO server;
         ALTER ROLE server CONNECTION LIMIT 2";
    psql(&url, grants);
    let server = serve(&place, &url.replace("postgres@", "server@"), &[]);
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let answer = server.login(JWEIR, PASSWORD);
                assert_eq!(answer.status, 200, "{answer:?}");
            });
        }
    });
    psql(&url, "ALTER ROLE server CONNECTION LIMIT 0");
    psql(
        &url,
        &format!("SELECT pg_terminate_backend(pid, 10000) {OUR_SESSIONS}"),
    );
    assert_unavailable(&server.login(JWEIR, PASSWORD));
    eventually("it is logged", || {
        server.log().contains("too many connections for role")
    });
    psql(&url, "ALTER ROLE server CONNECTION LIMIT 2");
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn commits_wait_for_the_disk_whatever_the_role_does_by_default() {
    for (given, expected) in [
        ("off", "on"),
        ("local", "local"),
        ("remote_apply", "remote_apply"),
    ] {
        let setting = Setup::new(&[], &[]);
        let watch = format!(
            "CREATE TABLE seen (setting TEXT);
             CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN INSERT INTO public.seen VALUES (current_setting('synchronous_commit')); RETURN NEW; END $$;
             CREATE TRIGGER see BEFORE INSERT ON thanos_login.tokens FOR EACH ROW EXECUTE FUNCTION see();
             ALTER ROLE postgres SET synchronous_commit = {given};
             SELECT count(pg_terminate_backend(pid, 10000)) {OUR_SESSIONS}"
        );
        psql(&setting.url, &watch);
        assert_eq!(setting.server.login(JWEIR, PASSWORD).status, 200);
        assert_eq!(psql(&setting.url, "SELECT setting FROM seen"), expected);
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_command_whose_backend_is_killed_ends() {
    let setting = Setup::new(&[], &[]);
    let mut lock = setting.postgres.session("accounts");
    lock.run("BEGIN; LOCK TABLE thanos_login.users IN ACCESS EXCLUSIVE MODE");
    let list = ["user", "list", "--db", &setting.url];
    let mut listing = setting.place.program(&list).spawn();
    let waiting = format!("SELECT pid {OUR_SESSIONS} AND wait_event_type = 'Lock'");
    eventually("the command waits for the table", || {
        !psql(&setting.url, &waiting).is_empty()
    });
    let pid = psql(&setting.url, &waiting);
    let killed = Command::new("kill")
        .args(["-KILL", pid.lines().next().unwrap()])
        .status();
    assert!(killed.unwrap().success());
    let ended = listing.wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("ended the connection"), "{ended:?}");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_locked_row_of_a_user_keeps_nobody_else_from_logging_in() {
    let setting = Setup::new(&[], &[]);
    let one_more = [
        "user",
        "add",
        "zoe@projectthanos.com",
        "--org",
        "projectthanos",
        "--db",
    ];
    let add = [&one_more[..], &[&setting.url, "--password-stdin"]].concat();
    let added = setting
        .place
        .program(&add)
        .input("a long and secret sentence\n");
    added.finish().succeeded();
    let mut lock = setting.postgres.session("accounts");
    lock.run("BEGIN; UPDATE thanos_login.users SET status = status WHERE username LIKE 'jweir%'");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_unavailable(&setting.server.login(JWEIR, PASSWORD)));
        }
        let other = setting
            .server
            .login("zoe@projectthanos.com", "a long and secret sentence");
        assert_eq!(other.status, 200, "{other:?}");
    });
    assert_eq!(setting.lines(LOST), 0);
}
