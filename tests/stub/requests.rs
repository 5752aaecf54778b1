//! `/__stub/requests/`: the journal of requests.

use std::io::Write;
use std::net::TcpStream;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{get, login_request, login_with, requests};
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{JSON, LOGIN, Server, eventually, login_body, request};

const REQUESTS: &str = "/__stub/requests/";

#[test]
fn a_request_is_kept_unchanged() {
    let server = Server::demo();
    let fields = [JSON, ("x-My-Header", "One"), ("Connection", "close")];
    server.send(request(
        "POST",
        &format!("{LOGIN}?a=b"),
        &fields,
        login_body(JWEIR, PASSWORD),
    ));
    let [kept] = &requests(&server)[..] else {
        panic!("{:?}", requests(&server));
    };
    assert_eq!(kept["method"], "POST");
    assert_eq!(kept["path"], format!("{LOGIN}?a=b"));
    assert_eq!(kept["status"], 200);
    let headers = &kept["headers"];
    assert_eq!(headers["x-My-Header"], "One");
    assert_eq!(headers["Connection"], "close");
    assert_eq!(headers["Host"], "localhost");
    assert_eq!(headers["Content-Type"], "application/json");
    assert!(headers["Content-Length"].is_string());
    assert_eq!(headers.as_object().unwrap().len(), 5, "{headers}");
    assert_eq!(
        kept["body"],
        r#"{"password":"[redacted]","username":"jweir@projectthanos.com"}"#
    );
    assert!(kept["duration_ms"].is_number());
    let time: jiff::Timestamp = kept["time"].as_str().unwrap().parse().unwrap();
    assert!(time <= jiff::Timestamp::now());
}

