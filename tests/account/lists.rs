//! Long answers: their memory use, and that clients that do not read theirs do not block others.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use serde_json::json;

use super::{ALL_USERS, DETAIL, JWEIRS_UUID, ORGANIZATION, VERIFY, call, get, log_in};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::server::send_over_unix_socket;
use crate::harness::{DEADLINE, Place, Server, eventually, request};

/// So many users that their list is far larger than all buffers on the way to a client.
const MANY: usize = 20_000;

/// A socket file: its buffers are small, so that a client that does not read is noticed.
const SOCKET: &str = "http.sock";

/// Two organizations, each with [`MANY`] users who cannot log in and `users` who can.
fn two_organizations(users: usize) -> Place {
    let organization = |name: &str| {
        let users = (0..users).map(|number| accounts::user(&username(name, number)));
        accounts::organization(name, users)
    };
    let organizations = [organization("north"), organization("south")];
    let place = Place::seeded(&json!({"organizations": organizations}));
    for org_id in 1..=2 {
        add_users(&place, org_id, MANY);
    }
    place
}

fn username(organization: &str, number: usize) -> String {
    format!("{number}@{organization}")
}

/// Adds `count` users who cannot log in to an organization.
fn add_users(place: &Place, org_id: i64, count: usize) {
    place
        .sql()
        .execute_batch(&format!(
            "BEGIN;
             CREATE TEMP TABLE numbers AS
                 WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count})
                 SELECT {org_id} * 1000000 + n AS n,
                        printf('%08x-0000-4000-8000-000000000000', {org_id} * 1000000 + n) AS uuid
                 FROM numbers;
             INSERT INTO people (id, uuid) SELECT n, uuid FROM numbers;
             INSERT INTO users (id, uuid, org_id, person_id, username, password_hash, status)
                 SELECT n, uuid, {org_id}, n, 'user' || n, (SELECT password_hash FROM users LIMIT 1), 'ACTIVE' FROM numbers;
             COMMIT",
        ))
        .unwrap();
}

fn serve(place: &Place) -> Server {
    place.serve(&["--listen", "127.0.0.1:0", "--listen", "unix:http.sock"])
}

/// A client that sends a request, reads the status of its answer and then nothing more.
struct StuckClient {
    status: u16,
    stream: UnixStream,
}

impl StuckClient {
    fn sends(server: &Server, bytes: &[u8]) -> Self {
        let mut stuck = Self::starts(server, bytes);
        stuck.read_status();
        stuck
    }

    /// Sends a request and reads nothing yet, not even the status.
    fn starts(server: &Server, bytes: &[u8]) -> Self {
        let mut stream = UnixStream::connect(server.place.path(SOCKET)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(bytes).unwrap();
        Self { status: 0, stream }
    }

    fn read_status(&mut self) -> u16 {
        let mut line = [0; 12];
        self.stream.read_exact(&mut line).unwrap();
        self.status = std::str::from_utf8(&line[9..]).unwrap().parse().unwrap();
        self.status
    }
}

fn list(token: &str) -> Vec<u8> {
    call("GET", ALL_USERS, token)
}

#[track_caller]
fn assert_refused(server: &Server, bytes: &[u8]) {
    let answer = send_over_unix_socket(server, SOCKET, bytes);
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.header("retry-after"), Some("1"), "{answer:?}");
}

#[test]
fn a_user_has_at_most_two_lists_in_progress_and_others_get_theirs() {
    let place = two_organizations(2);
    let server = serve(&place);
    let token = |name: &str, number| server.login(&username(name, number), PASSWORD).token();
    let [zoe, her_other_token, kim] = [token("north", 0), token("north", 0), token("north", 1)];
    let [first, second] =
        [&zoe, &her_other_token].map(|token| StuckClient::sends(&server, &list(token)));
    assert_eq!([first.status, second.status], [200; 2]);
    assert_refused(&server, &list(&zoe));
    assert_refused(&server, &list(&her_other_token));
    for (label, token) in [("of the same", &kim), ("of another", &token("south", 0))] {
        let answer = get(&server, ALL_USERS, token);
        assert_eq!(answer.status, 200, "{label} organization");
        assert_eq!(answer.json().as_array().unwrap().len(), MANY + 2, "{label}");
    }
    // All other calls of the user still succeed.
    for path in [ORGANIZATION, VERIFY] {
        assert_eq!(get(&server, path, &zoe).status, 200, "{path}");
    }
    drop(first);
    eventually("she gets a list again", || {
        get(&server, ALL_USERS, &zoe).status == 200
    });
}

