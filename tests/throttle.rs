//! The limits on failed logins of a client, an address and an account, and when a try is given back.

use crate::harness::accounts::{self, JWEIR, PASSWORD, crowd};
use crate::harness::{
    Answer, Connection, JSON, LOGIN, Place, Server, eventually, login_body, request,
};

/// Trusts the test as a proxy, so that it can name the client address of a login.
const PROXY: [&str; 2] = ["--trusted-proxy", "127.0.0.1/32"];

fn demo(flags: &[&str]) -> Server {
    let mut fixture = accounts::crowded();
    let users = fixture["organizations"][0]["users"].as_array_mut().unwrap();
    let mut waiting = accounts::user("waiting");
    waiting["status"] = "CONFIRMATION WAITING".into();
    users.extend([accounts::user(JWEIR), waiting]);
    Place::new().serve_demo(&fixture, flags)
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

#[track_caller]
fn assert_throttled(answer: &Answer) {
    assert_eq!(answer.status, 429, "{answer:?}");
    let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=15 * 60).contains(&seconds), "{answer:?}");
    let unit = if seconds == 1 { "second" } else { "seconds" };
    let text =
        format!(r#"{{"detail":"Request was throttled. Expected available in {seconds} {unit}."}}"#);
    assert_eq!(answer.text(), text);
    assert_eq!(answer.header("www-authenticate"), None);
}

/// Fails `times` logins, and checks that the next one is throttled.
#[track_caller]
fn fail_until_throttled(server: &Server, username: &str, times: usize) {
    for number in 0..times {
        let answer = server.login(username, "wrong");
        assert_eq!(answer.status, 401, "try {number} of {username}: {answer:?}");
    }
    assert_throttled(&server.login(username, "wrong"));
}

#[test]
fn a_real_server_takes_ten_wrong_passwords_for_a_username_and_then_not_even_the_right_one() {
    let place = Place::seeded(&accounts::retailer([
        accounts::user(JWEIR),
        accounts::user("other"),
    ]));
    let server = place.serve(&[]);
    fail_until_throttled(&server, JWEIR, 10);
    assert_throttled(&server.login(JWEIR, PASSWORD));
    assert_eq!(place.tokens_of(JWEIR), 0);
    assert_eq!(server.login("other", PASSWORD).status, 200);
}

#[test]
fn a_real_server_takes_a_hundred_failed_logins_from_an_address() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&[]);
    for number in 0..100 {
        assert_eq!(
            server.login(&format!("nobody{number}"), PASSWORD).status,
            401,
            "{number}"
        );
    }
    assert_throttled(&server.login("nobody", PASSWORD));
    assert_throttled(&server.login(JWEIR, PASSWORD));
}

#[test]
fn a_demo_has_no_limit_and_0_is_no_limit() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let none = [
        "--failed-logins-per-user",
        "0",
        "--failed-logins-per-address",
        "0",
        "--failed-logins-per-account",
        "0",
    ];
    for server in [Server::demo(), place.serve(&none)] {
        for number in 0..120 {
            assert_eq!(server.login(JWEIR, "wrong").status, 401, "{number}");
        }
    }
}

const LIMITS: [&str; 3] = [
    "--failed-logins-per-user",
    "--failed-logins-per-address",
    "--failed-logins-per-account",
];

#[test]
fn wrong_tries_in_flight_at_once_do_not_get_past_the_limit() {
    for limit in LIMITS {
        let server = Place::new().serve_demo(
            &accounts::leisurely(),
            &["--bcrypt-cost", "10", limit, "10"],
        );
        let mut answers: Vec<Answer> = server
            .start_logins(64, JWEIR, "wrong")
            .iter_mut()
            .map(Connection::answer)
            .collect();
        answers.sort_unstable_by_key(|answer| answer.status);
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!(statuses, [vec![401; 10], vec![429; 54]].concat(), "{limit}");
        answers[10..].iter().for_each(assert_throttled);
    }
}

#[test]
fn right_tries_in_flight_at_once_are_all_let_in() {
    for limit in LIMITS {
        let server = Place::new().serve_demo(
            &accounts::leisurely(),
            &["--bcrypt-cost", "10", limit, "10"],
        );
        for mut connection in server.start_logins(64, JWEIR, PASSWORD) {
            connection.answer().token();
        }
    }
}

#[test]
fn a_try_that_waits_for_others_longer_than_a_login_may_is_503() {
    let server = Place::new().serve_demo(
        &accounts::slow(),
        &[
            "--bcrypt-cost",
            "10",
            "--failed-logins-per-user",
            "1",
            "--hash-wait",
            "50ms",
        ],
    );
    // No machine completes 16 logins of a quarter of a second each, one after the other, within the time that they may wait.
    let statuses: Vec<u16> = server
        .start_logins(16, JWEIR, PASSWORD)
        .iter_mut()
        .map(|connection| {
            let answer = connection.answer();
            let retry_after = (answer.status == 503).then_some("1");
            assert_eq!(answer.header("retry-after"), retry_after, "{answer:?}");
            answer.status
        })
        .collect();
    assert!(statuses.contains(&503), "{statuses:?}");
    assert!(
        statuses.iter().all(|status| [200, 503].contains(status)),
        "{statuses:?}"
    );
    eventually("the next one is let in", || {
        server.login(JWEIR, PASSWORD).status == 200
    });
}