#[test]
fn the_last_thousand_are_kept_newest_last_and_only_those_to_the_api() {
    let server = Server::demo();
    let mut connection = server.connect();
    for number in 0..1005 {
        connection.send(request("GET", &format!("/api/{number}/"), &[], ""));
        assert_eq!(connection.answer().status, 404);
    }
    get(&server, "/healthz");
    get(&server, "/");
    let paths: Vec<String> = requests(&server)
        .iter()
        .map(|kept| kept["path"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (5..1005).map(|number| format!("/api/{number}/")).collect();
    assert_eq!(paths, expected);
    let answer = server.send(request("DELETE", "/__stub/requests/", &[], ""));
    assert_eq!((answer.status, answer.text()), (204, ""));
    assert!(requests(&server).is_empty());
}

#[test]
fn numbers_start_at_one_and_none_is_used_twice() {
    let server = Server::demo();
    let expect = |numbers: &[u64], last: u64| {
        let journal = get(&server, REQUESTS).json();
        let given = journal["requests"].as_array().unwrap();
        let given: Vec<_> = given.iter().map(|kept| kept["number"].as_u64()).collect();
        let numbers: Vec<_> = numbers.iter().copied().map(Some).collect();
        assert_eq!((given, journal["last"].as_u64()), (numbers, Some(last)));
    };
    expect(&[], 0);
    get(&server, LOGIN);
    server.send("GET /api/ HTTP/9.9\r\n\r\n");
    expect(&[1, 2], 2);
    server.send(request("DELETE", REQUESTS, &[], ""));
    expect(&[], 2);
    get(&server, LOGIN);
    server.send(request("POST", "/__stub/reset/", &[], ""));
    get(&server, LOGIN);
    expect(&[4], 4);
}

#[test]
fn an_entry_has_what_was_requested_of_the_stub_and_what_the_client_got() {
    let mut server = Server::demo();
    let orders = |kept: &Value| {
        let keys = [
            "status",
            "code",
            "delay_ms",
            "fault",
            "delivered",
            "repeats",
        ];
        json!(keys.map(|key| kept[key].clone()))
    };
    for (fields, expected) in [
        (&[][..], json!([200, null, 0, null, true, 0])),
        (
            &[("Prefer", "code=503")],
            json!([503, 503, 0, null, true, 0]),
        ),
        (
            &[("Prefer", "code=999")],
            json!([400, null, 0, null, true, 0]),
        ),
        (
            &[("X-Stub-Delay", "5")],
            json!([200, null, 5, null, true, 0]),
        ),
        (
            &[("X-Stub-Fault", "reset")],
            json!([200, null, 0, "reset", false, 0]),
        ),
        (
            &[("X-Stub-Fault", "empty")],
            json!([200, null, 0, "empty", false, 0]),
        ),
        (
            &[("X-Stub-Fault", "cut")],
            json!([200, null, 0, "cut", false, 0]),
        ),
        (
            &[("X-Stub-Fault", "garbage")],
            json!([200, null, 0, "garbage", false, 0]),
        ),
    ] {
        let mut connection = server.connect().unchecked();
        connection.send(login_request(fields));
        if fields
            .first()
            .is_some_and(|(name, _)| *name == "X-Stub-Fault")
        {
            connection.rest_or_reset();
        } else {
            connection.answer();
        }
        let kept = requests(&server);
        assert_eq!(orders(kept.last().unwrap()), expected, "{fields:?}");
    }
    let mut waiting = server.connect();
    waiting.send(login_request(&[("X-Stub-Delay", "60000")]));
    eventually("it is recorded", || {
        let kept = requests(&server);
        orders(kept.last().unwrap()) == json!([200, null, 60000, null, null, 0])
    });
    server.signal(Signal::TERM);
    assert_eq!(waiting.answer().status, 200);
    server.wait().succeeded();
}

#[test]
fn an_answer_is_kept_without_its_secrets() {
    let server = Server::demo();
    let origin = ("Origin", "http://localhost:3000");
    let answer = login_with(&server, &[origin]);
    let kept = &requests(&server)[0]["answer"];
    let headers = kept["headers"].as_object().unwrap();
    for (name, value) in headers {
        assert_eq!(answer.header(name), value.as_str(), "{name}");
    }
    for name in ["Content-Type", "Access-Control-Allow-Origin", "Vary"] {
        assert!(headers.contains_key(name), "{name}");
    }
    assert!(!headers.keys().any(|name| name.starts_with("X-Gate")));
    let expected = answer.text().replace(&answer.token(), "[redacted]");
    assert_eq!(kept["body"], expected);

    let refused = server.send("GET /api/ HTTP/9.9\r\n\r\n");
    let kept = &requests(&server)[1];
    assert_eq!(kept["answer"]["body"], refused.text());
    assert_eq!(kept["delivered"], true);
}

#[test]
fn an_answer_to_a_client_that_has_gone_is_not_delivered() {
    let server = Server::demo();
    let mut client = TcpStream::connect(server.address()).unwrap();
    let login = login_request(&[("X-Stub-Delay", "100")]);
    client.write_all(&login).unwrap();
    drop(client);
    eventually("its end is known", || {
        let kept = requests(&server);
        kept.last().is_some_and(|kept| !kept["delivered"].is_null())
    });
    assert_eq!(requests(&server)[0]["delivered"], false);
}

#[test]
fn no_password_and_no_token_is_anywhere_in_the_journal() {
    let server = Server::demo();
    let token = server
        .login("supplier@projectthanos.com", "thanossupplies")
        .token();
    let authorization = format!("Token {token}");
    for bytes in [
        request(
            "GET",
            "/api/organizations/",
            &[("Authorization", &authorization)],
            "",
        ),
        request(
            "GET",
            "/api/organizations/",
            &[("Authorization", "Token s3cretly")],
            "",
        ),
        request(
            "GET",
            "/api/organizations/",
            &[("Cookie", "x=s3cretly")],
            "",
        ),
        request(
            "GET",
            &format!("/api/?auth_token={token}&password=s3cretly"),
            &[],
            "",
        ),
        request("GET", &format!("/api/{token}/"), &[], ""),
        request("GET", "/api/thanosrocks/", &[("X-Note", "thanosrocks")], ""),
        request("POST", LOGIN, &[JSON], login_body(JWEIR, "s3cretly")),
        request("POST", LOGIN, &[JSON], login_body("nobody", "thanosrocks")),
        request(
            "POST",
            LOGIN,
            &[JSON],
            r#"{"username":"a","p\u0061ssword":"s3cretly"}"#,
        ),
        request(
            "POST",
            LOGIN,
            &[JSON],
            r#"{"username":"a","password":"s3cretly"#,
        ),
        request("POST", LOGIN, &[JSON], r#"{"password":{"x":"s3cretly"}}"#),
        request("POST", LOGIN, &[], "username=a&password=s3cretly"),
        request("POST", LOGIN, &[], "username=a&p%61ssword=s3cretly"),
        request("POST", LOGIN, &[], "<password>s3cretly</password>"),
        request("POST", LOGIN, &[], "jweir@projectthanos.com thanosrocks"),
    ] {
        server.send(bytes);
    }
    let journal = get(&server, "/__stub/requests/");
    for secret in [&*token, "s3cretly", "thanosrocks", "thanossupplies"] {
        assert!(!journal.text().contains(secret), "{secret} in {journal:?}");
    }
    assert!(journal.text().contains("jweir@projectthanos.com"));
    assert!(journal.text().contains("Token [redacted]"));
}

#[test]
fn corrupted_refused_and_forced_answers_are_in_the_journal_too() {
    let server = Server::demo();
    let mut connection = server.connect();
    connection.send(super::login_request(&[("X-Stub-Fault", "reset")]));
    assert!(connection.answer_or_end().is_none());
    login_with(&server, &[("X-Stub-Delay", "soon")]);
    get(&server, LOGIN);
    let kept = requests(&server);
    let statuses: Vec<_> = kept.iter().map(|kept| kept["status"].as_u64()).collect();
    assert_eq!(statuses, [Some(200), Some(400), Some(405)]);
}
