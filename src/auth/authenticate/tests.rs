use std::path::Path;

use super::*;
use crate::accounts::{self, Accounts};
use crate::auth::FailedLoginLimits;
use crate::hashing::{EngineConfig, Group, Permits};
use crate::store::{Durability, WhenMissing};

const FIXTURE: &str = r#"{"organizations": [
    {"name": "open", "org_type": "RETAILER", "users": [
        {"username": "expensive", "password": "right"},
        {"username": "off", "password": "right", "status": "DEACTIVATED"}]},
    {"name": "closed", "org_type": "SUPPLIER", "status": "PENDING", "users": [
        {"username": "pending", "password": "right"}]}]}"#;

struct Rig {
    auth: Auth,
    engine: Arc<Engine>,
    store: Arc<Store>,
    directory: tempfile::TempDir,
}

impl Rig {
    /// A server with users whose hashes have cost 6, and users called `cheap...` whose hashes have cost 4.
    fn new(policy_cost: u8) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("test.db"));
        let engine = Engine::start(EngineConfig::new(Duration::MAX));
        let (store, engine) = (Arc::new(store), Arc::new(engine.unwrap()));
        let rig = Self {
            auth: Auth::new(
                Arc::clone(&store),
                Arc::clone(&engine),
                policy(policy_cost),
                Now::read(),
            )
            .unwrap(),
            engine,
            store,
            directory,
        };
        rig.seed(FIXTURE, 6);
        rig.seed(
            &FIXTURE
                .replace("\"expensive\"", "\"cheap\"")
                .replace("\"off\"", "\"cheap-off\"")
                .replace("\"pending\"", "\"cheap-pending\""),
            4,
        );
        rig
    }

    fn seed(&self, fixture: &str, cost: u8) {
        let fixture = Accounts::parse(fixture).unwrap();
        accounts::load(
            &self.store,
            &self.engine,
            fixture,
            Cost::new(cost).unwrap(),
            Timestamp::now(),
        )
        .unwrap();
    }

    fn log_in(&self, username: &str, password: &str) -> Result<Login, Error> {
        let credentials = Credentials {
            username: Username::parse(username).unwrap(),
            password: Password::new(password.to_owned()),
        };
        let now = Now::read();
        let client = IpAddr::from([127, 0, 0, 1]);
        let Admission::Granted(attempt) = self.auth.admit(&credentials.username, client, now)?
        else {
            panic!("nothing is in progress");
        };
        let permit = Permits::new(1).admit(Group::default()).unwrap();
        self.auth.authenticate(attempt, &permit, &credentials, now)
    }

    /// The rounds of key expansion that a login takes.
    fn work(&self, username: &str, password: &str) -> u64 {
        let before = self.engine.rounds_done();
        let _ = self.log_in(username, password);
        self.engine.rounds_done() - before
    }
}

fn open(path: &Path) -> Store {
    Store::open(path, WhenMissing::Create, Durability::None)
        .unwrap()
        .0
}

fn policy(cost: u8) -> Policy {
    Policy {
        token_ttl: None,
        max_tokens_per_user: 32,
        bcrypt_cost: Cost::new(cost).unwrap(),
        failed_logins: FailedLoginLimits::NONE,
        keep_events: None,
    }
}

#[test]
fn every_login_takes_the_work_of_the_most_expensive_hash() {
    let rig = Rig::new(6);
    let too_long = "x".repeat(73);
    for (label, username, password) in [
        ("right", "expensive", "right"),
        ("wrong", "expensive", "wrong"),
        ("unknown", "nobody", "right"),
        ("cheap, right", "cheap", "right"),
        ("cheap, wrong", "cheap", "wrong"),
        ("73 bytes", "expensive", &too_long),
        ("73 bytes, unknown", "nobody", &too_long),
        ("inactive, right", "off", "right"),
        ("inactive, wrong", "off", "wrong"),
        ("inactive organization, wrong", "pending", "wrong"),
    ] {
        assert_eq!(rig.work(username, password), 1 << 6, "{label}");
    }
}

#[test]
fn the_work_follows_the_database_when_another_process_changes_it() {
    let rig = Rig::new(5);
    assert_eq!(rig.work("nobody", "x"), 1 << 6);
    let other = rusqlite_connection(&rig);
    let hash = bcrypt::hash("right", 7).unwrap();
    other
        .execute(
            "UPDATE users SET password_hash = ?1 WHERE username = 'cheap'",
            [&hash],
        )
        .unwrap();
    assert_eq!(rig.work("nobody", "x"), 1 << 7);
    assert_eq!(rig.work("expensive", "right"), 1 << 7);
    other.execute("DELETE FROM users", []).unwrap();
    assert_eq!(
        rig.work("nobody", "x"),
        1 << 5,
        "without users the cost of new hashes counts"
    );
}