#[test]
fn a_try_beyond_the_queue_of_logins_does_not_wait_for_others() {
    let server = Place::new().serve_demo(
        &accounts::slow(),
        &[
            "--bcrypt-cost",
            "10",
            "--failed-logins-per-user",
            "1",
            "--hash-queue",
            "8",
        ],
    );
    let mut logins = server.start_logins(12, JWEIR, PASSWORD);
    // The four logins beyond the queue would block the threads that receive requests.
    server.answers_something_else();
    assert!(!logins.iter_mut().all(Connection::is_answered));
    let mut statuses: Vec<u16> = logins
        .iter_mut()
        .map(|connection| connection.answer().status)
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [vec![200; 8], vec![503; 4]].concat());
}

#[test]
fn a_stop_answers_the_tries_that_wait_for_others() {
    let server = Place::new().serve_demo(
        &accounts::leisurely(),
        &["--bcrypt-cost", "10", "--failed-logins-per-user", "1"],
    );
    let mut logins = server.start_logins(8, JWEIR, PASSWORD);
    server.answers_something_else();
    server.stop();
    for login in &mut logins {
        login.answer().token();
    }
}

#[test]
fn a_username_is_counted_however_it_is_written() {
    let server = demo(&["--failed-logins-per-user", "4"]);
    for username in [
        JWEIR,
        "JWEIR@projectthanos.com",
        " jweir@projectthanos.com",
        "jweir@PROJECTTHANOS.com\u{a0}",
    ] {
        assert_eq!(server.login(username, "wrong").status, 401, "{username:?}");
    }
    for username in [JWEIR, "Jweir@projectthanos.com"] {
        assert_throttled(&server.login(username, PASSWORD));
    }
}

#[test]
fn a_name_that_does_not_exist_is_counted_like_one_that_does() {
    let server = demo(&["--failed-logins-per-user", "3"]);
    for username in [JWEIR, "nobody", "waiting"] {
        fail_until_throttled(&server, username, 3);
    }
}

#[test]
fn a_password_that_is_too_long_for_bcrypt_is_counted() {
    let server = demo(&["--failed-logins-per-user", "1"]);
    assert_eq!(server.login(JWEIR, &"x".repeat(73)).status, 401);
    assert_throttled(&server.login(JWEIR, PASSWORD));
}

#[test]
fn a_success_clears_the_count_of_its_username_at_its_address() {
    let server = demo(&["--failed-logins-per-user", "3"]);
    for _ in 0..3 {
        for _ in 0..2 {
            assert_eq!(server.login(JWEIR, "wrong").status, 401);
        }
        assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    }
    fail_until_throttled(&server, JWEIR, 3);
}

#[test]
fn a_success_gives_its_own_try_back_to_the_address_and_no_more() {
    let server = demo(&["--failed-logins-per-address", "3"]);
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    for _ in 0..10 {
        assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    }
    for username in ["nobody", "user1@projectthanos.com"] {
        assert_eq!(server.login(username, "wrong").status, 401, "{username}");
    }
    for username in [JWEIR, "somebody else"] {
        assert_throttled(&server.login(username, PASSWORD));
    }
}

#[test]
fn the_try_of_an_inactive_user_is_given_back() {
    let server = demo(&[
        "--failed-logins-per-user",
        "1",
        "--failed-logins-per-address",
        "1",
        "--failed-logins-per-account",
        "1",
    ]);
    for _ in 0..5 {
        assert_eq!(server.login("waiting", PASSWORD).status, 403);
    }
    assert_eq!(server.login("waiting", "wrong").status, 401);
    assert_throttled(&server.login("waiting", PASSWORD));
}

#[test]
fn the_try_is_given_back_when_the_database_is_unavailable() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&[
        "--failed-logins-per-user",
        "1",
        "--failed-logins-per-address",
        "1",
        "--failed-logins-per-account",
        "1",
    ]);
    let lock = place.lock();
    assert_eq!(server.login(JWEIR, PASSWORD).status, 503);
    drop(lock);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}

