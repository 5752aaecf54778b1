use std::thread;

use parking_lot::MutexGuard;

use super::counters::MAX_ENTRIES;
use super::in_memory::MemoryState;
use super::*;
use crate::clock::Now;
use crate::store::FailedLogins;

const MINUTE: u64 = 60;
const CLIENT: &str = "192.0.2.1";

fn throttle(per_pair: u32, per_address: u32, per_username: u32) -> Arc<Throttle> {
    let limits = FailedLoginLimits {
        window: Duration::from_secs(15 * MINUTE),
        per_pair,
        per_address,
        per_username,
    };
    Arc::new(Throttle::new([7; 16], limits))
}

fn state(throttle: &Throttle) -> MutexGuard<'_, MemoryState> {
    match &throttle.counters {
        Backend::InMemory(memory) => memory.state.lock(),
        Backend::InDatabase(_) => panic!("in a database"),
    }
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn subject(throttle: &Throttle, name: &str, client: &str) -> Subject {
    let username = Username::parse(name).unwrap();
    throttle.subject(&username, client.parse().unwrap())
}

fn admission(
    throttle: &Arc<Throttle>,
    name: &str,
    client: &str,
    now: Duration,
) -> Result<Admission, Error> {
    throttle.admit(subject(throttle, name, client), now)
}

#[track_caller]
fn admit(throttle: &Arc<Throttle>, name: &str, client: &str, now: Duration) -> Attempt {
    match admission(throttle, name, client, now) {
        Ok(Admission::Granted(attempt)) => attempt,
        Ok(Admission::Queued(_)) => panic!("queued"),
        Err(error) => panic!("{error}"),
    }
}

#[track_caller]
fn queue(throttle: &Arc<Throttle>, name: &str, client: &str) -> QueuedAttempt {
    match admission(throttle, name, client, at(0)) {
        Ok(Admission::Queued(queued)) => queued,
        Ok(Admission::Granted(_)) => panic!("granted"),
        Err(error) => panic!("{error}"),
    }
}

/// The queued attempt, if it may go on by now.
#[track_caller]
fn granted(queued: QueuedAttempt) -> Option<Attempt> {
    queued.attempt.try_recv().ok()
}

/// Fails `times` times; each attempt is admitted.
#[track_caller]
fn fail(throttle: &Arc<Throttle>, name: &str, client: &str, now: Duration, times: u32) {
    for _ in 0..times {
        admit(throttle, name, client, now).fail(now, 0);
    }
}

/// For how many seconds an attempt is refused.
#[track_caller]
fn refused(throttle: &Arc<Throttle>, name: &str, client: &str, now: Duration) -> Option<u64> {
    match admission(throttle, name, client, now) {
        Ok(Admission::Granted(_)) => None,
        Ok(Admission::Queued(_)) => panic!("queued"),
        Err(Error::Throttled {
            retry_after_seconds,
            ..
        }) => Some(retry_after_seconds),
        Err(error) => panic!("{error}"),
    }
}

/// For how many seconds an account is closed to an attempt with the right password.
#[track_caller]
fn closed(throttle: &Arc<Throttle>, name: &str, client: &str, now: Duration) -> Option<u64> {
    match admit(throttle, name, client, now).pass(now, 0) {
        Ok(_) => None,
        Err(Error::Throttled {
            retry_after_seconds,
            ..
        }) => Some(retry_after_seconds),
        Err(error) => panic!("{error}"),
    }
}

fn unlock(throttle: &Throttle, name: &str, unlocks: i64) {
    throttle.unlock(&subject(throttle, name, CLIENT), unlocks);
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
fn the_limit_per_account_counts_all_addresses_and_closes_one_account() {
    let throttle = throttle(0, 0, 3);
    for client in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert_eq!(closed(&throttle, "a", client, at(0)), None);
        fail(&throttle, "a", client, at(0), 1);
    }
    for client in ["192.0.2.1", "192.0.2.4"] {
        let remaining = closed(&throttle, "A", client, at(10));
        assert_eq!(remaining, Some(15 * MINUTE - 10), "{client}");
        assert_eq!(closed(&throttle, "b", client, at(10)), None, "{client}");
    }
    assert_eq!(closed(&throttle, "a", CLIENT, at(15 * MINUTE)), None);
}

