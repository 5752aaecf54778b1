//! Several servers and commands that change the same users concurrently.

mod background;
mod changes;
mod imports;
mod pins;

use std::collections::HashSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{seeded, serve};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::postgres::{PostgresServer, psql};
use crate::harness::{
    Answer, Finished, JSON, LOGIN, Launch, Place, Server, eventually, login_body, request,
};

const SERVERS: usize = 5;

/// Turns the limits on failed logins off, so that no login waits for others in progress.
const UNLIMITED: [&str; 3] = [
    "--failed-logins-per-user=0",
    "--failed-logins-per-address=0",
    "--failed-logins-per-account=0",
];

/// Makes each login wait for a while between the first and the last statement of its transaction.
const SLOW_LOGINS: &str = "
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.01); RETURN NULL; END';
    CREATE TRIGGER a_wait AFTER INSERT ON tokens FOR EACH ROW EXECUTE FUNCTION wait()";

/// Several servers on one database.
struct Several {
    servers: Vec<Server>,
    place: Place,
    url: String,
    postgres: PostgresServer,
}

impl Several {
    #[track_caller]
    fn start(fixture: &Value) -> Self {
        Self::start_with(fixture, &[])
    }

    #[track_caller]
    fn start_with(fixture: &Value, flags: &[&str]) -> Self {
        let postgres = PostgresServer::start(&[]);
        let url = postgres.create("accounts");
        let place = seeded(&url, fixture);
        let flags = [&UNLIMITED, flags].concat();
        let serve = |_| serve(&place, &url, &flags);
        Self {
            servers: (0..SERVERS).map(serve).collect(),
            place,
            url,
            postgres,
        }
    }

    #[track_caller]
    fn sql(&self, sql: &str) -> String {
        psql(&self.url, &format!("SET search_path = thanos_login; {sql}"))
    }

    /// The program with these arguments on the database.
    fn command(&self, args: &[&str]) -> Launch {
        self.place.program(args).env("THANOS_LOGIN_DB", &self.url)
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Finished {
        self.command(args).finish().succeeded()
    }

    /// Logs users in on all servers, one after the other on each, until `act` is done and each server has answered once
    /// more. Returns the answers to the logins that were sent before `act` started, while it ran, and after it; the last of the
    /// first group may have been answered after `act` too.
    #[track_caller]
    fn logins_beside(&self, usernames: &[String], act: impl FnOnce()) -> [Vec<Answer>; 3] {
        let (stage, answered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let log_in = |client: usize| {
            let mut connection = self.servers[client].connect();
            let mut answers = Vec::new();
            for username in usernames.iter().cycle().skip(client) {
                let sent_in = stage.load(Ordering::SeqCst);
                let login = login_body(username, PASSWORD);
                connection.send(request("POST", LOGIN, &[JSON], login));
                answers.push((sent_in, connection.answer()));
                answered.fetch_add(1, Ordering::SeqCst);
                if sent_in == 2 {
                    break;
                }
            }
            answers
        };
        let answers: Vec<(usize, Answer)> = thread::scope(|scope| {
            let clients = (0..SERVERS).map(|client| scope.spawn(move || log_in(client)));
            let clients: Vec<_> = clients.collect();
            eventually("logins are answered", || {
                answered.load(Ordering::SeqCst) > 2 * SERVERS
            });
            stage.store(1, Ordering::SeqCst);
            // The clients must end even if `act` fails.
            let acted = catch_unwind(AssertUnwindSafe(act));
            stage.store(2, Ordering::SeqCst);
            if let Err(failure) = acted {
                resume_unwind(failure);
            }
            let answers = clients
                .into_iter()
                .flat_map(|client| client.join().unwrap());
            answers.collect()
        });
        [0, 1, 2].map(|stage| {
            let of_stage = answers.iter().filter(|(sent_in, _)| *sent_in == stage);
            of_stage.map(|(_, answer)| answer.clone()).collect()
        })
    }

    /// Checks that no transaction was aborted because of another, and that no server has logged a warning or an error.
    #[track_caller]
    fn assert_no_conflict(&self) {
        let log = fs::read_to_string(self.postgres.directory().join("data/log")).unwrap();
        for complaint in ["deadlock detected", "due to lock timeout"] {
            assert!(!log.contains(complaint), "{log}");
        }
        for server in &self.servers {
            let log = server.log();
            assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
        }
    }
}

/// Runs `act` concurrently, `times` times.
#[track_caller]
fn at_once<T: Send>(times: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (barrier, act) = (&Barrier::new(times), &act);
    thread::scope(|scope| {
        let threads = (0..times).map(|number| {
            scope.spawn(move || {
                barrier.wait();
                act(number)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token))
}

#[test]
#[ignore = "needs PostgreSQL"]
fn of_200_logins_of_a_user_on_five_servers_the_newest_32_tokens_stay() {
    let several = Several::start(&accounts::retailer([accounts::user(JWEIR)]));
    let tokens = at_once(4 * SERVERS, |number| {
        let server = &several.servers[number % SERVERS];
        [(); 10].map(|()| server.login(JWEIR, PASSWORD).token())
    });
    let digests: HashSet<String> = tokens.iter().flatten().map(|token| digest(token)).collect();
    assert_eq!(digests.len(), 200);
    // Each new token gets the number after the user's highest.
    let numbers = "SELECT count(*), count(DISTINCT number), min(number), max(number) FROM tokens";
    assert_eq!(several.sql(numbers), "32|32|169|200");
    let kept = several.sql("SELECT encode(digest, 'hex') FROM tokens");
    assert!(kept.lines().all(|digest| digests.contains(digest)));
    several.assert_no_conflict();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_token_that_is_logged_out_on_two_servers_at_once_is_ended() {
    let several = Several::start(&accounts::retailer([accounts::user(JWEIR)]));
    for _ in 0..10 {
        let token = several.servers[0].login(JWEIR, PASSWORD).token();
        let logout = call("POST", "/api/organizations/user-logout/", &token);
        let answers = at_once(2, |number| several.servers[number].send(&logout).status);
        assert!(answers.contains(&204), "{answers:?}");
        assert!(answers.iter().all(|status| [204, 401].contains(status)));
        assert_eq!(several.servers[2].send(&logout).status, 401);
    }
    assert_eq!(several.sql("SELECT count(*) FROM tokens"), "0");
    several.assert_no_conflict();
}

fn call(method: &str, path: &str, token: &str) -> Vec<u8> {
    let authorization = format!("Token {token}");
    request(method, path, &[("Authorization", &authorization)], "")
}

/// Whether a token is valid; all servers must agree.
#[track_caller]
fn is_good(several: &Several, token: &str) -> bool {
    let call = call("GET", "/api/organizations/token-verify/", token);
    several.servers[0].send(call).status == 200
}
