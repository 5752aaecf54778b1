//! The login call: every answer with its body and headers, and the order of the checks.

use serde_json::{Value, json};

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, JSON, LOGIN, Place, Server, login_body, request};

#[test]
fn the_published_call_answers_exactly_the_published_json() {
    let server = Server::demo();
    let content_type = ("Content-Type", "application/json; charset=utf-8");
    let body =
        "{\n  \"username\": \"jweir@projectthanos.com\",\n  \"password\": \"thanosrocks\"\n}";
    let answer = server.send(request("POST", LOGIN, &[content_type], body));
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.text(),
        concat!(
            r#"{"auth_token":"a0f17278bed479ee719ea890b8caf0329e1f3e5b","#,
            r#""org_uuid":"e7409ece-e923-4aa8-a41b-4aacb9e475be","#,
            r#""user_uuid":"3a7acb28-ab13-437e-8c35-46cf4f0bea49","#,
            r#""retailer_uuid":"1d2e146c-a3df-4073-89c6-9ffc3061319c","#,
            r#""supplier_uuid":"","org_type":"RETAILER"}"#,
        )
    );
}

#[test]
fn a_supplier_has_a_supplier_uuid_and_an_empty_retailer_uuid() {
    let server = Server::demo();
    let answer = server.login("supplier@projectthanos.com", "thanossupplies");
    let (token, supplier) = (answer.token(), answer.field("supplier_uuid"));
    let (org, user) = (answer.field("org_uuid"), answer.field("user_uuid"));
    assert_eq!(
        answer.text(),
        format!(
            r#"{{"auth_token":"{token}","org_uuid":"{org}","user_uuid":"{user}","retailer_uuid":"","supplier_uuid":"{supplier}","org_type":"SUPPLIER"}}"#
        )
    );
    for (name, text) in [("org", org), ("user", user), ("supplier", supplier)] {
        let uuid = uuid::Uuid::parse_str(&text).unwrap();
        assert_eq!(uuid.hyphenated().to_string(), text, "{name}");
    }
}

#[test]
fn an_ordinary_client_logs_in() {
    let server = Server::demo();
    let url = format!("http://{}{LOGIN}", server.address());
    let agent = ureq::Agent::new_with_defaults();
    for _ in 0..3 {
        let mut answer = agent
            .post(&url)
            .content_type("application/json")
            .send(login_body(JWEIR, PASSWORD))
            .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(body["org_type"], "RETAILER");
    }
}

/// One request for each answer that a healthy server gives.
fn one_of_each() -> Vec<(u16, Vec<u8>)> {
    let login = |username: &str| request("POST", LOGIN, &[JSON], login_body(username, PASSWORD));
    vec![
        (200, login(JWEIR)),
        (400, request("POST", LOGIN, &[JSON], "{")),
        (401, login("nobody@projectthanos.com")),
        (403, login("waiting@projectthanos.com")),
        (404, request("GET", "/nothing-here/", &[], "")),
        (405, request("GET", LOGIN, &[], "")),
        (
            413,
            request("POST", LOGIN, &[JSON], " ".repeat(16 * 1024 + 1)),
        ),
        (415, request("POST", LOGIN, &[], "{}")),
    ]
}

#[test]
fn every_answer_has_its_headers_and_no_others() {
    let server = Server::demo();
    for (status, bytes) in one_of_each() {
        let answer = server.send(bytes);
        assert_eq!(answer.status, status, "{answer:?}");
        let mut expected = vec![
            ("cache-control".to_string(), "no-store".to_string()),
            ("content-length".to_string(), answer.body.len().to_string()),
            ("content-type".to_string(), "application/json".to_string()),
            ("x-content-type-options".to_string(), "nosniff".to_string()),
        ];
        match status {
            401 => expected.push(("www-authenticate".to_string(), "Token".to_string())),
            405 => expected.push(("allow".to_string(), "POST".to_string())),
            _ => {}
        }
        expected.sort();
        // The transport decides whether the connection ends after a refused body.
        let mut found: Vec<(String, String)> = answer
            .without("date")
            .without("connection")
            .without("server")
            .headers
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .collect();
        found.sort();
        assert_eq!(found, expected, "{status}");
        assert_eq!(
            answer.header("server").unwrap_or("thanos-login"),
            "thanos-login",
            "{status}"
        );

        let date = answer.header("date").unwrap();
        assert!(
            date.ends_with(" GMT") && date.len() == 29,
            "{status}: {date}"
        );
        jiff::fmt::rfc2822::parse(date).unwrap_or_else(|error| panic!("{status}: {date}: {error}"));
    }
}

