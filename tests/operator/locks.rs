//! Locked users, as `user show`, `user list --locked` and `user unlock` report them.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::params;
use serde_json::{Value, json};

use super::{json, json_lines, run};
use crate::harness::accounts::{self, JWEIR};
use crate::harness::{Place, eventually};

const OTHER: &str = "other@projectthanos.com";
const HOUR: Duration = Duration::from_secs(3600);

fn place() -> Place {
    Place::seeded(&accounts::retailer([JWEIR, OTHER].map(accounts::user)))
}

/// Counts failures of [`JWEIR`] as a server does.
fn count(
    place: &Place,
    kind: &str,
    address: Option<&str>,
    failures: i64,
    until: Option<Timestamp>,
) {
    let unlocks = place.number("SELECT unlocks FROM users WHERE username LIKE 'jweir%'");
    place
        .sql()
        .execute(
            "INSERT INTO failed_logins (key, kind, user_uuid, address, failures, first_failure, unlocks, locked_until)
             SELECT randomblob(16), ?1, uuid, ?2, ?3, 0, ?4, ?5 FROM users WHERE username LIKE 'jweir%'",
            params![kind, address, failures, unlocks, until.map(Timestamp::as_microsecond)],
        )
        .unwrap();
}

fn lock(place: &Place) -> Value {
    let user = json(&run(place, &["user", "show", JWEIR, "--json"]));
    json!([
        user["failed_logins"],
        user["locked_until"],
        user["locked_addresses"],
        user["account_locked_until"],
    ])
}

fn locked(place: &Place) -> Vec<Value> {
    json_lines(&run(place, &["user", "list", "--locked", "--json"]))
}

#[test]
fn a_user_is_shown_with_its_failed_logins_and_when_its_locks_end() {
    let place = place();
    // Times in the database are in microseconds.
    let now = Timestamp::from_microsecond(Timestamp::now().as_microsecond()).unwrap();
    let (soon, later) = (now + HOUR, now + 2 * HOUR);
    let free = json!([0, null, [], null]);
    assert_eq!(lock(&place), free);
    assert!(locked(&place).is_empty());

    count(&place, "user", Some("198.51.100.1"), 2, None);
    assert_eq!(lock(&place), json!([2, null, [], null]));
    assert!(locked(&place).is_empty());
    count(&place, "user", Some("192.0.2.7"), 3, Some(soon));
    count(&place, "user", Some("192.0.2.8"), 3, Some(now - HOUR));
    assert_eq!(
        lock(&place),
        json!([5, soon.to_string(), ["192.0.2.7"], null])
    );
    count(&place, "account", None, 9, Some(later));
    let until = later.to_string();
    assert_eq!(lock(&place), json!([9, until, ["192.0.2.7"], until]));

    assert_eq!(locked(&place)[0]["username"], JWEIR);
    assert_eq!(locked(&place).len(), 1);
    let table = run(&place, &["user", "list", "--locked"]).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    let until = later.strftime("%FT%TZ").to_string();
    let column = lines[0].find("LOCKED UNTIL").unwrap();
    assert_eq!(lines[1].find(&until), Some(column), "{table}");
    let shown = run(&place, &["user", "show", JWEIR]).stdout;
    for line in [
        "failed_logins         9",
        &format!("locked_until          {until}"),
        "locked_addresses      192.0.2.7",
        &format!("account_locked_until  {until}"),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }

    // Failures are counted by username, so a renamed user has none.
    run(&place, &["user", "rename", JWEIR, "jo@projectthanos.com"]);
    run(&place, &["user", "rename", "jo@projectthanos.com", JWEIR]);
    assert_eq!(lock(&place), free);
    count(&place, "user", Some("192.0.2.7"), 3, Some(soon));
    run(&place, &["user", "rename", JWEIR, &JWEIR.to_uppercase()]);
    assert_eq!(locked(&place).len(), 1, "it is the same name");

    // Failures before an unlock do not count.
    run(&place, &["user", "unlock", JWEIR]);
    assert_eq!(lock(&place), free);
    assert!(locked(&place).is_empty());
}

#[test]
fn unlocking_reports_whether_there_was_a_lock() {
    let place = place();
    let soon = Timestamp::now() + HOUR;
    let until = soon.strftime("%FT%TZ");
    let unlock = || run(&place, &["user", "unlock", JWEIR]).stdout;
    let events = || json_lines(&run(&place, &["user", "history", JWEIR, "--json"]));
    assert_eq!(
        unlock(),
        format!("{JWEIR} was not locked, and has no failed logins\n")
    );
    assert_eq!(events().last().unwrap()["before"], Value::Null);
    for (failures, forgotten) in [
        (1, "1 failed login is forgotten"),
        (3, "3 failed logins are forgotten"),
    ] {
        count(&place, "user", Some("192.0.2.7"), failures, None);
        assert_eq!(unlock(), format!("{JWEIR} was not locked; {forgotten}\n"));
    }
    assert_eq!(events().last().unwrap()["before"], "3 failed logins");
    let rest = "every address that has not logged in";
    for (addresses, is_account, kept_out) in [
        (&["192.0.2.7"][..], false, "192.0.2.7".to_owned()),
        (&[], true, rest.to_owned()),
        (
            &["192.0.2.7", "2001:db8::/64"],
            true,
            format!("192.0.2.7, 2001:db8::/64, {rest}"),
        ),
        (
            &["a", "b", "c", "d", "e"],
            false,
            "a, b, c, 2 others".to_owned(),
        ),
    ] {
        for address in addresses {
            count(&place, "user", Some(address), 3, Some(soon));
        }
        if is_account {
            count(&place, "account", None, 100, Some(soon));
        }
        let lock = format!("locked until {until} for {kept_out}");
        assert_eq!(unlock(), format!("unlocked {JWEIR}, who was {lock}\n"));
        assert_eq!(events().last().unwrap()["before"], lock);
    }
    // A server may still refuse logins if the date was set forward.
    let past = Timestamp::now() - HOUR;
    count(&place, "user", Some("192.0.2.7"), 3, Some(past));
    let until = past.strftime("%FT%TZ");
    let lock = format!("locked until {until} for 192.0.2.7");
    assert_eq!(unlock(), format!("unlocked {JWEIR}, who was {lock}\n"));
}

#[test]
fn a_server_writes_who_is_locked_where_commands_read_it() {
    let place = place();
    let server = place.serve(&["--failed-logins-per-user", "3"]);
    for _ in 0..3 {
        assert_eq!(server.login(JWEIR, "wrong").status, 401);
    }
    assert_eq!(server.login(JWEIR, "wrong").status, 429);
    eventually("the lock is in the database", || {
        place.number("SELECT count(*) FROM failed_logins WHERE locked_until IS NOT NULL") > 0
    });
    let found = locked(&place);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["failed_logins"], 3);
    assert_eq!(found[0]["locked_addresses"], json!(["127.0.0.1"]));
    assert_eq!(found[0]["account_locked_until"], Value::Null);
    let said = run(&place, &["user", "unlock", JWEIR]).stdout;
    assert!(
        said.starts_with(&format!("unlocked {JWEIR}, who was locked until ")),
        "{said}"
    );
    assert!(said.ends_with(" for 127.0.0.1\n"), "{said}");
    assert!(locked(&place).is_empty());
    assert_eq!(server.login(JWEIR, accounts::PASSWORD).status, 200);
}
