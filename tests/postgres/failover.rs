//! Failover: a standby replaces the primary.

use rustix::process::Signal;

use super::{assert_unavailable, seeded, serve, tokens_of_logins_during};
use crate::account::assert_good;
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::postgres::{PostgresServer, psql};
use crate::harness::{Server, eventually};

/// A primary, its standby, and a login server that knows both.
struct Setup {
    primary: PostgresServer,
    standby: PostgresServer,
    server: Server,
}

impl Setup {
    #[track_caller]
    fn new() -> Self {
        let primary = PostgresServer::start(&["fsync=on"]);
        let url = primary.create("accounts");
        let place = seeded(&url, &accounts::retailer([accounts::user(JWEIR)]));
        let standby = primary.standby(&[]);
        let host = |server: &PostgresServer| server.directory().display().to_string();
        let both = format!(
            "postgres://postgres@{},{}/accounts?target_session_attrs=read-write",
            host(&primary).replace('/', "%2F"),
            host(&standby).replace('/', "%2F"),
        );
        let server = serve(&place, &both, &["--max-tokens-per-user", "100000"]);
        Self {
            primary,
            standby,
            server,
        }
    }

    /// Makes all later commits wait for the standby.
    #[track_caller]
    fn wait_for_standby(&self) {
        let url = self.primary.url("accounts");
        psql(&url, "ALTER SYSTEM SET synchronous_standby_names = '*'");
        psql(&url, "SELECT pg_reload_conf()");
        eventually("the standby is synchronous", || {
            psql(&url, "SELECT sync_state FROM pg_stat_replication") == "sync"
        });
    }

    #[track_caller]
    fn promote(&self) {
        psql(&self.standby.url("postgres"), "SELECT pg_promote()");
    }

    fn status(&self) -> u16 {
        self.server.login(JWEIR, PASSWORD).status
    }

    /// How many tokens a PostgreSQL server has.
    fn tokens_of(server: &PostgresServer) -> usize {
        let count = "SELECT count(*) FROM thanos_login.tokens";
        psql(&server.url("accounts"), count).parse().unwrap()
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_promoted_standby_takes_over_and_an_old_primary_gets_no_logins() {
    let pair = Setup::new();
    assert_eq!(pair.status(), 200);
    eventually("the standby has the token", || {
        Setup::tokens_of(&pair.standby) == 1
    });
    pair.primary.stop("fast");
    // The standby accepts no logins.
    assert_unavailable(&pair.server.login(JWEIR, PASSWORD));
    pair.promote();
    eventually("logins go on", || pair.status() == 200);
    pair.primary
        .start_again(&["default_transaction_read_only=on"]);
    let sessions = "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity WHERE application_name = 'thanos-login'";
    psql(&pair.standby.url("accounts"), sessions);
    assert_eq!(pair.status(), 200);
    assert_eq!(Setup::tokens_of(&pair.primary), 1);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_database_server_that_becomes_read_only_is_left_at_once() {
    let pair = Setup::new();
    assert_eq!(pair.status(), 200);
    pair.promote();
    let url = pair.primary.url("accounts");
    psql(&url, "ALTER SYSTEM SET default_transaction_read_only = on");
    psql(&url, "SELECT pg_reload_conf()");
    eventually("logins go to the other server", || pair.status() == 200);
    assert_eq!(Setup::tokens_of(&pair.primary), 1);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn no_token_that_was_answered_is_lost_with_a_primary_that_is_killed() {
    let pair = Setup::new();
    pair.wait_for_standby();
    let tokens = tokens_of_logins_during(&pair.server, || {
        eventually("some logins have succeeded", || {
            Setup::tokens_of(&pair.standby) > 50
        });
        pair.primary.signal(Signal::KILL);
        pair.promote();
        eventually("logins go on", || pair.status() == 200);
    });
    assert!(tokens.len() > 50);
    for token in &tokens {
        assert_good(&pair.server, token);
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_commit_that_no_standby_confirms_is_answered_503_and_ended() {
    let pair = Setup::new();
    pair.wait_for_standby();
    assert_eq!(pair.status(), 200);
    pair.standby.stop("immediate");
    for _ in 0..2 {
        assert_unavailable(&pair.server.login(JWEIR, PASSWORD));
    }
    let url = pair.primary.url("accounts");
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'thanos-login' AND wait_event = 'SyncRep'";
    eventually("no commit waits any more", || psql(&url, waiting) == "0");
    assert!(!pair.server.log().contains("cannot connect"));
    pair.standby.start_again(&[]);
    eventually("logins go on", || pair.status() == 200);
}
