//! Background work of the server: rehashing passwords and removing expired tokens.

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Place, eventually};

fn one_user() -> Place {
    Place::seeded(&accounts::retailer([accounts::user(JWEIR)]))
}

#[test]
fn a_login_rehashes_the_password_to_the_cost_of_the_server() {
    let place = one_user();
    for cost in [10, 11, 10] {
        let flag = cost.to_string();
        let server = place.program(&["serve", "--bcrypt-cost", &flag]).start();
        server.login(JWEIR, PASSWORD).token();
        eventually("the password is rehashed", || {
            place.number("SELECT cost FROM users") == cost
        });
        server.login(JWEIR, PASSWORD).token();
        server.stop();
    }
}

#[test]
fn an_interrupted_rehash_does_no_harm() {
    let place = one_user();
    for _ in 0..3 {
        let server = place.serve(&[]);
        server.login(JWEIR, PASSWORD).token();
        server.stop();
    }
    assert_eq!(place.tokens_of(JWEIR), 3);
}

#[test]
fn a_login_that_fails_rehashes_nothing() {
    let place = one_user();
    let before = place.dump();
    let server = place.serve(&[]);
    server.login(JWEIR, "wrong");
    server.stop();
    assert_eq!(place.dump(), before);
}

#[test]
fn a_hash_that_a_login_has_replaced_is_not_restored_by_the_same_fixture() {
    let fixture = accounts::retailer([accounts::user(JWEIR)]);
    let place = Place::seeded(&fixture);
    let server = place.serve(&[]);
    server.login(JWEIR, PASSWORD).token();
    eventually("the password is rehashed", || {
        place.number("SELECT cost FROM users") == 10
    });
    server.stop();
    let before = place.dump();
    place.seed(&fixture).succeeded();
    assert_eq!(place.dump(), before);
}

#[test]
fn an_expired_token_is_removed_in_the_background() {
    let place = one_user();
    let server = place.serve(&["--token-ttl", "250ms"]);
    let token = server.login(JWEIR, PASSWORD).token();
    eventually("the token is gone", || !place.holds_token(&token));
    drop(server);

    let server = place.serve(&["--token-ttl", "0"]);
    let eternal = server.login(JWEIR, PASSWORD).token();
    place
        .sql()
        .execute(
            "INSERT INTO tokens (digest, user_id, issued_at, expires_at) SELECT randomblob(32), id, 0, 1 FROM users",
            &[],
        )
        .unwrap();
    eventually("the expired one is gone", || place.tokens_of(JWEIR) == 1);
    assert!(place.holds_token(&eternal));
}
