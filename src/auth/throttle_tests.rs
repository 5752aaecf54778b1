use super::*;

const MINUTE: u64 = 60;

fn throttle(per_user: u32, per_address: u32, per_account: u32) -> Arc<Throttle> {
    let limits = Limits {
        window: Duration::from_secs(15 * MINUTE),
        per_user,
        per_address,
        per_account,
    };
    Arc::new(Throttle::new(limits).unwrap())
}

fn at(seconds: u64) -> Timestamp {
    Timestamp::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn admit(
    throttle: &Arc<Throttle>,
    name: &str,
    client: &str,
    now: Timestamp,
) -> Result<Attempt, u64> {
    let username = Username::parse(name).unwrap();
    throttle
        .admit(&username, client.parse().unwrap(), now)
        .map_err(|error| match error {
            Error::Throttled {
                retry_after_seconds,
            } => retry_after_seconds,
            other => panic!("{other}"),
        })
}

/// Fails `times` times, each of them let through.
fn fail(throttle: &Arc<Throttle>, name: &str, client: &str, now: Timestamp, times: u32) {
    for _ in 0..times {
        admit(throttle, name, client, now).ok().unwrap().fail();
    }
}

fn refused(throttle: &Arc<Throttle>, name: &str, client: &str, now: Timestamp) -> Option<u64> {
    admit(throttle, name, client, now).err()
}

#[test]
fn each_limit_counts_its_own_failures() {
    for (label, limits, same, other) in [
        (
            "user",
            (3, 0, 0),
            ("a", "192.0.2.1"),
            [("b", "192.0.2.1"), ("a", "192.0.2.2")],
        ),
        (
            "address",
            (0, 3, 0),
            ("b", "192.0.2.1"),
            [("a", "192.0.2.2"), ("b", "192.0.2.2")],
        ),
        (
            "account",
            (0, 0, 3),
            ("a", "192.0.2.2"),
            [("b", "192.0.2.1"), ("b", "192.0.2.2")],
        ),
    ] {
        let throttle = throttle(limits.0, limits.1, limits.2);
        fail(&throttle, "a", "192.0.2.1", at(0), 3);
        assert_eq!(
            refused(&throttle, same.0, same.1, at(10)),
            Some(15 * MINUTE - 10),
            "{label}"
        );
        for (name, client) in other {
            assert_eq!(
                refused(&throttle, name, client, at(10)),
                None,
                "{label}: {name} {client}"
            );
        }
    }
}

#[test]
fn zero_is_no_limit() {
    fail(&throttle(0, 0, 0), "a", "192.0.2.1", at(0), 1000);
}

#[test]
fn the_window_is_fixed_from_its_first_failure() {
    let throttle = throttle(3, 0, 0);
    fail(&throttle, "a", "192.0.2.1", at(0), 1);
    fail(&throttle, "a", "192.0.2.1", at(14 * MINUTE), 2);
    let almost_over = at(15 * MINUTE) - Duration::from_millis(1);
    assert_eq!(refused(&throttle, "a", "192.0.2.1", almost_over), Some(1));
    fail(&throttle, "a", "192.0.2.1", at(15 * MINUTE), 3);
    assert_eq!(
        refused(&throttle, "a", "192.0.2.1", at(15 * MINUTE)),
        Some(15 * MINUTE)
    );
}

#[test]
fn the_longest_wait_is_told() {
    let throttle = throttle(1, 2, 0);
    fail(&throttle, "a", "192.0.2.1", at(0), 1);
    fail(&throttle, "b", "192.0.2.1", at(60), 1);
    assert_eq!(
        refused(&throttle, "b", "192.0.2.1", at(60)),
        Some(15 * MINUTE)
    );
    assert_eq!(
        refused(&throttle, "c", "192.0.2.1", at(60)),
        Some(14 * MINUTE)
    );
}

#[test]
fn a_refused_try_counts_nothing() {
    let throttle = throttle(1, 3, 0);
    fail(&throttle, "a", "192.0.2.1", at(0), 1);
    for _ in 0..10 {
        assert!(refused(&throttle, "a", "192.0.2.1", at(0)).is_some());
    }
    fail(&throttle, "b", "192.0.2.1", at(0), 1);
    fail(&throttle, "c", "192.0.2.1", at(0), 1);
    assert!(refused(&throttle, "d", "192.0.2.1", at(0)).is_some());
}

#[test]
fn what_is_no_failure_is_given_back() {
    let throttle = throttle(2, 2, 2);
    for _ in 0..10 {
        drop(admit(&throttle, "a", "192.0.2.1", at(0)).ok().unwrap());
    }
    fail(&throttle, "a", "192.0.2.1", at(60), 2);
    assert_eq!(
        refused(&throttle, "a", "192.0.2.1", at(60)),
        Some(15 * MINUTE),
        "no window stood before"
    );
}

#[test]
fn tries_in_flight_are_counted_already() {
    let throttle = throttle(2, 0, 0);
    let in_flight = [(); 2].map(|()| admit(&throttle, "a", "192.0.2.1", at(0)).ok().unwrap());
    assert!(refused(&throttle, "a", "192.0.2.1", at(0)).is_some());
    drop(in_flight);
    assert!(refused(&throttle, "a", "192.0.2.1", at(0)).is_none());
}

#[test]
fn success_clears_the_first_counter_only() {
    let throttle = throttle(3, 5, 0);
    fail(&throttle, "a", "192.0.2.1", at(0), 2);
    admit(&throttle, "a", "192.0.2.1", at(0))
        .ok()
        .unwrap()
        .succeed();
    fail(&throttle, "a", "192.0.2.1", at(0), 3);
    assert!(refused(&throttle, "a", "192.0.2.1", at(0)).is_some());
    assert!(
        refused(&throttle, "b", "192.0.2.1", at(0)).is_some(),
        "five failures of the address"
    );
}

#[test]
fn an_address_that_logged_in_is_not_held_by_the_limit_per_account() {
    let throttle = throttle(0, 0, 3);
    admit(&throttle, "Owner", "192.0.2.1", at(0))
        .ok()
        .unwrap()
        .succeed();
    fail(&throttle, "owner", "203.0.113.1", at(0), 3);
    assert!(refused(&throttle, "owner", "203.0.113.2", at(0)).is_some());
    assert!(refused(&throttle, "OWNER", "192.0.2.1", at(0)).is_none());
}

#[test]
fn a_try_of_an_older_window_is_not_taken_from_a_newer_one() {
    let throttle = throttle(2, 0, 0);
    let slow = admit(&throttle, "a", "192.0.2.1", at(0)).ok().unwrap();
    fail(&throttle, "a", "192.0.2.1", at(15 * MINUTE), 2);
    drop(slow);
    assert!(refused(&throttle, "a", "192.0.2.1", at(15 * MINUTE)).is_some());
}

#[test]
fn a_network_is_an_ipv4_address_or_an_ipv6_64() {
    for (client, expected) in [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
    ] {
        let network = ClientNetwork::from(client.parse::<IpAddr>().unwrap());
        assert_eq!(network.0.to_string(), expected);
    }
}

#[test]
fn a_million_invented_names_and_addresses_leave_a_bounded_number_of_counters() {
    let throttle = throttle(10, 100, 100);
    for number in 0..1_000_000_u32 {
        let client = IpAddr::from(number.to_be_bytes());
        fail(
            &throttle,
            &format!("invented-{number}"),
            &client.to_string(),
            at(0),
            1,
        );
    }
    let counters = throttle.lock();
    for kind in &counters.kinds {
        assert_eq!(kind.len(), MAX_ENTRIES);
    }
}

#[test]
fn a_step_back_of_the_clock_closes_no_window_for_longer() {
    let throttle = throttle(1, 0, 0);
    fail(&throttle, "a", "192.0.2.1", at(60 * MINUTE), 1);
    assert_eq!(
        refused(&throttle, "a", "192.0.2.1", at(0)),
        Some(15 * MINUTE)
    );
}