#[test]
fn zero_is_no_limit() {
    fail(&throttle(0, 0, 0), "a", CLIENT, at(0), 1000);
}

#[test]
fn the_window_is_fixed_from_its_first_failure() {
    let throttle = throttle(3, 0, 0);
    fail(&throttle, "a", CLIENT, at(0), 1);
    fail(&throttle, "a", CLIENT, at(14 * MINUTE), 2);
    let almost_over = at(15 * MINUTE) - Duration::from_millis(1);
    assert_eq!(refused(&throttle, "a", CLIENT, almost_over), Some(1));
    fail(&throttle, "a", CLIENT, at(15 * MINUTE), 3);
    assert_eq!(
        refused(&throttle, "a", CLIENT, at(15 * MINUTE)),
        Some(15 * MINUTE)
    );
}

#[test]
fn the_longest_wait_is_reported() {
    let throttle = throttle(1, 2, 0);
    fail(&throttle, "a", CLIENT, at(0), 1);
    fail(&throttle, "b", CLIENT, at(60), 1);
    assert_eq!(refused(&throttle, "b", CLIENT, at(60)), Some(15 * MINUTE));
    assert_eq!(refused(&throttle, "c", CLIENT, at(60)), Some(14 * MINUTE));
}

#[test]
fn a_refused_attempt_counts_nothing() {
    let throttle = throttle(1, 3, 0);
    fail(&throttle, "a", CLIENT, at(0), 1);
    for _ in 0..10 {
        assert!(refused(&throttle, "a", CLIENT, at(0)).is_some());
    }
    fail(&throttle, "b", CLIENT, at(0), 1);
    fail(&throttle, "c", CLIENT, at(0), 1);
    assert!(refused(&throttle, "d", CLIENT, at(0)).is_some());
}

#[test]
fn an_attempt_that_does_not_fail_counts_nothing_and_starts_no_window() {
    let throttle = throttle(2, 2, 2);
    for _ in 0..10 {
        drop(admit(&throttle, "a", CLIENT, at(0)));
    }
    fail(&throttle, "a", CLIENT, at(60), 2);
    assert_eq!(refused(&throttle, "a", CLIENT, at(60)), Some(15 * MINUTE));
}

#[test]
fn an_attempt_waits_for_those_in_progress_if_they_could_reach_a_limit() {
    for (label, limits, other, client) in [
        ("user", (2, 0, 0), "a", "192.0.2.1"),
        ("address", (0, 2, 0), "b", "192.0.2.1"),
    ] {
        let throttle = throttle(limits.0, limits.1, limits.2);
        let [first, second] = [(); 2].map(|()| admit(&throttle, "a", CLIENT, at(0)));
        let queued = queue(&throttle, other, client);
        first.fail(at(0), 0);
        assert!(queued.attempt.try_recv().is_err(), "{label}");
        drop(second);
        granted(queued).expect(label).fail(at(0), 0);
        assert!(
            refused(&throttle, other, client, at(0)).is_some(),
            "{label}"
        );
    }
}

#[test]
fn queued_attempts_go_on_in_the_order_of_arrival_up_to_the_limit() {
    let throttle = throttle(2, 0, 0);
    let [first, second] = [(); 2].map(|()| admit(&throttle, "a", CLIENT, at(0)));
    let [third, fourth, fifth, sixth] = [(); 4].map(|()| queue(&throttle, "a", CLIENT));
    first.fail(at(0), 0);
    assert!(third.attempt.try_recv().is_err());
    // A success removes the failure as well.
    second.succeed();
    let (third, fourth) = (granted(third).unwrap(), granted(fourth).unwrap());
    assert!(fifth.attempt.try_recv().is_err());
    drop(fifth);
    third.succeed();
    assert!(granted(sixth).is_some());
    drop(fourth);
}

#[test]
fn a_queued_attempt_is_refused_once_failures_reach_the_limit() {
    let throttle = throttle(1, 0, 0);
    let first = admit(&throttle, "a", CLIENT, at(0));
    let queued = [(); 3].map(|()| queue(&throttle, "a", CLIENT));
    thread::scope(|scope| {
        let waiting = queued.map(|queued| scope.spawn(|| queued.wait(Duration::MAX)));
        first.fail(at(0), 0);
        for queued in waiting {
            assert!(
                queued.join().unwrap().unwrap().is_none(),
                "to be admitted again"
            );
        }
    });
    assert_eq!(refused(&throttle, "a", CLIENT, at(1)), Some(899));
}