#[test]
fn a_request_whose_password_was_not_checked_is_not_counted() {
    let server = demo(&["--failed-logins-per-address", "1"]);
    for _ in 0..3 {
        assert_eq!(server.post("{").status, 400);
        assert_eq!(server.post(r#"{"username":"a"}"#).status, 400);
        assert_eq!(server.login("", "wrong").status, 400);
        assert_eq!(
            server
                .send(request("POST", LOGIN, &[], login_body(JWEIR, "wrong")))
                .status,
            415
        );
        server.answers_something_else();
    }
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    assert_throttled(&server.login(JWEIR, "wrong"));
    // The limit applies to logins only, and is checked after the form of the request.
    assert_eq!(server.post("{").status, 400);
    server.answers_something_else();
}

#[test]
fn a_throttled_try_counts_nothing() {
    let server = demo(&[
        "--failed-logins-per-user",
        "2",
        "--failed-logins-per-address",
        "4",
    ]);
    fail_until_throttled(&server, JWEIR, 2);
    for _ in 0..10 {
        assert_throttled(&server.login(JWEIR, "wrong"));
    }
    assert_eq!(server.login("a", "wrong").status, 401);
    assert_eq!(server.login("b", "wrong").status, 401);
    assert_throttled(&server.login("c", "wrong"));
}

#[test]
fn another_address_has_its_own_count_for_a_username() {
    let server = demo(&[&PROXY[..], &["--failed-logins-per-user", "2"]].concat());
    for address in ["192.0.2.1", "192.0.2.2", "2001:db8::1"] {
        for _ in 0..2 {
            assert_eq!(
                login_from(&server, address, JWEIR, "wrong").status,
                401,
                "{address}"
            );
        }
        assert_throttled(&login_from(&server, address, JWEIR, PASSWORD));
    }
    assert_eq!(
        login_from(&server, "192.0.2.3", JWEIR, PASSWORD).status,
        200
    );
}

#[test]
fn an_account_is_closed_to_all_but_the_right_password_from_addresses_that_have_logged_in_to_it() {
    let server = demo(&[&PROXY[..], &["--failed-logins-per-account", "5"]].concat());
    assert_eq!(
        login_from(&server, "192.0.2.99", JWEIR, PASSWORD).status,
        200
    );
    for number in 0..5 {
        let answer = login_from(&server, &format!("192.0.2.{number}"), JWEIR, "wrong");
        assert_eq!(answer.status, 401, "{number}");
    }
    assert_throttled(&login_from(&server, "192.0.2.50", JWEIR, PASSWORD));
    assert_eq!(
        login_from(&server, "192.0.2.50", &crowd()[0], PASSWORD).status,
        200
    );
    assert_eq!(
        login_from(&server, "192.0.2.99", JWEIR, PASSWORD).status,
        200
    );
    assert_throttled(&login_from(&server, "192.0.2.99", JWEIR, "wrong"));
    assert_eq!(
        login_from(&server, "192.0.2.99", JWEIR, PASSWORD).status,
        200
    );
    assert_throttled(&login_from(&server, "192.0.2.50", JWEIR, PASSWORD));
}

#[test]
fn a_client_that_shares_an_address_does_not_see_who_has_logged_in_there() {
    let flags = [
        "--failed-logins-per-user",
        "4",
        "--failed-logins-per-account",
        "3",
    ];
    let server = demo(&[&PROXY[..], &flags].concat());
    let shared = "192.0.2.99";
    assert_eq!(login_from(&server, shared, JWEIR, PASSWORD).status, 200);
    for username in [JWEIR, "nobody"] {
        for number in 0..3 {
            let answer = login_from(&server, &format!("192.0.2.{number}"), username, "wrong");
            assert_eq!(answer.status, 401, "{username} {number}");
        }
        for _ in 0..6 {
            assert_throttled(&login_from(&server, shared, username, "wrong"));
        }
    }
}

#[test]
fn a_window_ends_and_the_wait_is_answered_in_whole_seconds() {
    let server = demo(&[
        "--failed-logins-per-user",
        "1",
        "--failed-login-window",
        "1s",
    ]);
    let mut throttled = None;
    eventually("a login is throttled", || {
        let answer = server.login(JWEIR, "wrong");
        throttled = (answer.status == 429).then_some(answer);
        throttled.is_some()
    });
    let throttled = throttled.unwrap();
    assert_eq!(throttled.header("retry-after"), Some("1"));
    assert_eq!(
        throttled.text(),
        r#"{"detail":"Request was throttled. Expected available in 1 second."}"#
    );
    eventually("the window ends", || {
        server.login(JWEIR, PASSWORD).status == 200
    });
}

#[test]
fn a_wait_of_a_whole_window_is_answered_in_full() {
    let server = demo(&[
        "--failed-logins-per-user",
        "1",
        "--failed-login-window",
        "2h",
    ]);
    server.login(JWEIR, "wrong");
    let seconds: u32 = server
        .login(JWEIR, "wrong")
        .header("retry-after")
        .unwrap()
        .parse()
        .unwrap();
    assert!((7000..=7200).contains(&seconds), "{seconds}");
}