#[test]
fn every_answer_is_one_compact_json_object() {
    let server = Server::demo();
    for (status, bytes) in one_of_each() {
        let answer = server.send(bytes);
        assert!(answer.json().is_object(), "{status}: {answer:?}");
        let outside_strings: String = answer.text().split('"').step_by(2).collect();
        assert!(
            !outside_strings.contains(char::is_whitespace),
            "{status}: {answer:?}"
        );
    }
}

#[test]
fn a_path_without_an_endpoint_is_not_found() {
    let server = Server::demo();
    let rows = [
        ("without its slash", "/api/organizations/user-login"),
        ("a slash too many", "/api/organizations/user-login//"),
        (
            "a slash too many in front",
            "//api/organizations/user-login/",
        ),
        ("other letters", "/api/organizations/User-Login/"),
        ("above it", "/api/"),
        ("below it", "/api/organizations/user-login/me/"),
        ("unknown", "/favicon.ico"),
    ];
    for (label, target) in rows {
        for method in ["GET", "POST", "BREW"] {
            let answer = server.send(request(
                method,
                target,
                &[JSON],
                login_body(JWEIR, PASSWORD),
            ));
            assert_eq!(answer.status, 404, "{label}, {method}");
            assert_eq!(
                answer.text(),
                r#"{"detail":"Not found."}"#,
                "{label}, {method}"
            );
        }
    }
}

#[test]
fn the_query_is_ignored() {
    let server = Server::demo();
    for query in ["?", "?next=/", "?a=1&a=2", "?/api/", "?%zz"] {
        let target = format!("{LOGIN}{query}");
        let answer = server.send(request(
            "POST",
            &target,
            &[JSON],
            login_body(JWEIR, PASSWORD),
        ));
        assert_eq!(answer.status, 200, "{query}");
    }
}

