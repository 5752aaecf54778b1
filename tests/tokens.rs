//! The tokens that logins store in the database.

use std::collections::HashSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::harness::accounts::{self, JWEIR, PASSWORD, QUICK_HASH};
use crate::harness::{Place, Server, only_in_a_file};

const PINNED: &str = "0123456789abcdef0123456789abcdef01234567";

fn one_user() -> Place {
    Place::seeded(&accounts::retailer([accounts::user(JWEIR)]))
}

fn with_pinned_token() -> serde_json::Value {
    let mut user = accounts::user(JWEIR);
    user["auth_token"] = json!(PINNED);
    accounts::retailer([user])
}

#[test]
fn every_login_gets_a_fresh_token_of_40_lower_case_hexadecimal_characters() {
    let server = Server::demo();
    let tokens: HashSet<String> = (0..20)
        .map(|_| {
            server
                .login("supplier@projectthanos.com", "thanossupplies")
                .token()
        })
        .collect();
    assert_eq!(tokens.len(), 20);
    for token in &tokens {
        assert_eq!(token.len(), 40, "{token}");
        assert!(
            token
                .bytes()
                .all(|byte| b"0123456789abcdef".contains(&byte)),
            "{token}"
        );
    }
}

#[test]
fn a_token_is_stored_as_its_digest_of_32_bytes_and_nowhere_in_clear() {
    let place = one_user();
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    assert!(place.holds_token(&token));
    assert_eq!(
        place.number("SELECT count(*) FROM tokens WHERE length(digest) = 32 AND pinned IS NULL"),
        1
    );
    server.stop();

    let bytes = place.stored();
    for (what, secret) in [
        ("the token", token.as_bytes().to_vec()),
        ("the token's bytes", hex::decode(&token).unwrap()),
        ("the password", PASSWORD.into()),
    ] {
        assert!(
            !bytes.windows(secret.len()).any(|window| window == secret),
            "{what}"
        );
    }
}

#[test]
fn only_users_who_logged_in_have_a_token() {
    let place = one_user();
    let server = place.serve(&[]);
    server.login(JWEIR, "wrong");
    server.login("nobody", PASSWORD);
    server.post("{");
    assert_eq!(place.number("SELECT count(*) FROM tokens"), 0);
    assert_eq!(
        place.number("SELECT count(*) FROM users WHERE last_login IS NOT NULL"),
        0
    );
}

#[test]
fn a_token_is_valid_for_as_long_as_the_flag_says() {
    let place = one_user();
    for (flags, seconds) in [
        (vec![], Some(2 * 60 * 60)),
        (vec!["--token-ttl", "15m"], Some(15 * 60)),
        (vec!["--token-ttl", "90s"], Some(90)),
        (vec!["--token-ttl", "0"], None),
    ] {
        let server = place.serve(&flags);
        server.login(JWEIR, PASSWORD).token();
        let query = "SELECT expires_at - issued_at FROM tokens ORDER BY issued_at DESC LIMIT 1";
        let lifetime: Option<i64> = place.sql().one(query, &[]);
        assert_eq!(
            lifetime,
            seconds.map(|seconds| seconds * 1_000_000),
            "{flags:?}"
        );
    }
}

#[test]
fn a_login_past_the_cap_ends_the_oldest_token() {
    let place = one_user();
    let server = place.serve(&["--max-tokens-per-user", "3"]);
    let tokens: Vec<String> = (0..5)
        .map(|_| server.login(JWEIR, PASSWORD).token())
        .collect();
    let alive: Vec<bool> = tokens
        .iter()
        .map(|token| place.holds_token(token))
        .collect();
    assert_eq!(alive, [false, false, true, true, true]);
}

#[test]
fn the_oldest_token_is_the_one_issued_first_whatever_the_clock_said_then() {
    let place = one_user();
    let server = place.serve(&["--max-tokens-per-user", "3"]);
    let login = || server.login(JWEIR, PASSWORD).token();
    let mut tokens = vec![login(), login()];
    // This has the effect of a clock that is set back by three hours.
    place
        .sql()
        .execute_batch("UPDATE tokens SET issued_at = issued_at + 3 * 3600000000")
        .unwrap();
    tokens.extend([login(), login(), login()]);
    let alive: Vec<bool> = tokens
        .iter()
        .map(|token| place.holds_token(token))
        .collect();
    assert_eq!(alive, [false, false, true, true, true]);
}