#[test]
fn a_queued_attempt_leaves_the_queue_when_its_time_is_over() {
    let throttle = throttle(1, 0, 0);
    let first = admit(&throttle, "a", CLIENT, at(0));
    let late = queue(&throttle, "a", CLIENT).wait(Duration::ZERO);
    assert!(matches!(
        late,
        Err(Error::Hashing(hashing::Error::WaitTooLong))
    ));
    let next = queue(&throttle, "a", CLIENT);
    assert_eq!(state(&throttle).queue.waiting.len(), 1);
    drop(first);
    assert!(granted(next).is_some());
    assert!(state(&throttle).queue.waiting.is_empty());
}

#[test]
fn a_granted_attempt_that_is_dropped_passes_to_the_next() {
    let throttle = throttle(1, 0, 0);
    let first = admit(&throttle, "a", CLIENT, at(0));
    let [second, third] = [(); 2].map(|()| queue(&throttle, "a", CLIENT));
    drop(first);
    // It has already been granted.
    drop(second);
    assert!(granted(third).is_some());
    assert_eq!(refused(&throttle, "a", CLIENT, at(0)), None);
}

#[test]
fn a_stop_ends_present_waits_and_prevents_later_ones() {
    let throttle = throttle(1, 0, 0);
    let first = admit(&throttle, "a", CLIENT, at(0));
    let queued = queue(&throttle, "a", CLIENT);
    throttle.stop();
    assert!(queued.wait(Duration::MAX).unwrap().is_none());
    let refusal = admission(&throttle, "a", CLIENT, at(0)).err();
    assert!(matches!(
        refusal,
        Some(Error::Hashing(hashing::Error::Stopped))
    ));
    drop(first);
}

#[test]
fn many_concurrent_attempts_are_all_admitted_if_they_succeed_and_up_to_the_limit_if_they_fail() {
    for (succeeds, expected) in [(true, 64), (false, 10)] {
        let throttle = throttle(10, 0, 0);
        let try_once = || {
            loop {
                match admission(&throttle, "a", CLIENT, at(0)) {
                    Ok(Admission::Granted(attempt)) => return Some(attempt),
                    Ok(Admission::Queued(queued)) => {
                        if let Some(attempt) = queued.wait(Duration::MAX).unwrap() {
                            return Some(attempt);
                        }
                    }
                    Err(_) => return None,
                }
            }
        };
        let admitted = thread::scope(|scope| {
            let attempts: Vec<_> = (0..64)
                .map(|_| {
                    scope.spawn(|| {
                        let attempt = try_once()?;
                        thread::yield_now();
                        if succeeds {
                            attempt.succeed();
                        } else {
                            attempt.fail(at(0), 0);
                        }
                        Some(())
                    })
                })
                .collect();
            attempts
                .into_iter()
                .filter_map(|one| one.join().unwrap())
                .count()
        });
        assert_eq!(admitted, expected);
    }
}

#[test]
fn of_many_concurrent_wrong_passwords_an_account_answers_as_many_as_its_limit() {
    let throttle = throttle(0, 0, 10);
    let attempts = [(); 64].map(|()| admit(&throttle, "a", CLIENT, at(0)));
    let answers = thread::scope(|scope| {
        let failing = attempts.map(|attempt| scope.spawn(|| attempt.fail(at(0), 0)));
        failing.map(|one| one.join().unwrap())
    });
    let wrong = answers
        .iter()
        .filter(|error| matches!(error, Error::BadCredentials { .. }));
    assert_eq!(wrong.count(), 10);
}

#[test]
fn a_success_removes_only_the_failures_of_the_user_from_the_address() {
    let throttle = throttle(3, 5, 0);
    fail(&throttle, "a", CLIENT, at(0), 2);
    admit(&throttle, "a", CLIENT, at(0)).succeed();
    fail(&throttle, "a", CLIENT, at(0), 3);
    assert!(refused(&throttle, "a", CLIENT, at(0)).is_some());
    assert!(
        refused(&throttle, "b", CLIENT, at(0)).is_some(),
        "five failures of the address"
    );
}

