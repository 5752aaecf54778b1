//! Background work of several servers at the same moment.

use std::fmt::Write;

use super::{SERVERS, Several, at_once};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::eventually;

/// Makes each transaction that changes a hash wait for a while, with the row of its user locked.
const SLOW_REHASHES: &str = "
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.05); RETURN NULL; END';
    CREATE TRIGGER a_wait AFTER UPDATE OF password_hash ON users FOR EACH ROW EXECUTE FUNCTION wait()";

#[test]
#[ignore = "needs PostgreSQL"]
fn five_servers_remove_expired_tokens_and_old_events_beside_logins_and_changes() {
    let several = Several::start(&accounts::retailer([accounts::user(JWEIR)]));
    let token = several.servers[0].login(JWEIR, PASSWORD).token();
    several.sql(
        "INSERT INTO tokens (digest, user_id, issued_at, expires_at)
         SELECT sha256(CAST(CAST(number AS text) AS bytea)), users.id, 1, 1 + number % 7
         FROM generate_series(1, 20000) AS number, users",
    );
    several.sql(
        "INSERT INTO events (time, action, outcome, user_uuid, number)
         SELECT 1, 'login', 'failed', uuid, number FROM generate_series(1, 20000) AS number, users",
    );
    let answers = several.logins_beside(&[JWEIR.to_owned()], || {
        several.run(&["token", "purge"]);
        several.run(&["token", "revoke", "--user", JWEIR]);
        eventually("all is removed", || {
            several.sql("SELECT count(*) FROM tokens WHERE expires_at < 9") == "0"
                && several.sql("SELECT count(*) FROM events WHERE time = 1") == "0"
        });
    });
    assert!(answers.iter().flatten().all(|answer| answer.status == 200));
    assert!(!super::is_good(&several, &token));
    several.assert_no_conflict();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_hash_that_two_servers_renew_at_once_is_renewed() {
    let several = Several::start(&accounts::retailer([accounts::user(JWEIR)]));
    several.sql(SLOW_REHASHES);
    let tokens = at_once(5, |number| {
        several.servers[number].login(JWEIR, PASSWORD).token()
    });
    eventually("the hash has the servers' cost", || {
        several.sql("SELECT cost FROM users") == "10"
    });
    assert_eq!(
        several.sql("SELECT cost, users FROM org_costs WHERE users <> 0"),
        "10|1"
    );
    for token in tokens {
        assert!(super::is_good(&several, &token));
    }
    assert_eq!(several.servers[0].login(JWEIR, PASSWORD).status, 200);
    several.assert_no_conflict();
}

/// Both update the number of users by cost of their hashes: a rehash after it has locked one user, an import after each of
/// many users.
#[test]
#[ignore = "needs PostgreSQL"]
fn hashes_are_renewed_beside_imports_that_change_the_same_users() {
    let several = Several::start(&accounts::crowded());
    several.sql(SLOW_REHASHES);
    // Two kinds of changes, which are written one after the other.
    for (name, status, cost) in [
        ("on.csv", "ACTIVE", 4),
        ("off.csv", "CONFIRMATION WAITING", 5),
    ] {
        let hash = bcrypt::hash(PASSWORD, cost).unwrap();
        let mut rows = "username,status,password_hash\n".to_owned();
        for (number, username) in accounts::crowd().iter().enumerate() {
            let hash = if number % 2 == 0 { "" } else { &hash };
            writeln!(rows, "{username},{status},{hash}").unwrap();
        }
        several.place.write(name, rows);
    }
    for name in ["off.csv", "on.csv"] {
        at_once(SERVERS, |number| {
            for username in accounts::crowd().iter().take(16) {
                several.servers[number].login(username, PASSWORD);
            }
        });
        several.run(&["user", "import", name]);
    }
    let wrong = several.sql(
        "SELECT count(*) FROM org_costs AS counted WHERE counted.users <>
             (SELECT count(*) FROM users WHERE status = 'ACTIVE' AND users.cost = counted.cost AND users.org_id = counted.org_id)",
    );
    assert_eq!(wrong, "0");
    several.assert_no_conflict();
}
