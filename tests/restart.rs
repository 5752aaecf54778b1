//! Failed logins across a restart: the next server continues counting.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{
    Answer, JSON, LOGIN, Place, Server, eventually, login_body, only_in_a_file, request,
};

const OTHER: &str = "other@projectthanos.com";
const TWO_PER_USER: [&str; 2] = ["--failed-logins-per-user", "2"];

fn two_users() -> Place {
    Place::seeded(&accounts::retailer([JWEIR, OTHER].map(accounts::user)))
}

#[track_caller]
fn fail(server: &Server, username: &str, times: usize) {
    for number in 0..times {
        let answer = server.login(username, "wrong");
        assert_eq!(answer.status, 401, "{number} of {username}: {answer:?}");
    }
}

/// How many failures the database has counted for a kind of counter.
fn failures(place: &Place, kind: &str) -> i64 {
    place.number(&format!(
        "SELECT coalesce(sum(failures), 0) FROM failed_logins WHERE kind = '{kind}'"
    ))
}

fn login_from(server: &Server, address: &str, username: &str, password: &str) -> Answer {
    let fields = [JSON, ("X-Forwarded-For", address)];
    server.send(request(
        "POST",
        LOGIN,
        &fields,
        login_body(username, password),
    ))
}

#[test]
fn a_lock_survives_a_restart_whether_the_name_is_known_or_not() {
    let place = two_users();
    let server = place.serve(&TWO_PER_USER);
    for username in [JWEIR, "nobody"] {
        fail(&server, username, 2);
        assert_eq!(server.login(username, PASSWORD).status, 429, "{username}");
    }
    server.stop();
    let server = place.serve(&TWO_PER_USER);
    for username in [JWEIR, "Nobody"] {
        let answer = server.login(username, PASSWORD);
        assert_eq!(answer.status, 429, "{username}");
        let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=15 * 60).contains(&seconds), "{username}: {seconds}");
    }
    assert_eq!(server.login(OTHER, PASSWORD).status, 200);
}

#[test]
fn failures_below_a_limit_still_count_after_a_restart() {
    let place = two_users();
    for (flag, usernames) in [
        ("--failed-logins-per-user", [JWEIR; 3]),
        ("--failed-logins-per-address", ["a", "b", "c"]),
        ("--failed-logins-per-account", [OTHER; 3]),
    ] {
        for username in usernames {
            let server = place.serve(&[flag, "3"]);
            fail(&server, username, 1);
            server.stop();
        }
        let server = place.serve(&[flag, "3"]);
        let refused = server.login(usernames[2], PASSWORD);
        assert_eq!(refused.status, 429, "{flag}: {refused:?}");
        place
            .sql()
            .execute_batch("DELETE FROM failed_logins")
            .unwrap();
    }
}

#[test]
fn a_killed_server_has_counted_no_more_than_it_answered() {
    let place = two_users();
    let flags = ["--failed-logins-per-user", "1000"];
    for round in 1..=5 {
        let server = place.serve(&flags);
        fail(&server, JWEIR, 3);
        fail(&server, "nobody", 3);
        server.kill();
        for kind in ["user", "account", "address"] {
            assert!(failures(&place, kind) <= 6 * round, "{kind}");
        }
        let events = place.number("SELECT count(*) FROM events WHERE action = 'login'");
        assert!(events <= 3 * round, "{events}");
        assert_eq!(place.integrity(), "ok");
    }
    let server = place.serve(&TWO_PER_USER);
    fail(&server, OTHER, 2);
    eventually("both are written", || {
        place.number("SELECT count(*) FROM failed_logins WHERE failures = 2 AND locked_until IS NOT NULL AND kind = 'user'") >= 1
    });
    server.kill();
    let server = place.serve(&TWO_PER_USER);
    assert_eq!(server.login(OTHER, PASSWORD).status, 429);
}

#[test]
fn a_success_is_not_undone_by_a_restart() {
    let place = two_users();
    for _ in 0..3 {
        let server = place.serve(&TWO_PER_USER);
        fail(&server, JWEIR, 1);
        server.login(JWEIR, PASSWORD).token();
        server.kill();
        assert_eq!(failures(&place, "user"), 0);
    }
}

