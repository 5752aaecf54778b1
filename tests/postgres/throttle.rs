//! Limits on failed logins across all servers of a database.

use std::fs;

use rustix::process::Signal;

use super::{seeded, serve};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::postgres::{PostgresServer, psql};
use crate::harness::{
    Answer, Connection, JSON, LOGIN, Place, Server, eventually, login_body, request,
};

/// Two servers on a database with one user.
struct TwoServers {
    postgres: PostgresServer,
    url: String,
    place: Place,
    servers: [Server; 2],
}

impl TwoServers {
    #[track_caller]
    fn start(flags: &[&str]) -> Self {
        Self::with(&accounts::retailer([accounts::user(JWEIR)]), flags)
    }

    #[track_caller]
    fn with(fixture: &serde_json::Value, flags: &[&str]) -> Self {
        let postgres = PostgresServer::start(&[]);
        let url = postgres.create("accounts");
        let place = seeded(&url, fixture);
        let servers = [(); 2].map(|()| serve(&place, &url, flags));
        Self {
            postgres,
            url,
            place,
            servers,
        }
    }

    #[track_caller]
    fn sql(&self, sql: &str) -> String {
        psql(&self.url, &format!("SET search_path = thanos_login; {sql}"))
    }

    /// Sends `times` failed logins, alternating between the servers.
    #[track_caller]
    fn fail(&self, times: usize) {
        for (number, server) in self.servers.iter().cycle().take(times).enumerate() {
            let answer = server.login(JWEIR, "wrong");
            assert_eq!(answer.status, 401, "{number}: {answer:?}");
        }
    }

    #[track_caller]
    fn assert_throttled(&self, password: &str) {
        for server in &self.servers {
            assert_throttled(&server.login(JWEIR, password));
        }
    }

    #[track_caller]
    fn command(&self, args: &[&str]) -> String {
        let args = [args, &["--db", &self.url]].concat();
        self.place.run(&args).succeeded().stdout
    }
}

#[track_caller]
fn assert_throttled(answer: &Answer) {
    assert_eq!(answer.status, 429, "{answer:?}");
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=15 * 60).contains(&seconds), "{answer:?}");
}

fn login_from(server: &Server, address: &str, username: &str, password: &str) -> Answer {
    let fields = [JSON, ("X-Forwarded-For", address)];
    let body = login_body(username, password);
    server.send(request("POST", LOGIN, &fields, body))
}

/// The sorted statuses of logins that were sent concurrently to all servers.
fn statuses(servers: &[Server], password: &str) -> Vec<u16> {
    let mut logins: Vec<Connection> = servers
        .iter()
        .flat_map(|server| server.start_logins(64 / servers.len(), JWEIR, password))
        .collect();
    let mut statuses: Vec<u16> = logins
        .iter_mut()
        .map(|login| login.answer().status)
        .collect();
    statuses.sort_unstable();
    statuses
}

