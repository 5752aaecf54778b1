//! Which `Content-Type` a login call may have.

use serde_json::json;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{LOGIN, Place, Server, login_body, request};

#[test]
fn application_json_is_accepted_in_every_form_that_http_allows() {
    let server = Server::demo();
    let forms = [
        "application/json",
        "Application/JSON;charset=utf-8",
        " \tapplication/json \t; ;\t Charset=\"Utf\\-8\"; version=1\t ",
    ];
    for form in forms {
        let bytes = request(
            "POST",
            LOGIN,
            &[("Content-Type", form)],
            login_body(JWEIR, PASSWORD),
        );
        let answer = server.send(bytes);
        assert_eq!(answer.status, 200, "{form:?}: {answer:?}");
    }
}

#[test]
fn any_other_media_type_is_refused_and_named_whatever_the_body() {
    let server = Server::demo();
    let forms = [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/vnd.api+json",
        "*/*",
        "application/json, application/json",
        "application/json; charset=\"utf-8",
        "application/json; profile=1; CHARSET=\"ISO-8859-1\"",
    ];
    for form in forms {
        for body in [login_body(JWEIR, PASSWORD), "{".into(), String::new()] {
            let bytes = request(
                "POST",
                LOGIN,
                &[("Content-Type", &format!(" {form}\t"))],
                body,
            );
            let answer = server.send(bytes);
            assert_eq!(answer.status, 415, "{form:?}: {answer:?}");
            let detail = format!("Unsupported media type \"{form}\" in request.");
            assert_eq!(
                answer.text(),
                json!({"detail": detail}).to_string(),
                "{form:?}"
            );
        }
    }
}

#[test]
fn a_body_with_a_content_encoding_is_refused_as_such() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let json = ("Content-Type", "application/json");
    for server in [Server::demo(), place.serve(&[])] {
        let send = |encodings: &[&str], json: (&str, &str), body: &str| {
            let fields = encodings.iter().map(|value| ("Content-Encoding", *value));
            let fields: Vec<_> = fields.chain([json]).collect();
            server.send(request("POST", LOGIN, &fields, body))
        };
        let body = login_body(JWEIR, PASSWORD);
        for (sent, shown) in [
            (&["gzip"][..], "gzip"),
            (&[" GZIP\t"], "GZIP"),
            (&["identity, br"], "identity, br"),
            (&["identity", "deflate"], "identity, deflate"),
            (&["utf-8"], "utf-8"),
        ] {
            for body in [body.as_str(), "\x1f\u{8b}", &"x".repeat(20_000)] {
                let answer = send(sent, json, body);
                let detail = format!(
                    "Unsupported Content-Encoding \"{shown}\" in request. Send the body without one."
                );
                let expected = json!({"detail": detail}).to_string();
                assert_eq!(
                    (answer.status, answer.text()),
                    (415, &*expected),
                    "{sent:?}"
                );
            }
        }
        for encodings in [
            &["identity"][..],
            &[""],
            &[" , Identity,,"],
            &["", "IDENTITY"],
        ] {
            assert_eq!(send(encodings, json, &body).status, 200, "{encodings:?}");
        }
        // The media type is checked first. Without a body, the content encoding does not matter.
        let answer = send(&["gzip"], ("Content-Type", "text/plain"), &body);
        assert!(answer.field("detail").contains("text/plain"), "{answer:?}");
        assert_eq!(send(&["gzip"], json, "").status, 400);
        let mut chunked = format!("POST {LOGIN} HTTP/1.1\r\nHost: localhost\r\n");
        chunked += "Content-Type: application/json\r\nContent-Encoding: gzip\r\n";
        chunked += "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n\r\n";
        assert_eq!(server.send(chunked).status, 415);
    }
}

#[test]
fn a_missing_media_type_is_refused_even_without_a_body() {
    let server = Server::demo();
    for body in ["", "{}"] {
        let answer = server.send(request("POST", LOGIN, &[], body));
        assert_eq!(answer.status, 415, "{body:?}");
        assert_eq!(
            answer.text(),
            r#"{"detail":"Unsupported media type \"\" in request."}"#,
            "{body:?}"
        );
    }
}
