//! The operations of operators as a table: the command, the initial files, and how to check that it was carried out.

use std::fs;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection as Sql, OpenFlags};
use sha2::{Digest, Sha256};

use super::strace;
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, Connection, JSON, LOGIN, Place, Server, login_body, request};

/// An operation of an operator.
pub struct Operation {
    pub args: &'static [&'static str],
    /// The standard input of the command.
    pub input: &'static str,
    /// Creates the initial files and the database.
    pub prepare: fn(&Place),
    /// Whether the operation was carried out.
    pub is_done: fn(&Place) -> bool,
    /// The requests to a server before it is stopped, which return the tokens that were answered; `None` for a command.
    pub serve: Option<fn(&Server) -> Vec<String>>,
    /// The files that the operation writes besides the database. At all times each must have its old or its new content.
    pub files: &'static [&'static str],
}

const OPERATION: Operation = Operation {
    args: &[],
    input: "",
    prepare: |_| {},
    is_done: |_| true,
    serve: None,
    files: &[],
};

const SERVE: Operation = Operation {
    args: &["serve"],
    prepare: one_account,
    is_done: keeps_the_account,
    serve: Some(logs_in),
    ..OPERATION
};

pub const INIT: Operation = Operation {
    args: &["init"],
    is_done: |place| number(place, Place::DATABASE, "PRAGMA user_version") > 0,
    ..OPERATION
};

pub const SEED: Operation = Operation {
    args: &["seed", "accounts.json"],
    prepare: |place| place.write("accounts.json", fixture().to_string()),
    is_done: |place| users(place, Place::DATABASE, JWEIR) == 1,
    ..OPERATION
};

pub const ADD_ORGANIZATION: Operation = Operation {
    args: &["org", "add", "Acme", "--type", "RETAILER", "--uuid", UUID],
    prepare: one_account,
    is_done: |place| {
        let acme = "SELECT count(*) FROM organizations WHERE name = 'Acme'";
        number(place, Place::DATABASE, acme) == 1 && keeps_the_account(place)
    },
    ..OPERATION
};

pub const ADD_USER: Operation = Operation {
    args: &[
        "user",
        "add",
        OTHER,
        "--org",
        "projectthanos",
        "--uuid",
        UUID,
        "--password-stdin",
    ],
    input: NEW_PASSWORD,
    prepare: one_account,
    is_done: |place| has_password(place, OTHER) && keeps_the_account(place),
    ..OPERATION
};

pub const CHANGE_PASSWORD: Operation = Operation {
    args: &["user", "passwd", JWEIR, "--password-stdin"],
    input: NEW_PASSWORD,
    prepare: one_account,
    is_done: |place| has_password(place, JWEIR),
    ..OPERATION
};

pub const IMPORT: Operation = Operation {
    args: &["user", "import", "users.csv", "--org", "projectthanos"],
    prepare: |place| {
        one_account(place);
        let line =
            |number| format!("user{number}@projectthanos.com,violet kettle {number}ninety\n");
        let lines: String = (0..4).map(line).collect();
        place.write("users.csv", format!("username,password\n{lines}"));
    },
    is_done: |place| users(place, Place::DATABASE, "user%") == 4 && keeps_the_account(place),
    ..OPERATION
};

pub const EXPORT: Operation = Operation {
    args: &["user", "export", "users.csv"],
    prepare: one_account,
    is_done: |place| has_text(&place.path("users.csv"), JWEIR),
    files: &["users.csv"],
    ..OPERATION
};

pub const EXPORT_AGAIN: Operation = Operation {
    args: &["user", "export", "users.csv", "--force"],
    prepare: |place| {
        one_account(place);
        place.write("users.csv", "username\n");
    },
    ..EXPORT
};

pub const BACK_UP: Operation = Operation {
    args: &["backup", "copy.db"],
    prepare: one_account,
    is_done: |place| users(place, "copy.db", JWEIR) == 1,
    files: &["copy.db"],
    ..OPERATION
};

pub const BACK_UP_AGAIN: Operation = Operation {
    args: &["backup", "copy.db", "--force"],
    prepare: |place| {
        place.run(&["init", "--db", "copy.db"]).succeeded();
        one_account(place);
    },
    ..BACK_UP
};

pub const RESTORE: Operation = Operation {
    args: &["restore", "copy.db", "--force"],
    prepare: |place| {
        one_account(place);
        place.run(&["backup", "copy.db"]).succeeded();
        let kept = format!("{}.before-restore", Place::DATABASE);
        place.run(&["backup", &kept]).succeeded();
        place.seed(&accounts::crowded()).succeeded();
    },
    is_done: |place| keeps_the_account(place) && users(place, Place::DATABASE, "user%") == 0,
    files: &["copy.db"],
    ..OPERATION
};