#[test]
fn an_unlock_survives_a_restart_whenever_it_was_done() {
    let place = two_users();
    let server = place.serve(&TWO_PER_USER);
    for username in [JWEIR, OTHER] {
        fail(&server, username, 2);
        assert_eq!(server.login(username, PASSWORD).status, 429);
    }
    place.run(&["user", "unlock", JWEIR]).succeeded();
    server.stop();
    place.run(&["user", "unlock", OTHER]).succeeded();
    let server = place.serve(&TWO_PER_USER);
    for username in [JWEIR, OTHER] {
        server.login(username, PASSWORD).token();
    }
}

#[test]
fn the_limits_of_the_current_server_apply() {
    // Servers of one database may have different limits: the lock in a counter is that of the server with the last failure.
    only_in_a_file();
    let place = two_users();
    let server = place.serve(&["--failed-logins-per-user", "5"]);
    fail(&server, JWEIR, 3);
    server.stop();
    let locked = "SELECT count(*) FROM failed_logins WHERE locked_until IS NOT NULL";
    for (flags, is_locked) in [
        (&["--failed-logins-per-user", "3"][..], true),
        (&["--failed-logins-per-user", "4"], false),
        (&["--failed-logins-per-user", "3"], true),
        (&["--failed-logins-per-user", "0"], false),
        (
            &[
                "--failed-logins-per-user",
                "3",
                "--failed-login-window",
                "1ms",
            ],
            false,
        ),
    ] {
        let server = place.serve(flags);
        assert_eq!(place.number(locked) == 1, is_locked, "{flags:?}");
        if is_locked {
            assert_eq!(server.login(JWEIR, PASSWORD).status, 429, "{flags:?}");
        }
        server.stop();
    }
    let server = place.serve(&["--failed-logins-per-user", "4"]);
    server.login(JWEIR, PASSWORD).token();
}

#[test]
fn a_first_failure_in_the_future_locks_for_one_window_and_not_longer() {
    let place = two_users();
    let server = place.serve(&TWO_PER_USER);
    fail(&server, JWEIR, 2);
    server.stop();
    // This has the effect of a clock that was set back.
    let later = "UPDATE failed_logins SET first_failure = first_failure + 31536000000000,
                 locked_until = locked_until + 31536000000000";
    place.sql().execute_batch(later).unwrap();
    let server = place.serve(&TWO_PER_USER);
    let answer = server.login(JWEIR, PASSWORD);
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=15 * 60).contains(&seconds), "{answer:?}");
    server.stop();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let latest = |seconds: u64| (now.as_secs() + seconds) * 1_000_000;
    let in_the_future = format!(
        "SELECT count(*) FROM failed_logins WHERE first_failure > {} OR locked_until > {}",
        latest(1),
        latest(15 * 60 + 1)
    );
    assert_eq!(place.number(&in_the_future), 0);
    // This has the effect of a clock that was set forward.
    place
        .sql()
        .execute_batch("UPDATE failed_logins SET first_failure = 0")
        .unwrap();
    let server = place.serve(&TWO_PER_USER);
    server.login(JWEIR, PASSWORD).token();
}

#[test]
fn the_address_of_an_owner_is_known_to_the_next_server() {
    let place = two_users();
    let flags = [
        "--trusted-proxy",
        "127.0.0.1/32",
        "--failed-logins-per-account",
        "3",
    ];
    let server = place.serve(&flags);
    for address in ["192.0.2.99", "2001:db8:1:2:3:4:5:6"] {
        login_from(&server, address, JWEIR, PASSWORD).token();
    }
    for number in 0..3 {
        let answer = login_from(&server, &format!("192.0.2.{number}"), JWEIR, "wrong");
        assert_eq!(answer.status, 401, "{number}");
    }
    server.stop();
    let server = place.serve(&flags);
    let stranger = login_from(&server, "192.0.2.50", JWEIR, PASSWORD);
    assert_eq!(stranger.status, 429);
    for address in ["192.0.2.99", "2001:db8:1:2::1"] {
        login_from(&server, address, JWEIR, PASSWORD).token();
    }
}

#[test]
fn counters_leave_the_file_once_their_window_is_over() {
    let place = two_users();
    let server = place.serve(&["--failed-login-window", "1s"]);
    fail(&server, JWEIR, 1);
    fail(&server, "nobody", 1);
    eventually("all are gone", || {
        server.login(OTHER, PASSWORD).token();
        place.number("SELECT count(*) FROM events WHERE outcome = 'failed'") == 1
            && place.number("SELECT count(*) FROM failed_logins") == 0
    });
}