#[test]
fn another_method_is_refused_with_the_allowed_one() {
    let server = Server::demo();
    for method in [
        "GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "BREW",
    ] {
        let answer = server.send(request(method, LOGIN, &[JSON], login_body(JWEIR, PASSWORD)));
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
        assert_eq!(
            answer.text(),
            format!(r#"{{"detail":"Method \"{method}\" not allowed."}}"#)
        );
    }
}

#[test]
fn head_is_answered_without_a_body() {
    let server = Server::demo();
    let mut connection = server.connect();
    for (target, status, body) in [
        (LOGIN, 405, r#"{"detail":"Method \"HEAD\" not allowed."}"#),
        ("/nothing-here/", 404, r#"{"detail":"Not found."}"#),
    ] {
        connection.send(request("HEAD", target, &[], ""));
        let answer = connection.answer_to_head();
        assert_eq!(answer.status, status);
        assert_eq!(
            answer.header("content-length"),
            Some(body.len().to_string().as_str())
        );
    }
    // A body would be read as the start of this answer.
    connection.send(request("GET", "/nothing-here/", &[], ""));
    assert_eq!(connection.answer().text(), r#"{"detail":"Not found."}"#);
}

#[test]
fn the_first_check_that_fails_answers() {
    let server = Server::demo();
    let text = ("Content-Type", "text/plain");
    let big = "x".repeat(16 * 1024 + 1);
    let rows = [
        (
            "path before method",
            "GET",
            "/nothing-here/",
            text,
            big.clone(),
            404,
        ),
        (
            "path before media type",
            "POST",
            "/nothing-here/",
            text,
            big.clone(),
            404,
        ),
        (
            "path before size",
            "POST",
            "/nothing-here/",
            JSON,
            big.clone(),
            404,
        ),
        (
            "method before media type",
            "PUT",
            LOGIN,
            text,
            "{}".into(),
            405,
        ),
        ("method before size", "PUT", LOGIN, JSON, big.clone(), 405),
        (
            "media type before size",
            "POST",
            LOGIN,
            text,
            big.clone(),
            415,
        ),
        (
            "media type before JSON",
            "POST",
            LOGIN,
            text,
            "{".into(),
            415,
        ),
        ("size before JSON", "POST", LOGIN, JSON, big, 413),
        (
            "shape before credentials",
            "POST",
            LOGIN,
            JSON,
            r#"{"username":"nobody"}"#.into(),
            400,
        ),
        (
            "password before status",
            "POST",
            LOGIN,
            JSON,
            login_body("waiting@projectthanos.com", "wrong"),
            401,
        ),
    ];
    for (label, method, target, content_type, body, status) in rows {
        let answer = server.send(request(method, target, &[content_type], body));
        assert_eq!(answer.status, status, "{label}: {answer:?}");
    }
}

#[test]
fn an_authorization_header_stops_no_login() {
    let server = Server::demo();
    for value in [
        "Token 0123456789012345678901234567890123456789",
        "Token",
        "Basic x",
        "",
    ] {
        let fields = [JSON, ("Authorization", value)];
        let answer = server.send(request("POST", LOGIN, &fields, login_body(JWEIR, PASSWORD)));
        assert_eq!(answer.status, 200, "{value:?}");
    }
}

#[test]
fn the_accept_header_is_ignored() {
    let server = Server::demo();
    let fields = [JSON, ("Accept", "text/html"), ("Accept-Encoding", "gzip")];
    let answer = server.send(request("POST", LOGIN, &fields, login_body(JWEIR, PASSWORD)));
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
}

const BAD_CREDENTIALS: &str = r#"{"detail":"Unable to log in with provided credentials."}"#;

#[test]
fn unknown_user_and_wrong_password_answer_alike() {
    let server = Server::demo();
    let unknown = server.login("nobody@projectthanos.com", PASSWORD);
    let wrong = server.login(JWEIR, "thanosrolls");
    let inactive = server.login("deactivated@projectthanos.com", "thanosrolls");
    assert_eq!(wrong.status, 401);
    assert_eq!(wrong.text(), BAD_CREDENTIALS);
    assert_eq!(wrong.header("www-authenticate"), Some("Token"));
    assert_eq!(unknown.without("date"), wrong.without("date"));
    assert_eq!(inactive.without("date"), wrong.without("date"));
}

#[test]
fn the_right_password_of_an_inactive_user_is_forbidden() {
    let server = Server::demo();
    for name in ["deactivated", "waiting", "pending"] {
        let answer = server.login(&format!("{name}@projectthanos.com"), PASSWORD);
        assert_eq!(answer.status, 403, "{name}");
        assert_eq!(
            answer.text(),
            r#"{"detail":"You do not have permission to perform this action."}"#,
            "{name}"
        );
        assert_eq!(answer.header("www-authenticate"), None, "{name}");
    }
}

#[test]
fn only_active_users_of_active_organizations_log_in_and_nobody_else_gets_a_token() {
    let mut organizations = Vec::new();
    let mut expected = Vec::new();
    for org_status in ["PENDING", "ACTIVE", "DEACTIVATED"] {
        let mut users = Vec::new();
        for user_status in ["CONFIRMATION WAITING", "ACTIVE", "DEACTIVATED"] {
            let username = format!("{user_status} in {org_status}").to_lowercase();
            let mut user = accounts::user(&username);
            user["status"] = json!(user_status);
            users.push(user);
            let active = (org_status, user_status) == ("ACTIVE", "ACTIVE");
            expected.push((username, if active { 200 } else { 403 }));
        }
        let mut organization = accounts::organization(org_status, users);
        organization["status"] = json!(org_status);
        organizations.push(organization);
    }
    let place = Place::seeded(&json!({"organizations": organizations}));
    let server = place.serve(&[]);
    for (username, status) in expected {
        assert_eq!(
            server.login(&username, PASSWORD).status,
            status,
            "{username}"
        );
        assert_eq!(
            place.tokens_of(&username),
            i64::from(status == 200),
            "{username}"
        );
    }
}

#[test]
fn usernames_are_compared_without_regard_to_ascii_case() {
    let place = Place::new();
    let users = [
        accounts::user("KiM@projectthanos.com"),
        accounts::user("zoë@projectthanos.com"),
    ];
    let server = place.serve_demo(&accounts::retailer(users), &[]);
    let rows = [
        ("as stored", "KiM@projectthanos.com", 200),
        ("small", "kim@projectthanos.com", 200),
        ("capital", "KIM@PROJECTTHANOS.COM", 200),
        (
            "the Kelvin sign is no K",
            "\u{212a}im@projectthanos.com",
            401,
        ),
        ("the long s is no s", "kim@projectthano\u{17f}.com", 401),
        ("beyond ASCII, as stored", "ZOë@projectthanos.com", 200),
        ("beyond ASCII, other case", "zoË@projectthanos.com", 401),
        (
            "beyond ASCII, composed otherwise",
            "zoe\u{308}@projectthanos.com",
            401,
        ),
        ("a part of it", "kim", 401),
        ("a pattern", "kim%", 401),
        ("SQL", "' OR '1'='1", 401),
    ];
    for (label, username, status) in rows {
        assert_eq!(server.login(username, PASSWORD).status, status, "{label}");
    }
}

#[test]
fn white_space_is_trimmed_around_a_username_and_not_within_it() {
    let server = Server::demo();
    let white = "\t\n\u{b}\u{c}\r\u{1c}\u{1d}\u{1e}\u{1f} \u{85}\u{a0}\u{1680}\u{2000}\u{2001}\u{2002}\u{2003}\u{2004}\
                 \u{2005}\u{2006}\u{2007}\u{2008}\u{2009}\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}";
    for blank in white.chars() {
        let label = blank.escape_unicode();
        let around = format!("{blank}{JWEIR}{blank}{blank}");
        assert_eq!(server.login(&around, PASSWORD).status, 200, "{label}");
        let within = JWEIR.replace('@', &format!("{blank}@"));
        assert_eq!(server.login(&within, PASSWORD).status, 401, "{label}");
        let alone = server.login(&blank.to_string(), PASSWORD);
        assert_eq!(
            alone.text(),
            r#"{"username":["This field may not be blank."]}"#,
            "{label}"
        );
    }
    for other in [
        '\u{200b}', '\u{feff}', '\u{2060}', '\u{1b}', '\u{7f}', '\u{180e}',
    ] {
        let around = format!("{JWEIR}{other}");
        assert_eq!(
            server.login(&around, PASSWORD).status,
            401,
            "{}",
            other.escape_unicode()
        );
    }
}

#[test]
fn a_password_is_compared_unchanged() {
    let server = Server::demo();
    let rows = [
        ("blank before", " thanosrocks"),
        ("blank after", "thanosrocks "),
        ("newline after", "thanosrocks\n"),
        ("other case", "Thanosrocks"),
        ("cut", "thanosrock"),
        ("longer", "thanosrocks!"),
        ("nothing but a blank", " "),
    ];
    for (label, password) in rows {
        assert_eq!(server.login(JWEIR, password).status, 401, "{label}");
    }
}

#[test]
fn a_password_matches_up_to_72_bytes_and_never_beyond() {
    let longest = "p".repeat(72);
    let wide = "€".repeat(24);
    let users = [
        json!({"username": "longest", "password": longest}),
        json!({"username": "wide", "password": wide}),
    ];
    let server = Place::new().serve_demo(&accounts::retailer(users), &[]);
    let rows = [
        ("72 bytes", "longest", longest.clone(), 200),
        ("71 bytes", "longest", "p".repeat(71), 401),
        (
            "73 bytes that begin with the right 72",
            "longest",
            format!("{longest}p"),
            401,
        ),
        ("the right one twice", "longest", longest.repeat(2), 401),
        ("24 characters of 3 bytes", "wide", wide.clone(), 200),
        ("25 characters of 3 bytes", "wide", format!("{wide}€"), 401),
        ("thousands of bytes", "longest", "p".repeat(10_000), 401),
    ];
    for (label, username, password, status) in rows {
        let answer = server.login(username, &password);
        assert_eq!(answer.status, status, "{label}: {answer:?}");
    }
}

const REQUIRED: &str = "This field is required.";
const NULL: &str = "This field may not be null.";
const BLANK: &str = "This field may not be blank.";
const NO_STRING: &str = "Not a valid string.";
const TOO_LONG: &str = "Ensure this field has no more than 254 characters.";
const NUL: &str = "Null characters are not allowed.";

/// A label, the value of a field as JSON (`None` when it is missing), and the findings about it.
fn fields_and_findings() -> Vec<(&'static str, Option<Value>, &'static [&'static str])> {
    vec![
        ("right", Some(json!("somebody")), &[]),
        ("absent", None, &[REQUIRED]),
        ("null", Some(json!(null)), &[NULL]),
        ("blank", Some(json!("")), &[BLANK]),
        ("a number", Some(json!(5)), &[NO_STRING]),
        ("a fraction", Some(json!(5.5)), &[NO_STRING]),
        ("true", Some(json!(true)), &[NO_STRING]),
        ("false", Some(json!(false)), &[NO_STRING]),
        ("a list", Some(json!(["somebody"])), &[NO_STRING]),
        (
            "an object",
            Some(json!({"username": "somebody"})),
            &[NO_STRING],
        ),
        ("with a NUL", Some(json!("some\0body")), &[NUL]),
        ("nothing but a NUL", Some(json!("\0")), &[NUL]),
    ]
}

fn fields_answer(username: &[&str], password: &[&str]) -> String {
    let parts: Vec<String> = [("username", username), ("password", password)]
        .into_iter()
        .filter(|(_, findings)| !findings.is_empty())
        .map(|(name, findings)| format!("{}:{}", json!(name), json!(findings)))
        .collect();
    format!("{{{}}}", parts.join(","))
}

#[test]
fn the_findings_about_all_fields_are_answered_at_once_username_first() {
    let server = Server::demo();
    for (username_is, username, username_findings) in fields_and_findings() {
        for (password_is, password, password_findings) in fields_and_findings() {
            let mut body = serde_json::Map::new();
            // The order in the request is the reverse of that in the answer.
            body.extend(password.map(|value| ("password".to_string(), value)));
            body.extend(
                username
                    .clone()
                    .map(|value| ("username".to_string(), value)),
            );
            let answer = server.post(Value::Object(body).to_string());
            let label = format!("username {username_is}, password {password_is}: {answer:?}");
            if username_findings.is_empty() && password_findings.is_empty() {
                assert_eq!(answer.status, 401, "{label}");
                continue;
            }
            assert_eq!(answer.status, 400, "{label}");
            assert_eq!(
                answer.text(),
                fields_answer(username_findings, password_findings),
                "{label}"
            );
        }
    }
}

#[test]
fn a_username_has_at_most_254_characters_after_trimming() {
    let server = Server::demo();
    let rows: [(&str, String, &[&str]); 9] = [
        ("254 letters", "a".repeat(254), &[]),
        ("255 letters", "a".repeat(255), &[TOO_LONG]),
        (
            "254 letters in blanks",
            format!("  {}\u{a0}", "a".repeat(254)),
            &[],
        ),
        (
            "255 letters in blanks",
            format!("  {}\u{a0}", "a".repeat(255)),
            &[TOO_LONG],
        ),
        ("254 characters of 2 bytes", "é".repeat(254), &[]),
        (
            "254 characters beyond the first plane",
            "😀".repeat(254),
            &[],
        ),
        (
            "255 characters beyond the first plane",
            "😀".repeat(255),
            &[TOO_LONG],
        ),
        (
            "254 code points that are 127 letters",
            "e\u{301}".repeat(127),
            &[],
        ),
        (
            "too long and a NUL",
            format!("{}\0", "a".repeat(254)),
            &[TOO_LONG, NUL],
        ),
    ];
    for (label, username, findings) in rows {
        let answer = server.login(&username, PASSWORD);
        if findings.is_empty() {
            assert_eq!(answer.status, 401, "{label}: {answer:?}");
        } else {
            assert_eq!(answer.status, 400, "{label}: {answer:?}");
            assert_eq!(answer.text(), fields_answer(findings, &[]), "{label}");
        }
    }
    // A surrogate pair of two escapes is one character.
    let escaped = format!(
        r#"{{"username":"{}","password":"x"}}"#,
        r"\ud83d\ude00".repeat(254)
    );
    assert_eq!(server.post(escaped).status, 401);
}

#[test]
fn no_answer_names_the_software_that_the_server_is_built_with() {
    let server = Server::demo();
    let answers: Vec<Answer> = one_of_each()
        .into_iter()
        .map(|(_, bytes)| server.send(bytes))
        .collect();
    for answer in answers {
        let shown = format!("{answer:?}").to_ascii_lowercase();
        for name in ["tiny", "rust", "sqlite", "serde"] {
            assert!(!shown.contains(name), "{name} in {shown}");
        }
    }
}