pub const RESTORE_INTO_NOTHING: Operation = Operation {
    args: &["restore", "copy.db"],
    prepare: |place| {
        a_backup(place);
        fs::rename(place.path(Place::DATABASE), place.path("copy.db")).unwrap();
    },
    is_done: keeps_the_account,
    files: &["copy.db"],
    ..OPERATION
};

/// Restores from a plain copy of a database: its header says that it uses a write-ahead log, unlike that of a backup.
pub const RESTORE_A_PLAIN_COPY: Operation = Operation {
    prepare: |place| {
        one_account(place);
        fs::rename(place.path(Place::DATABASE), place.path("copy.db")).unwrap();
    },
    ..RESTORE_INTO_NOTHING
};

pub const PURGE: Operation = Operation {
    args: &["token", "purge"],
    prepare: one_account,
    is_done: |place| {
        let expired = "SELECT count(*) FROM tokens WHERE expires_at IS NOT NULL";
        number(place, Place::DATABASE, expired) == 0 && keeps_the_account(place)
    },
    ..OPERATION
};

pub const REVOKE: Operation = Operation {
    args: &["token", "revoke", "--user", JWEIR],
    prepare: one_account,
    is_done: |place| {
        number(place, Place::DATABASE, "SELECT count(*) FROM tokens") == 0
            && users(place, Place::DATABASE, JWEIR) == 1
    },
    ..OPERATION
};

pub const CHECK: Operation = Operation {
    args: &["check"],
    prepare: |place| {
        one_account(place);
        place.run(&["token", "purge"]).succeeded();
        let sql = "UPDATE users SET password_hash = replace(password_hash, '$04$', '$10$')";
        place.file().execute(sql, []).unwrap();
    },
    is_done: keeps_the_account,
    ..OPERATION
};

pub const WRITE_MANUAL: Operation = Operation {
    args: &["man", "--out", "man"],
    prepare: |place| fs::create_dir(place.path("man")).unwrap(),
    is_done: |place| {
        let pages = place.files("man");
        let is_whole = |page: &String| has_text(&place.path("man").join(page), ".SH VERSION");
        pages.len() > 20 && pages.iter().all(is_whole)
    },
    ..OPERATION
};

pub const PRINT_COMPLETIONS: Operation = Operation {
    args: &["completions", "bash"],
    ..OPERATION
};

pub const SERVE_FIRST: Operation = Operation {
    prepare: |_| {},
    is_done: INIT.is_done,
    serve: Some(knows_nobody),
    ..SERVE
};

pub const SERVE_AGAIN: Operation = SERVE;

pub const SERVE_A_BACKUP: Operation = Operation {
    prepare: a_backup,
    ..SERVE
};

pub const SERVE_AFTER_A_KILL: Operation = Operation {
    prepare: |place| {
        one_account(place);
        let server = place.serve(&[]);
        server.login(JWEIR, PASSWORD).token();
        server.kill();
    },
    ..SERVE
};

pub const SERVE_OVER_UNIX: Operation = Operation {
    args: &["serve", "--listen", "unix:login.sock"],
    ..SERVE
};

pub const SERVE_DEMO: Operation = Operation {
    args: &["serve", "--demo"],
    prepare: |_| {},
    is_done: |_| true,
    serve: Some(|server| {
        answers(server, 200);
        // The demo's tokens are pinned or lost with its database, so none is reported.
        Vec::new()
    }),
    ..SERVE
};

pub const SERVE_OWN_AUTHORITY: Operation = Operation {
    args: &["serve", "--tls-self-signed", "localhost"],
    is_done: |place| {
        keeps_the_account(place)
            && has_text(&place.path("thanos-login-ca.pem"), "END CERTIFICATE")
            && has_text(&place.path("thanos-login-ca.key"), "END PRIVATE KEY")
    },
    serve: Some(|server| {
        let address = server.ready_line.strip_prefix("listening on https://");
        let address = address.unwrap();
        let check = [
            "healthcheck",
            "--listen",
            address,
            "--tls-self-signed",
            "localhost",
        ];
        comes_to(server, "it is ready", || {
            server.place.run(&check).code == Some(0)
        });
        assert_logs_ahead(&server.place);
        Vec::new()
    }),
    ..SERVE
};

const OTHER: &str = "other@projectthanos.com";
const NEW_PASSWORD: &str = "violet kettle ninety";
const UUID: &str = "7f2b2b5e-3c8a-4e0c-9d3a-0a3f1f6f4c11";

/// A token that has not expired.
const TOKEN: &str = "0123456789abcdef0123456789abcdef01234567";

/// How long a server may take until it answers again.
const PATIENCE: Duration = Duration::from_secs(10);

fn fixture() -> serde_json::Value {
    accounts::retailer([accounts::user(JWEIR)])
}