#[test]
fn the_right_password_from_an_address_that_logged_in_opens_a_closed_account() {
    let throttle = throttle(0, 0, 3);
    admit(&throttle, "Owner", CLIENT, at(0)).succeed();
    fail(&throttle, "owner", "203.0.113.1", at(0), 3);
    assert!(closed(&throttle, "owner", "203.0.113.2", at(0)).is_some());
    assert!(closed(&throttle, "OWNER", CLIENT, at(0)).is_none());
}

#[test]
fn a_wrong_password_does_not_show_whether_its_address_has_logged_in() {
    let throttle = throttle(3, 0, 2);
    admit(&throttle, "owner", CLIENT, at(0)).succeed();
    for name in ["owner", "nobody"] {
        fail(&throttle, name, "203.0.113.1", at(0), 2);
        let answers = [(); 4].map(|()| match admission(&throttle, name, CLIENT, at(5)) {
            Ok(Admission::Granted(attempt)) => ("hashed", attempt.fail(at(5), 0).to_string()),
            Ok(Admission::Queued(_)) => panic!("queued"),
            Err(error) => ("at once", error.to_string()),
        });
        let throttled = |when| (when, "too many failed logins".to_owned());
        let hashed = throttled("hashed");
        assert_eq!(
            answers,
            [hashed.clone(), hashed.clone(), hashed, throttled("at once")],
            "{name}"
        );
    }
}

#[test]
fn a_right_password_that_a_closed_account_refuses_counts_like_a_wrong_one() {
    let throttle = throttle(3, 0, 2);
    fail(&throttle, "a", "203.0.113.1", at(0), 2);
    for _ in 0..3 {
        assert!(closed(&throttle, "a", CLIENT, at(0)).is_some());
    }
    assert!(refused(&throttle, "a", CLIENT, at(0)).is_some());
}

#[test]
fn unlocking_removes_the_failures_before_it_and_none_after_it() {
    let throttle = throttle(2, 3, 2);
    for _ in 0..2 {
        admit(&throttle, "a", CLIENT, at(0)).fail(at(0), 1);
    }
    unlock(&throttle, "a", 1);
    assert!(
        refused(&throttle, "a", CLIENT, at(0)).is_some(),
        "the failures were after it"
    );
    unlock(&throttle, "a", 2);
    assert_eq!(refused(&throttle, "a", CLIENT, at(0)), None);
    let attempt = admit(&throttle, "a", "192.0.2.2", at(0));
    assert!(attempt.pass(at(0), 2).is_ok(), "for all addresses");
    admit(&throttle, "a", CLIENT, at(0)).fail(at(0), 2);
    unlock(&throttle, "a", 3);
    assert!(
        refused(&throttle, "b", CLIENT, at(0)).is_some(),
        "three failures of the address"
    );
}

#[test]
fn failures_after_unlocking_start_a_new_window() {
    let throttle = throttle(3, 0, 3);
    fail(&throttle, "a", CLIENT, at(0), 2);
    for _ in 0..3 {
        admit(&throttle, "a", CLIENT, at(60)).fail(at(60), 1);
    }
    unlock(&throttle, "a", 1);
    assert_eq!(refused(&throttle, "a", CLIENT, at(60)), Some(15 * MINUTE));
}

#[test]
fn an_attempt_in_progress_when_everything_is_cleared_is_not_counted() {
    let throttle = throttle(1, 0, 1);
    let slow = admit(&throttle, "a", CLIENT, at(9 * MINUTE));
    throttle.clear();
    slow.fail(at(9 * MINUTE), 0);
    assert_eq!(closed(&throttle, "a", CLIENT, at(0)), None);

    let slow = admit(&throttle, "a", CLIENT, at(0));
    throttle.clear();
    slow.succeed();
    fail(&throttle, "a", "192.0.2.2", at(0), 1);
    assert!(closed(&throttle, "a", CLIENT, at(0)).is_some(), "not known");
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
    let slow = admit(&throttle, "a", "2001:db8::1", at(0));
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
    for windows in &state(&throttle).counters.windows {
        assert_eq!(windows.len(), MAX_ENTRIES);
    }
    slow.fail(at(0), 0);
    assert!(state(&throttle).counters.is_idle());
}

