//! Which tokens are valid, and what the answer says about the others.

use super::{
    ALL_USERS, CALLS, JWEIRS_TOKEN, ORGANIZATION, VERIFY, assert_ended, assert_good, call, get,
    log_in, one_user,
};
use crate::harness::Server;
use crate::harness::accounts::{JWEIR, PASSWORD};

const NOT_PROVIDED: &str = "Authentication credentials were not provided.";
const NO_CREDENTIALS: &str = "Invalid token header. No credentials provided.";
const SPACES: &str = "Invalid token header. Token string should not contain spaces.";
const CHARACTERS: &str =
    "Invalid token header. Token string should not contain invalid characters.";
const INVALID: &str = "Invalid token.";

/// A call with these bytes as header fields, each including its line break.
fn with_fields(method: &str, path: &str, fields: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n").into_bytes();
    bytes.extend(fields);
    bytes.extend(b"\r\n");
    bytes
}

#[test]
fn a_header_without_a_valid_token_is_refused_with_the_reason() {
    let server = Server::demo();
    let rows: [(&str, &[u8], &str); 19] = [
        ("no header", b"", NOT_PROVIDED),
        ("an empty one", b"Authorization:\r\n", NOT_PROVIDED),
        (
            "another scheme",
            b"Authorization: Basic YTpi\r\n",
            NOT_PROVIDED,
        ),
        (
            "bearer",
            b"Authorization: Bearer a0f17278bed479ee719ea890b8caf0329e1f3e5b\r\n",
            NOT_PROVIDED,
        ),
        (
            "a longer word",
            b"Authorization: Tokens abc\r\n",
            NOT_PROVIDED,
        ),
        (
            "no scheme",
            b"Authorization: a0f17278bed479ee719ea890b8caf0329e1f3e5b\r\n",
            NOT_PROVIDED,
        ),
        (
            "another header",
            b"X-Authorization: Token abc\r\n",
            NOT_PROVIDED,
        ),
        (
            "a scheme of other bytes",
            b"Authorization: T\xf6ken abc\r\n",
            NOT_PROVIDED,
        ),
        ("no token", b"Authorization: Token\r\n", NO_CREDENTIALS),
        (
            "blanks for a token",
            b"Authorization: tOKEN \t \r\n",
            NO_CREDENTIALS,
        ),
        ("two words", b"Authorization: Token a b\r\n", SPACES),
        (
            "two words, one not UTF-8",
            b"Authorization: Token \xff b\r\n",
            SPACES,
        ),
        (
            "two headers",
            b"Authorization: Token a\r\nAuthorization: Token b\r\n",
            SPACES,
        ),
        ("not UTF-8", b"Authorization: Token \xff\r\n", CHARACTERS),
        (
            "half a character",
            b"Authorization: Token abc\xc3\r\n",
            CHARACTERS,
        ),
        (
            "UTF-8 beyond ASCII",
            b"Authorization: Token \xc3\xa9\r\n",
            INVALID,
        ),
        (
            "unknown",
            b"Authorization: Token 0000000000000000000000000000000000000000\r\n",
            INVALID,
        ),
        (
            "in capitals",
            b"Authorization: Token A0F17278BED479EE719EA890B8CAF0329E1F3E5B\r\n",
            INVALID,
        ),
        (
            "a part of one",
            b"Authorization: Token a0f17278bed479ee719ea890b8caf0329e1f3e5\r\n",
            INVALID,
        ),
    ];
    for (label, fields, text) in rows {
        for (method, path) in CALLS {
            let answer = server.send(with_fields(method, path, fields));
            assert_eq!(answer.status, 401, "{label}: {path}: {answer:?}");
            assert_eq!(
                answer.text(),
                format!(r#"{{"detail":"{text}"}}"#),
                "{label}: {path}"
            );
            assert_eq!(answer.header("www-authenticate"), Some("Token"), "{label}");
        }
    }
}

#[test]
fn the_scheme_may_have_any_letter_case_and_blanks_around_it() {
    let server = Server::demo();
    for scheme in ["Token ", "token ", "TOKEN ", "tOkEn\t", "  Token   "] {
        let fields = format!("authorization:{scheme}{JWEIRS_TOKEN} \r\n");
        let answer = server.send(with_fields("GET", VERIFY, fields.as_bytes()));
        assert_eq!(answer.status, 200, "{scheme:?}: {answer:?}");
    }
}

#[test]
fn an_expired_token_is_invalid_whether_or_not_its_row_still_exists() {
    let place = one_user();
    let server = place.serve(&[]);
    let token = log_in(&server);
    assert_good(&server, &token);
    place
        .sql()
        .execute_batch("UPDATE tokens SET expires_at = issued_at")
        .unwrap();
    assert_ended(&server, &token);
}

#[test]
fn tokens_are_invalid_as_soon_as_another_process_deactivates_their_user_or_organization() {
    let place = one_user();
    let server = place.serve(&[]);
    let token = log_in(&server);
    let rows = [
        ("users", "DEACTIVATED"),
        ("users", "CONFIRMATION WAITING"),
        ("organizations", "DEACTIVATED"),
        ("organizations", "PENDING"),
    ];
    let switch = |table: &str, status: &str| {
        place
            .sql()
            .execute(&format!("UPDATE {table} SET status = ?1"), &[&status])
            .unwrap();
    };
    for (table, status) in rows {
        assert_good(&server, &token);
        switch(table, status);
        assert_ended(&server, &token);
        // The answer does not reveal that the token itself is valid.
        let unknown = get(
            &server,
            ORGANIZATION,
            "0000000000000000000000000000000000000000",
        );
        let inactive = get(&server, ORGANIZATION, &token);
        assert_eq!(
            inactive.without("date"),
            unknown.without("date"),
            "{status}"
        );
        switch(table, "ACTIVE");
    }
    assert_good(&server, &token);
}

#[test]
fn a_token_that_another_process_revokes_or_issues_takes_effect_at_the_next_request() {
    let place = one_user();
    let (server, other) = (place.serve(&[]), place.serve(&[]));
    let token = log_in(&other);
    assert_good(&server, &token);
    place.sql().execute_batch("DELETE FROM tokens").unwrap();
    assert_ended(&server, &token);
}

#[test]
fn a_token_gives_access_to_its_own_organization_only() {
    let server = Server::demo();
    let token = server
        .login("supplier@projectthanos.com", "thanossupplies")
        .token();
    let users = get(&server, ALL_USERS, &token);
    assert!(!users.text().contains(JWEIR), "{users:?}");
    assert!(
        users.text().contains("supplier@projectthanos.com"),
        "{users:?}"
    );
}

#[test]
fn the_login_and_the_probes_need_no_token_and_ignore_one() {
    let server = Server::demo();
    for path in ["/healthz", "/readyz", "/openapi.json"] {
        assert_eq!(
            server.send(call("GET", path, "expired")).status,
            200,
            "{path}"
        );
    }
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}
