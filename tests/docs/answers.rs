//! The tables of answers and of accounts.

use serde_json::json;

use super::{Page, code};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, JSON, LOGIN, Place, Server, login_body, request};

#[test]
fn every_answer_in_the_table_is_given() {
    let server = Server::demo();
    let post = |body: &str| request("POST", LOGIN, &[JSON], body);
    let account = |field: &str| {
        let head = "GET /api/organizations/ HTTP/1.1\r\nHost: localhost\r\n";
        format!("{head}{field}\r\n").into_bytes()
    };
    let plain = ("Content-Type", "text/plain");
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    let long = json!({"username": "a".repeat(255), "password": "a"}).to_string();
    let rows_and_requests = [
        (404, request("POST", "/api/", &[JSON], "{}")),
        (405, request("GET", LOGIN, &[], "")),
        (415, request("POST", LOGIN, &[plain], "{}")),
        (
            415,
            request("POST", LOGIN, &[JSON, ("Content-Encoding", "gzip")], "{}"),
        ),
        (413, post(&" ".repeat(16_385))),
        (400, post(r#"{"username": }"#)),
        (400, post("\u{feff}{}")),
        (400, post(r#"{"username": "a", "username": "b"}"#)),
        (400, post(&deep)),
        (400, post("[]")),
        (400, post("null")),
        (400, post("")),
        (400, post(r#"{"username": null, "password": 1}"#)),
        (400, post(r#"{"username": " ", "password": ""}"#)),
        (400, post(&long)),
        (400, post(r#"{"username": "a", "password": "\u0000"}"#)),
        (401, post(&login_body(JWEIR, "wrong"))),
        (
            403,
            post(&login_body("waiting@projectthanos.com", PASSWORD)),
        ),
        (401, account("")),
        (401, account("Authorization: Basic YTpi\r\n")),
        (401, account("Authorization: Token\r\n")),
        (401, account("Authorization: Token a b\r\n")),
        (401, account("Authorization: Token a\r\n")),
        (
            401,
            b"GET /api/organizations/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token \xff\r\n\r\n"
                .to_vec(),
        ),
    ];
    for (status, bytes) in rows_and_requests {
        assert_in_table(status, &server.send(bytes));
    }
    let strict = Server::demo_with(&["--failed-logins-per-user", "1"]);
    strict.login(JWEIR, "wrong");
    let answer = strict.login(JWEIR, PASSWORD);
    // How much of the fifteen minutes is left depends on the moment.
    let seconds = answer.header("retry-after").unwrap().to_owned();
    let mut whole = answer.without("retry-after");
    whole.body = answer.text().replace(&seconds, "900").into_bytes();
    assert_in_table(429, &whole);
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let broken = place.serve(&[]);
    let lock = place.lock();
    let answer = broken.login(JWEIR, PASSWORD);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_in_table(503, &answer);
    drop(lock);
    place.sql().execute_batch("DROP TABLE tokens").unwrap();
    assert_in_table(500, &broken.login(JWEIR, PASSWORD));
}

#[track_caller]
fn assert_in_table(status: u16, answer: &Answer) {
    assert_eq!(answer.status, status, "{answer:?}");
    let expected = [status.to_string(), format!("`{}`", answer.text())];
    let page = Page::read("docs/api.md");
    let mut rows = page.rows(&["status", "when", "body"]).into_iter();
    let found = rows.any(|cells| cells[0] == expected[0] && cells[2] == expected[1]);
    assert!(found, "the tables of answers lack {answer:?}");
}

#[test]
fn every_demo_account_answers_as_the_tables_say() {
    let server = Server::demo();
    for page in ["README.md", "docs/stub.md"].map(Page::read) {
        let accounts = page.rows(&["username", "password"]);
        assert_eq!(accounts.len(), 5);
        for cells in accounts {
            let answer = server.login(code(cells[0])[0], code(cells[1])[0]);
            let status = answer.status.to_string();
            assert!(cells[2].starts_with(&status), "{cells:?}: {answer:?}");
        }
    }
}