#[test]
fn a_slow_attempt_does_not_extend_the_window() {
    let throttle = throttle(2, 0, 0);
    let slow = admit(&throttle, "a", CLIENT, at(0));
    admit(&throttle, "a", CLIENT, at(60)).fail(at(60), 0);
    slow.fail(at(0), 0);
    assert_eq!(refused(&throttle, "a", CLIENT, at(60)), Some(15 * MINUTE));
}

const DATE: i64 = 1_700_000_000;

/// A moment by both clocks.
fn moment(date: i64, uptime: u64) -> Now {
    Now {
        date: jiff::Timestamp::from_second(DATE + date).unwrap(),
        uptime: at(uptime),
    }
}

/// The stored counters after two failures, the first at the date 0.
fn written(throttle: &Arc<Throttle>) -> Vec<FailedLogins> {
    fail(throttle, "a", CLIENT, at(1000), 2);
    let subject = subject(throttle, "a", CLIENT);
    throttle.snapshot(&subject, moment(60, 1060)).unwrap().0
}

#[test]
fn counters_are_stored_with_dates_whatever_the_uptime() {
    let counters = written(&throttle(2, 5, 0));
    let found: Vec<_> = counters
        .iter()
        .map(|counter| {
            let seconds = |date: jiff::Timestamp| date.as_second() - DATE;
            let locked_until = counter.locked_until.map(seconds);
            (
                counter.kind,
                counter.failures,
                seconds(counter.first_failure),
                locked_until,
            )
        })
        .collect();
    let expected = [
        (LimitKind::Pair, 2, 0, Some(900)),
        (LimitKind::Address, 2, 0, None),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_restart_continues_the_rest_of_a_window_and_never_more() {
    let counters = written(&throttle(2, 0, 0));
    for (label, now, expected) in [
        ("a minute later", moment(60, 5000), Some(840)),
        ("just booted", moment(600, 3), Some(300)),
        ("the last second", moment(899, 3), Some(1)),
        ("over", moment(900, 5000), None),
        ("date set forward", moment(86_400 * 400, 5000), None),
        ("date set back", moment(-86_400 * 400, 3), Some(900)),
    ] {
        let throttle = throttle(2, 0, 0);
        let changed = throttle.restore(counters.clone().into_iter(), now);
        assert_eq!(
            refused(&throttle, "A", CLIENT, now.uptime),
            expected,
            "{label}"
        );
        let is_rewritten = ["over", "date set forward", "date set back"].contains(&label);
        assert_eq!(!changed.is_empty(), is_rewritten, "{label}");
        for counter in changed {
            assert!(counter.first_failure <= now.date, "{label}");
        }
    }
}

#[test]
fn a_restart_applies_its_own_limits() {
    let counters = written(&throttle(5, 0, 0));
    for (per_pair, expected) in [(2, Some(840)), (3, None), (0, None)] {
        let throttle = throttle(per_pair, 0, 0);
        let changed = throttle.restore(counters.clone().into_iter(), moment(60, 1));
        assert_eq!(refused(&throttle, "a", CLIENT, at(1)), expected);
        assert_eq!(changed.len(), usize::from(per_pair == 2));
        let subject = subject(&throttle, "a", CLIENT);
        let (left, ended) = throttle.snapshot(&subject, moment(60, 1)).unwrap();
        assert_eq!((left.len(), ended.len()), (usize::from(per_pair > 0), 0));
    }
}

#[test]
fn cleared_counters_are_not_written() {
    let throttle = throttle(2, 0, 0);
    let before = subject(&throttle, "a", CLIENT);
    fail(&throttle, "a", CLIENT, at(0), 1);
    throttle.clear();
    assert!(throttle.snapshot(&before, moment(0, 0)).is_none());
    let after = subject(&throttle, "a", CLIENT);
    let (counters, ended) = throttle.snapshot(&after, moment(0, 0)).unwrap();
    assert!(counters.is_empty());
    assert_eq!(ended, [after.pair()]);
}
