//! A system clock that is set forward or back under a running server.

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Launch, Place, Server, eventually};

/// The path of libfaketime on Debian, in the form that the dynamic loader expands.
const FAKETIME: &str = "/usr/$LIB/faketime/libfaketimeMT.so.1";

/// A test directory whose programs read their clock from a file.
struct FakeClock(Place);

impl FakeClock {
    fn new() -> Self {
        let machine = Self(Place::seeded(&accounts::retailer([accounts::user(JWEIR)])));
        machine.set_clock("+0");
        machine
    }

    /// Sets the clock to an offset from the real time, or stops it at a date.
    fn set_clock(&self, to: &str) {
        self.0.write("next-clock", to);
        std::fs::rename(self.0.path("next-clock"), self.0.path("clock")).unwrap();
    }

    fn program(&self, args: &[&str]) -> Launch {
        self.0
            .program(args)
            .env("LD_PRELOAD", FAKETIME)
            .env(
                "FAKETIME_TIMESTAMP_FILE",
                &self.0.path("clock").display().to_string(),
            )
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }

    fn serve(&self, flags: &[&str]) -> Server {
        let args = [&["serve", "--bcrypt-cost", "10"], flags].concat();
        self.program(&args).start()
    }
}

const STEPS: [&str; 6] = [
    "-3h",
    "+3h",
    "-1d",
    "+0",
    "2030-01-01 00:00:00",
    "2030-01-01 00:00:00",
];

#[track_caller]
fn fail_until_throttled(server: &Server) {
    for _ in 0..2 {
        assert_eq!(server.login(JWEIR, "wrong").status, 401);
    }
    assert_eq!(server.login(JWEIR, PASSWORD).status, 429);
}

#[test]
#[ignore = "needs libfaketime"]
fn a_lock_lifts_within_its_window() {
    let machine = FakeClock::new();
    let flags = [
        "--failed-logins-per-user",
        "2",
        "--failed-login-window",
        "4s",
    ];
    let server = machine.serve(&flags);
    for step in STEPS {
        fail_until_throttled(&server);
        machine.set_clock(step);
        let refused = server.login(JWEIR, PASSWORD);
        assert_eq!(refused.status, 429, "{step}");
        let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=4).contains(&seconds), "{step}: {seconds}");
        eventually("the lock lifts", || {
            server.login(JWEIR, PASSWORD).status == 200
        });
    }
}

#[test]
#[ignore = "needs libfaketime"]
fn a_lock_survives_a_restart_for_no_longer_than_its_window() {
    for (step, expected) in [("+10m", 4..=300), ("-3h", 600..=900), ("-1d", 600..=900)] {
        let machine = FakeClock::new();
        let flags = ["--failed-logins-per-user", "2"];
        let server = machine.serve(&flags);
        fail_until_throttled(&server);
        server.stop();
        machine.set_clock(step);
        let server = machine.serve(&flags);
        let refused = server.login(JWEIR, PASSWORD);
        assert_eq!(refused.status, 429, "{step}");
        let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!(expected.contains(&seconds), "{step}: {seconds}");
    }
    let machine = FakeClock::new();
    let server = machine.serve(&["--failed-logins-per-user", "2"]);
    fail_until_throttled(&server);
    server.stop();
    machine.set_clock("+3h");
    let server = machine.serve(&["--failed-logins-per-user", "2"]);
    server.login(JWEIR, PASSWORD).token();
}

#[test]
#[ignore = "needs libfaketime"]
fn an_unlock_unlocks() {
    let machine = FakeClock::new();
    let server = machine.serve(&["--failed-logins-per-user", "2"]);
    for step in STEPS {
        fail_until_throttled(&server);
        machine.set_clock(step);
        assert_eq!(server.login(JWEIR, PASSWORD).status, 429, "{step}");
        machine
            .program(&["user", "unlock", JWEIR])
            .finish()
            .succeeded();
        assert_eq!(server.login(JWEIR, PASSWORD).status, 200, "{step}");
    }
}

#[test]
#[ignore = "needs libfaketime"]
fn the_oldest_token_is_the_one_issued_first() {
    for lifetime in ["0", "2h"] {
        let machine = FakeClock::new();
        let server = machine.serve(&["--max-tokens-per-user", "2", "--token-ttl", lifetime]);
        let mut tokens = Vec::new();
        for step in STEPS {
            machine.set_clock(step);
            tokens.push(server.login(JWEIR, PASSWORD).token());
            let held = tokens.iter().map(|token| machine.0.holds_token(token));
            let expected = (1..=tokens.len()).map(|number| number + 2 > tokens.len());
            assert!(held.eq(expected), "{step}, {lifetime}");
        }
    }
}

#[test]
#[ignore = "needs libfaketime"]
fn a_date_that_was_wrong_for_a_while_deletes_no_token() {
    let machine = FakeClock::new();
    let server = machine.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    machine.set_clock("+1000d");
    eventually("the server notices", || {
        server.log().contains("date was set")
    });
    machine.set_clock("+0");
    assert!(machine.0.holds_token(&token));
}