/// Creates an account with a valid token and an expired one.
fn one_account(place: &Place) {
    place.seed(&fixture()).succeeded();
    let live = Sha256::digest(TOKEN);
    let sql = "INSERT INTO tokens (digest, user_id, issued_at, expires_at)
               SELECT ?1, id, 0, NULL FROM users UNION ALL SELECT randomblob(32), id, 0, 1 FROM users";
    place.file().execute(sql, [live.as_slice()]).unwrap();
}

/// Replaces the database with a file that `backup` has written.
fn a_backup(place: &Place) {
    one_account(place);
    place.run(&["backup", "copy.db"]).succeeded();
    fs::rename(place.path("copy.db"), place.path(Place::DATABASE)).unwrap();
}

fn keeps_the_account(place: &Place) -> bool {
    users(place, Place::DATABASE, JWEIR) == 1 && place.holds_token(TOKEN)
}

fn users(place: &Place, file: &str, pattern: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM users WHERE username LIKE '{pattern}'");
    number(place, file, &sql)
}

/// The number that a query returns; -1 when there is none.
fn number(place: &Place, file: &str, sql: &str) -> i64 {
    Sql::open_with_flags(place.path(file), OpenFlags::SQLITE_OPEN_READ_WRITE)
        .and_then(|connection| connection.query_row(sql, [], |row| row.get(0)))
        .unwrap_or(-1)
}

fn has_password(place: &Place, username: &str) -> bool {
    let sql = "SELECT password_hash FROM users WHERE username = ?1";
    let hash = place
        .file()
        .query_row(sql, [username], |row| row.get::<_, String>(0));
    hash.is_ok_and(|hash| bcrypt::verify(NEW_PASSWORD, &hash).unwrap())
}

fn has_text(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|content| content.contains(text))
}

fn logs_in(server: &Server) -> Vec<String> {
    assert_logs_ahead(&server.place);
    (0..3).map(|_| answers(server, 200).token()).collect()
}

fn knows_nobody(server: &Server) -> Vec<String> {
    assert_logs_ahead(&server.place);
    answers(server, 401);
    Vec::new()
}

/// Waits for the answer to a login with this status. Until then, logins may stay unanswered or be answered 503.
#[track_caller]
fn answers(server: &Server, status: u16) -> Answer {
    let mut answer = None;
    comes_to(
        server,
        &format!("a login is answered with {status}"),
        || {
            answer = try_login(server);
            let given = answer.as_ref().map(|answer| answer.status);
            assert!(
                [None, Some(500), Some(503), Some(status)].contains(&given),
                "{answer:?}"
            );
            given == Some(status)
        },
    );
    answer.unwrap()
}

/// Repeats until a condition holds. Failures are injected per thread, also into the thread of a new connection, so they end
/// after some attempts.
#[track_caller]
fn comes_to(server: &Server, what: &str, mut holds: impl FnMut() -> bool) {
    if !(0..4).any(|_| holds()) {
        strace::end(server.pid());
        soon(what, holds);
    }
}

fn try_login(server: &Server) -> Option<Answer> {
    start_login(server)?.answer_or_end()
}

/// Sends several logins, each on its own connection; `None` where the connection failed.
pub fn start_logins(server: &Server) -> Vec<Option<Connection>> {
    (0..8).map(|_| start_login(server)).collect()
}

/// Whether the same number of concurrent logins all succeed.
pub fn all_log_in(server: &Server) -> bool {
    let connections = start_logins(server);
    let count = connections.len();
    let answers = connections
        .into_iter()
        .map(|connection| connection?.answer_or_end());
    let answers: Vec<_> = answers.collect();
    answers
        .iter()
        .flatten()
        .filter(|answer| answer.status == 200)
        .count()
        == count
}

fn start_login(server: &Server) -> Option<Connection> {
    let mut connection = match server.ready_line.strip_prefix("listening on unix:") {
        Some(_) => Connection::over(UnixStream::connect(server.place.path("login.sock")).ok()?),
        None => Connection::over_tcp(TcpStream::connect(server.address()).ok()?),
    };
    let login = request("POST", LOGIN, &[JSON], login_body(JWEIR, PASSWORD));
    connection.try_send(login).ok()?;
    Some(connection)
}

#[track_caller]
pub fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "timed out waiting until {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

/// Checks that the header of a database that has a write-ahead log says so: without it, commits are not as durable as
/// documented.
#[track_caller]
fn assert_logs_ahead(place: &Place) {
    assert_eq!(
        header(place),
        Some([2, 2]),
        "the database does not log ahead"
    );
}

/// The bytes of the database header that contain the journal mode.
pub fn header(place: &Place) -> Option<[u8; 2]> {
    let bytes = fs::read(place.path(Place::DATABASE)).ok()?;
    bytes.get(18..20)?.try_into().ok()
}
