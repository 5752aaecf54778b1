//! `user unlock` lifts the limits on failed logins in a running server.

use super::run;
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Place, Server};

const OTHER: &str = "other@projectthanos.com";

fn throttled(flags: &[&str]) -> (Place, Server) {
    let place = Place::seeded(&accounts::retailer([JWEIR, OTHER].map(accounts::user)));
    let server = place.serve(flags);
    for username in [JWEIR, OTHER] {
        for _ in 0..2 {
            assert_eq!(server.login(username, "wrong").status, 401);
        }
        assert_eq!(server.login(username, PASSWORD).status, 429);
    }
    (place, server)
}

#[test]
fn an_unlocked_user_logs_in_at_once_and_nobody_else_does() {
    let (place, server) = throttled(&["--failed-logins-per-user", "2"]);
    run(&place, &["user", "unlock", JWEIR]);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    assert_eq!(server.login(OTHER, PASSWORD).status, 429);
}

#[test]
fn the_limit_over_all_addresses_is_lifted_too() {
    let (place, server) = throttled(&["--failed-logins-per-account", "2"]);
    run(&place, &["user", "unlock", JWEIR]);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    assert_eq!(server.login(OTHER, PASSWORD).status, 429);
}

#[test]
fn failures_after_an_unlock_count_again() {
    let (place, server) = throttled(&["--failed-logins-per-user", "2"]);
    run(&place, &["user", "unlock", JWEIR]);
    for _ in 0..2 {
        assert_eq!(server.login(JWEIR, "wrong").status, 401);
    }
    assert_eq!(server.login(JWEIR, PASSWORD).status, 429);
}

#[test]
fn each_unlock_takes_effect_whatever_the_clock_said() {
    let (place, server) = throttled(&["--failed-logins-per-user", "2"]);
    for _ in 0..3 {
        run(&place, &["user", "unlock", JWEIR]);
        // This has the effect of a clock that is set to the same moment, long ago.
        place
            .sql()
            .execute_batch("UPDATE users SET unlocked_at = 0")
            .unwrap();
        for _ in 0..2 {
            assert_eq!(server.login(JWEIR, "wrong").status, 401);
        }
        assert_eq!(server.login(JWEIR, PASSWORD).status, 429);
    }
}

#[test]
fn only_failures_after_an_unlock_count() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&["--failed-logins-per-user", "2"]);
    run(&place, &["user", "unlock", JWEIR]);
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    run(&place, &["user", "unlock", JWEIR]);
    run(&place, &["user", "unlock", JWEIR]);
    for _ in 0..2 {
        assert_eq!(server.login(JWEIR, "wrong").status, 401);
    }
    assert_eq!(server.login(JWEIR, PASSWORD).status, 429);
}

#[test]
fn the_limit_of_an_address_stays() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&["--failed-logins-per-address", "2"]);
    for _ in 0..2 {
        assert_eq!(server.login(JWEIR, "wrong").status, 401);
    }
    run(&place, &["user", "unlock", JWEIR]);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 429);
}