#[test]
fn tokens_of_an_older_schema_are_the_oldest_in_the_order_of_their_dates() {
    only_in_a_file();
    let place = Place::new();
    let older = place.file();
    older
        .execute_batch(include_str!("../src/store/engine/sqlite/migrations/1.sql"))
        .unwrap();
    older.pragma_update(None, "user_version", 1).unwrap();
    older
        .execute_batch(&format!(
            "INSERT INTO people (uuid) VALUES ('{0}');
             INSERT INTO organizations (uuid, name, org_type, retailer_uuid, status, created_date)
             VALUES ('{0}', 'projectthanos', 'RETAILER', '{0}', 'ACTIVE', 0);
             INSERT INTO users (uuid, org_id, person_id, username, password_hash, status)
             VALUES ('{0}', 1, 1, '{JWEIR}', '{QUICK_HASH}', 'ACTIVE');
             INSERT INTO tokens (digest, user_id, issued_at)
             SELECT randomblob(32), 1, column1 FROM (VALUES (5), (9), (7), (8), (6))",
            "3a7acb28-ab13-437e-8c35-46cf4f0bea49"
        ))
        .unwrap();
    drop(older);
    let server = place.serve(&["--max-tokens-per-user", "3"]);
    let token = server.login(JWEIR, PASSWORD).token();
    assert!(place.holds_token(&token));
    assert_eq!(
        place.number("SELECT sum(issued_at) FROM tokens WHERE issued_at < 10"),
        8 + 9
    );
}

#[test]
fn a_user_has_at_most_32_tokens_by_default() {
    let place = one_user();
    let server = place.serve(&[]);
    for _ in 0..33 {
        server.login(JWEIR, PASSWORD).token();
    }
    assert_eq!(place.tokens_of(JWEIR), 32);
}

#[test]
fn logins_at_once_do_not_get_past_the_cap() {
    let place = one_user();
    let server = place.serve(&["--max-tokens-per-user", "2"]);
    for mut connection in server.start_logins(16, JWEIR, PASSWORD) {
        connection.answer().token();
    }
    assert_eq!(place.tokens_of(JWEIR), 2);
}

#[test]
fn a_login_is_recorded_with_its_time() {
    let place = one_user();
    let server = place.serve(&[]);
    let micros = || {
        i64::try_from(
            SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap()
                .as_micros(),
        )
        .unwrap()
    };
    let before = micros();
    server.login(JWEIR, PASSWORD).token();
    let after = micros();
    let noted = place.number("SELECT last_login FROM users");
    assert!(
        (before..=after).contains(&noted),
        "{before} {noted} {after}"
    );
    assert_eq!(place.number("SELECT issued_at FROM tokens"), noted);
}

#[test]
fn a_pinned_token_is_answered_every_time_and_no_other_issued() {
    let place = Place::seeded(&with_pinned_token());
    let server = place.serve(&["--max-tokens-per-user", "1", "--token-ttl", "250ms"]);
    for _ in 0..3 {
        assert_eq!(server.login(JWEIR, PASSWORD).token(), PINNED);
    }
    assert!(place.holds_token(PINNED));
    assert_eq!(place.number("SELECT count(*) FROM tokens"), 1);
    assert_eq!(
        place.number("SELECT count(*) FROM tokens WHERE expires_at IS NULL"),
        1
    );
    assert_eq!(
        place.number("SELECT count(*) FROM users WHERE last_login IS NOT NULL"),
        1
    );
}

#[test]
fn a_fixture_that_no_longer_pins_a_token_ends_it() {
    let place = Place::seeded(&with_pinned_token());
    place
        .seed(&accounts::retailer([accounts::user(JWEIR)]))
        .succeeded();
    assert!(!place.holds_token(PINNED));
    let server = place.serve(&[]);
    assert_ne!(server.login(JWEIR, PASSWORD).token(), PINNED);
}

#[test]
fn a_token_outlives_the_server() {
    let place = one_user();
    let server = place.serve(&[]);
    let token = server.login(JWEIR, PASSWORD).token();
    server.stop();
    let server = place.serve(&[]);
    assert!(place.holds_token(&token));
    server.login(JWEIR, PASSWORD).token();
    assert_eq!(place.tokens_of(JWEIR), 2);
}