#[test]
#[ignore = "needs PostgreSQL"]
fn ten_wrong_passwords_over_two_servers_lock_the_user_on_both_until_an_unlock() {
    let pair = TwoServers::start(&[]);
    pair.fail(10);
    pair.assert_throttled(PASSWORD);
    let shown = pair.command(&["user", "show", JWEIR, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["failed_logins"], 10, "{shown}");
    assert!(shown["locked_until"].is_string(), "{shown}");
    assert_eq!(shown["locked_addresses"][0], "127.0.0.1", "{shown}");
    let unlocked = pair.command(&["user", "unlock", JWEIR]);
    assert!(unlocked.contains("who was locked until"), "{unlocked}");
    for server in &pair.servers {
        assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    }
    pair.fail(10);
    pair.assert_throttled("wrong");
    for server in &pair.servers {
        let lines = || server.log().matches("failed logins are throttled").count();
        eventually("there is one line a window", || lines() >= 2);
        assert_eq!(lines(), 2);
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_success_on_one_server_clears_the_count_of_all() {
    let pair = TwoServers::start(&["--failed-logins-per-user", "3"]);
    for server in pair.servers.iter().cycle().take(4) {
        pair.fail(2);
        assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    }
    pair.fail(3);
    pair.assert_throttled(PASSWORD);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn an_address_is_counted_over_all_servers_whatever_the_names() {
    let flags = [
        "--failed-logins-per-user",
        "0",
        "--failed-logins-per-address",
        "6",
    ];
    let pair = TwoServers::start(&flags);
    for (number, server) in pair.servers.iter().cycle().take(6).enumerate() {
        assert_eq!(
            server.login(&format!("nobody{number}"), "wrong").status,
            401
        );
    }
    pair.assert_throttled(PASSWORD);
    assert_eq!(
        pair.sql("SELECT count(*) FROM failed_logins WHERE kind = 'user'"),
        "0"
    );
}

#[test]
#[ignore = "needs PostgreSQL"]
fn an_account_is_closed_on_all_servers_but_to_addresses_that_logged_in_on_any() {
    let proxy = [
        "--trusted-proxy",
        "127.0.0.1/32",
        "--failed-logins-per-account",
        "5",
    ];
    let pair = TwoServers::start(&proxy);
    let [one, other] = &pair.servers;
    assert_eq!(login_from(one, "2001:db8::1", JWEIR, PASSWORD).status, 200);
    for (number, server) in pair.servers.iter().cycle().take(5).enumerate() {
        let answer = login_from(server, &format!("192.0.2.{number}"), JWEIR, "wrong");
        assert_eq!(answer.status, 401, "{number}");
    }
    for server in [one, other] {
        assert_throttled(&login_from(server, "192.0.2.50", JWEIR, PASSWORD));
        // This address belongs to the same network.
        assert_eq!(
            login_from(server, "2001:db8::2", JWEIR, PASSWORD).status,
            200
        );
        assert_throttled(&login_from(server, "2001:db8::1", JWEIR, "wrong"));
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_client_that_shares_an_address_cannot_measure_who_has_logged_in_there() {
    let postgres = PostgresServer::start(&["log_statement=all"]);
    let url = postgres.create("accounts");
    let place = seeded(&url, &accounts::retailer([accounts::user(JWEIR)]));
    let server = serve(&place, &url, &["--failed-logins-per-account", "2"]);
    server.login(JWEIR, PASSWORD).token();
    let statements = || {
        let log = fs::read_to_string(postgres.directory().join("data/log")).unwrap();
        ["tries.of_user", "SELECT DISTINCT address"].map(|statement| log.matches(statement).count())
    };
    let of_failure = |username: &str| {
        let before = statements();
        server.login(username, "wrong");
        let after = statements();
        [after[0] - before[0], after[1] - before[1]]
    };
    for expected in [[3, 0], [3, 0], [3, 1]] {
        for username in [JWEIR, "nobody"] {
            assert_eq!(of_failure(username), expected, "{username}");
        }
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn wrong_tries_at_once_on_two_servers_do_not_get_past_a_limit() {
    for limit in [
        "--failed-logins-per-user",
        "--failed-logins-per-address",
        "--failed-logins-per-account",
    ] {
        let pair = TwoServers::start(&[limit, "10"]);
        let expected = [vec![401; 10], vec![429; 54]].concat();
        assert_eq!(statuses(&pair.servers, "wrong"), expected, "{limit}");
        eventually("no try is left", || {
            pair.sql("SELECT count(*) FROM login_attempts") == "0"
        });
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn right_tries_at_once_on_two_servers_are_all_let_in() {
    let pair = TwoServers::start(&["--failed-logins-per-user", "3"]);
    assert_eq!(statuses(&pair.servers, PASSWORD), [200; 64]);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn the_tries_of_an_inactive_user_are_given_back() {
    let mut waiting = accounts::user("waiting");
    waiting["status"] = "CONFIRMATION WAITING".into();
    let pair = TwoServers::with(
        &accounts::retailer([waiting]),
        &[
            "--failed-logins-per-user",
            "1",
            "--failed-logins-per-account",
            "1",
        ],
    );
    for server in pair.servers.iter().cycle().take(6) {
        assert_eq!(server.login("waiting", PASSWORD).status, 403);
    }
    assert_eq!(pair.servers[0].login("waiting", "wrong").status, 401);
    for server in &pair.servers {
        assert_throttled(&server.login("waiting", PASSWORD));
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn tries_of_a_server_that_was_killed_count_until_their_time_is_over() {
    let pair = TwoServers::with(
        &accounts::slow(),
        &["--failed-logins-per-user", "2", "--hash-wait", "1s"],
    );
    let TwoServers {
        servers: [killed, server],
        url,
        ..
    } = &pair;
    let sql = |sql: &str| psql(url, &format!("SET search_path = thanos_login; {sql}"));
    let _tries = killed.start_logins(2, JWEIR, PASSWORD);
    eventually("two tries are in flight", || {
        sql("SELECT count(*) FROM login_attempts") == "2"
    });
    killed.signal(Signal::KILL);
    eventually("it is gone", || killed.has_ended());
    // The login waits for those in progress, up to the time limit of a login.
    assert_eq!(server.login(JWEIR, PASSWORD).status, 503);
    sql("UPDATE login_attempts SET counts_until = 1");
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    eventually("they are removed", || {
        sql("SELECT count(*) FROM login_attempts") == "0"
    });
}

#[test]
#[ignore = "needs PostgreSQL"]
fn counting_continues_after_a_restart() {
    let pair = TwoServers::start(&["--failed-logins-per-user", "4"]);
    pair.fail(3);
    let TwoServers {
        servers: [one, other],
        url,
        place,
        postgres: _postgres,
    } = pair;
    one.kill();
    other.stop();
    let server = serve(&place, &url, &["--failed-logins-per-user", "4"]);
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    assert_throttled(&server.login(JWEIR, PASSWORD));
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_window_ends_by_the_clock_of_the_database_and_a_clock_set_back_makes_none_longer() {
    let pair = TwoServers::start(&["--failed-logins-per-user", "2"]);
    pair.fail(2);
    // The first failure appears to be ten minutes in the future.
    pair.sql("UPDATE failed_logins SET first_failure = first_failure + 600000000, locked_until = locked_until + 600000000");
    pair.assert_throttled(PASSWORD);
    let future = "SELECT count(*) FROM failed_logins WHERE first_failure > extract(epoch FROM clock_timestamp()) * 1000000";
    assert_eq!(pair.sql(&format!("{future} AND kind = 'user'")), "0");
    pair.sql("UPDATE failed_logins SET first_failure = first_failure - 900000000");
    assert_eq!(pair.servers[0].login(JWEIR, PASSWORD).status, 200);
}

#[test]
#[ignore = "needs PostgreSQL"]
fn counters_are_removed_after_their_window_and_the_oldest_when_there_are_too_many() {
    let pair = TwoServers::start(&[]);
    let now = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
    pair.sql(&format!(
        "INSERT INTO failed_logins (key, kind, failures, first_failure, unlocks)
         SELECT uuid_send(gen_random_uuid()), 'user', 1, {now} - number, 0 FROM generate_series(1, 67000) AS number;
         INSERT INTO failed_logins (key, kind, failures, first_failure, unlocks)
         VALUES (uuid_send(gen_random_uuid()), 'address', 1, {now} - 901000000, 0)"
    ));
    pair.fail(2);
    eventually("those that are too many are gone", || {
        pair.sql("SELECT count(*) FROM failed_logins WHERE kind = 'user'") == "65536"
    });
    eventually("those that are over are gone", || {
        pair.sql("SELECT count(*) FROM failed_logins WHERE kind = 'address'") == "1"
    });
    assert_eq!(pair.sql("SELECT max(failures) FROM failed_logins"), "2");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn without_limits_nothing_is_counted() {
    let pair = TwoServers::start(&[
        "--failed-logins-per-user",
        "0",
        "--failed-logins-per-address",
        "0",
        "--failed-logins-per-account",
        "0",
    ]);
    pair.fail(15);
    assert_eq!(pair.sql("SELECT count(*) FROM failed_logins"), "0");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn tries_of_an_address_that_wait_for_the_database_block_no_other_address() {
    let flags = "--trusted-proxy 127.0.0.1/32 --metrics --bcrypt-cost 10";
    let pair = TwoServers::start(&flags.split(' ').collect::<Vec<_>>());
    let server = &pair.servers[0];
    assert_eq!(login_from(server, "192.0.2.1", JWEIR, "wrong").status, 401);
    // This is the lock of a server that hangs while it counts a try of that address.
    let mut silent = pair.postgres.session("accounts");
    silent.run(
        "SELECT pg_advisory_lock(('x' || encode(substr(key, 1, 8), 'hex'))::bit(64)::bigint)
         FROM thanos_login.failed_logins WHERE kind = 'address'",
    );
    let begin = |_| {
        let mut connection = server.connect();
        let fields = [JSON, ("X-Forwarded-For", "192.0.2.1")];
        connection.send(request("POST", LOGIN, &fields, login_body(JWEIR, PASSWORD)));
        connection
    };
    let _waiting: Vec<Connection> = (0..40).map(begin).collect();
    Server::wait_until_in_progress(40, server.address());
    // Different addresses may share one queue of waiting tries, so not all of these need succeed.
    let others = ["192.0.2.2", "192.0.2.3", "192.0.2.4"];
    let statuses = others.map(|address| login_from(server, address, JWEIR, PASSWORD).status);
    assert!(statuses.contains(&200), "{statuses:?}");
    let at_the_database = pair.sql("SELECT count(*) FROM pg_locks WHERE NOT granted");
    assert!(matches!(&*at_the_database, "0" | "1"), "{at_the_database}");
}