#[test]
fn the_work_is_that_of_the_most_expensive_hash_of_a_user_who_can_log_in() {
    let rig = Rig::new(5);
    let other = rusqlite_connection(&rig);
    let hash = bcrypt::hash("right", 7).unwrap();
    let costly = format!("UPDATE users SET password_hash = '{hash}' WHERE username = 'off'");
    for (change, work) in [
        (&*costly, 6),
        (
            "UPDATE users SET status = 'ACTIVE' WHERE username = 'off'",
            7,
        ),
        (
            "UPDATE organizations SET status = 'DEACTIVATED' WHERE name = 'open'",
            5,
        ),
        (
            "UPDATE organizations SET status = 'PENDING' WHERE name = 'open'",
            5,
        ),
        (
            "UPDATE organizations SET status = 'ACTIVE' WHERE name = 'closed'",
            6,
        ),
        (
            "UPDATE users SET org_id = (SELECT id FROM organizations WHERE name = 'closed') WHERE username = 'off'",
            7,
        ),
        (
            "UPDATE users SET status = 'DEACTIVATED' WHERE username = 'off'",
            6,
        ),
        ("UPDATE organizations SET status = 'ACTIVE'", 6),
        // Without such users the cost of new hashes counts.
        (
            "DELETE FROM users WHERE username IN ('expensive', 'pending')",
            5,
        ),
        ("UPDATE users SET last_login = 1", 5),
    ] {
        other.execute(change, []).unwrap();
        for username in ["nobody", "off"] {
            assert_eq!(
                rig.work(username, "wrong"),
                1 << work,
                "{change}: {username}"
            );
        }
    }
    let recounted = "SELECT cost, users FROM login_costs WHERE users <> 0
         EXCEPT
         SELECT users.cost, count(*) FROM users JOIN organizations ON organizations.id = org_id
         WHERE users.status = 'ACTIVE' AND organizations.status = 'ACTIVE' GROUP BY users.cost";
    assert!(!other.prepare(recounted).unwrap().exists([]).unwrap());
}

#[test]
fn the_password_of_an_inactive_user_whose_hash_costs_more_than_any_login_is_not_verified() {
    let rig = Rig::new(6);
    let hash = bcrypt::hash("right", 8).unwrap();
    let (off, on) = ("off", "expensive");
    let other = rusqlite_connection(&rig);
    let set = "UPDATE users SET password_hash = ?1 WHERE username = ?2";
    other.execute(set, [&hash, off]).unwrap();
    let refused = rig.log_in(off, "right");
    assert!(matches!(refused, Err(Error::BadCredentials { .. })));
    assert_eq!(rig.work(off, "right"), 1 << 6);
    other.execute(set, [&hash, on]).unwrap();
    let refused = rig.log_in(off, "right");
    assert!(matches!(refused, Err(Error::NotActive { .. })));
}

/// A connection that plays the part of another process.
fn rusqlite_connection(rig: &Rig) -> rusqlite::Connection {
    rusqlite::Connection::open(rig.directory.path().join("test.db")).unwrap()
}

#[test]
fn a_hash_of_another_cost_is_replaced_and_still_verifies() {
    let rig = Rig::new(5);
    let login = rig.log_in("expensive", "right").unwrap();
    let rehash = login.rehash.expect("cost 6 is not 5");
    rehash.start();
    let hash = || {
        let username = Username::parse("expensive").unwrap();
        let account = rig.store.look_up(&username).unwrap().account.unwrap();
        account.password_hash
    };
    while hash().starts_with("$2b$06$") {
        std::thread::yield_now();
    }
    assert!(hash().starts_with("$2b$05$"));
    let again = rig.log_in("expensive", "right").unwrap();
    assert!(again.rehash.is_none());
}

#[test]
fn a_rehash_does_not_bring_an_old_password_back() {
    let rig = Rig::new(5);
    let login = rig.log_in("expensive", "right").unwrap();
    rig.seed(&FIXTURE.replacen("\"right\"", "\"newer\"", 1), 6);
    login.rehash.unwrap().start();
    let Rig { auth, store, .. } = rig;
    // Waits for the rehash or discards it: in both cases the new password is kept.
    drop(auth);
    let account = store
        .look_up(&Username::parse("expensive").unwrap())
        .unwrap()
        .account
        .unwrap();
    assert!(bcrypt::verify("newer", &account.password_hash).unwrap());
}

#[test]
fn a_password_changed_while_it_was_verified_issues_no_token() {
    let rig = Rig::new(6);
    let account = rig
        .store
        .look_up(&Username::parse("expensive").unwrap())
        .unwrap()
        .account
        .unwrap();
    rig.seed(&FIXTURE.replacen("\"right\"", "\"newer\"", 1), 6);
    let kept = rig.auth.new_token(Timestamp::now()).unwrap().1;
    let login = VerifiedLogin {
        user_id: account.user_id,
        revision: account.revision,
        token: kept,
        counter: [0; 16],
        attempt: None,
        event: None,
    };
    let done = rig.store.complete_login(login, Timestamp::now());
    assert!(!done.unwrap());
    let tokens: i64 = rusqlite_connection(&rig)
        .query_one("SELECT count(*) FROM tokens", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tokens, 0);
}

#[test]
fn statuses_count_only_once_the_password_is_right() {
    let rig = Rig::new(6);
    for username in ["off", "pending"] {
        assert!(
            matches!(rig.log_in(username, "right"), Err(Error::NotActive { .. })),
            "{username}"
        );
        assert!(
            matches!(
                rig.log_in(username, "wrong"),
                Err(Error::BadCredentials { .. })
            ),
            "{username}"
        );
    }
}
