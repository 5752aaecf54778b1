//! `/__stub/requests/`: the journal.

use super::{get, login_with, requests};
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{JSON, LOGIN, Server, login_body, request};

#[test]
fn a_request_is_kept_as_it_came() {
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
fn the_last_hundred_are_kept_newest_last_and_only_those_to_the_api() {
    let server = Server::demo();
    for number in 0..105 {
        assert_eq!(get(&server, &format!("/api/{number}/")).status, 404);
    }
    get(&server, "/healthz");
    get(&server, "/");
    let paths: Vec<String> = requests(&server)
        .iter()
        .map(|kept| kept["path"].as_str().unwrap().to_owned())
        .collect();
    let expected: Vec<String> = (5..105).map(|number| format!("/api/{number}/")).collect();
    assert_eq!(paths, expected);
    let answer = server.send(request("DELETE", "/__stub/requests/", &[], ""));
    assert_eq!((answer.status, answer.text()), (204, ""));
    assert!(requests(&server).is_empty());
}

#[test]
fn no_password_and_no_token_stands_anywhere_in_it() {
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
fn spoiled_refused_and_forced_answers_stand_in_it_too() {
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