#[test]
fn lists_that_nobody_reads_hold_up_nothing_and_hold_little_memory() {
    const READERS: usize = 200;
    let place = two_organizations(READERS / 4);
    let server = serve(&place);
    let tokens: Vec<String> = (0..READERS / 4)
        .flat_map(|number| [username("north", number), username("south", number)])
        .map(|username| server.login(&username, PASSWORD).token())
        .collect();
    let mut stuck: Vec<_> = (0..READERS)
        .map(|number| StuckClient::starts(&server, &list(&tokens[number % tokens.len()])))
        .collect();
    for _ in 0..2 {
        assert_eq!(server.send(request("GET", "/healthz", &[], "")).status, 200);
        assert_eq!(server.send(request("GET", "/readyz", &[], "")).status, 200);
        assert_eq!(get(&server, VERIFY, &tokens[0]).status, 200);
        server.login(&username("south", 0), PASSWORD).token();
        // In the second round, the server already sends as much as it can.
        for stuck in stuck.iter_mut().filter(|stuck| stuck.status == 0) {
            stuck.read_status();
        }
    }
    let given = stuck.iter().filter(|stuck| stuck.status == 200).count();
    let refused = stuck.iter().filter(|stuck| stuck.status == 503).count();
    assert!(
        given > 0 && given + refused == READERS,
        "{given}, {refused}"
    );
    let peak = server.peak_memory();
    assert!(peak < 150_000_000, "{peak} bytes");
}

#[test]
fn clients_that_do_not_read_lists_of_one_organization_do_not_block_those_of_another() {
    let place = two_organizations(16);
    let server = serve(&place);
    let token = |name: &str, number| server.login(&username(name, number), PASSWORD).token();
    let mut stuck: Vec<_> = (0..16)
        .map(|number| StuckClient::sends(&server, &list(&token("north", number))))
        .collect();
    assert!(stuck.iter().any(|stuck| stuck.status == 503));
    assert_eq!(get(&server, ALL_USERS, &token("south", 0)).status, 200);
    stuck.clear();
    let kim = token("north", 0);
    eventually("they get theirs again", || {
        get(&server, ALL_USERS, &kim).status == 200
    });
}

#[test]
fn an_exceptionally_long_answer_holds_up_nothing() {
    let place = Place::seeded(&accounts::retailer([
        json!({"username": JWEIR, "uuid": JWEIRS_UUID, "password_hash": accounts::QUICK_HASH}),
    ]));
    place
        .sql()
        .execute_batch(&format!(
            "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 5000)
             INSERT INTO permissions (id, uuid, name, description)
                 SELECT n, printf('%08x-0000-4000-8000-000000000000', n), 'permission', '{}' FROM numbers;
             INSERT INTO permission_assignments (user_id, position, permission_id, assigned)
                 SELECT users.id, permissions.id, permissions.id, TRUE FROM users, permissions",
            "0".repeat(200)
        ))
        .unwrap();
    let server = serve(&place);
    let token = log_in(&server);
    let stuck: Vec<_> = (0..8)
        .map(|_| StuckClient::sends(&server, &call("GET", DETAIL, &token)))
        .collect();
    assert!(stuck.iter().all(|stuck| stuck.status == 200));
    assert_eq!(server.send(request("GET", "/healthz", &[], "")).status, 200);
    let answer = get(&server, DETAIL, &token);
    let permissions = &answer.json()["permission_assignments"]["permissions"];
    assert_eq!(permissions.as_array().unwrap().len(), 5000);
}

#[test]
fn a_list_of_a_hundred_thousand_users_is_in_memory_once_and_for_head_not_at_all() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    add_users(&place, 1, 99_999);
    let server = place.serve(&[]);
    let token = log_in(&server);
    get(&server, ORGANIZATION, &token);
    let mut connection = server.connect();
    let before = server.peak_memory();
    connection.send(call("HEAD", ALL_USERS, &token));
    let head = connection.answer_to_head();
    let growth_for_head = server.peak_memory() - before;
    connection.send(list(&token));
    let answer = connection.answer();
    let growth = server.peak_memory() - before;
    let list = answer.body.len() as u64;
    assert_eq!(answer.json().as_array().unwrap().len(), 100_000);
    assert_eq!(head.without("date").headers, answer.without("date").headers);
    assert!(
        growth_for_head < list / 4,
        "{growth_for_head} bytes for {list}"
    );
    assert!(
        growth < list + list / 2,
        "{growth} bytes for a list of {list}"
    );
}
