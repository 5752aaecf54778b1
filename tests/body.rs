//! Which bodies a login call accepts, and how it refuses the others.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::json;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Answer, JSON, LOGIN, Place, Server, login_body, request};

const LIMIT: usize = 16 * 1024;

#[track_caller]
fn assert_parse_error(answer: &Answer, label: &str) {
    assert_eq!(answer.status, 400, "{label}: {answer:?}");
    let body = answer.json();
    assert_eq!(
        body.as_object().map(serde_json::Map::len),
        Some(1),
        "{label}: {answer:?}"
    );
    let detail = answer.field("detail");
    assert!(
        detail.starts_with("JSON parse error - "),
        "{label}: {detail}"
    );
    for word in ["line ", "column "] {
        let number = detail
            .split(word)
            .nth(1)
            .and_then(|rest| rest.chars().next());
        assert!(
            number.is_some_and(|digit| digit.is_ascii_digit()),
            "{label}: no {word}in {detail}"
        );
    }
}

#[test]
fn what_is_not_json_is_a_parse_error_with_its_position() {
    let server = Server::demo();
    let rows: [(&str, &[u8]); 40] = [
        ("a blank", b" "),
        ("blank lines", b"\n\n"),
        ("a brace", b"{"),
        ("half a string", br#"{"username":"a"#),
        ("half a word", br#"{"username":nul"#),
        ("no value", br#"{"username"}"#),
        ("a comma too many", br#"{"username":"a","password":"b",}"#),
        ("a comma too few", br#"{"username":"a" "password":"b"}"#),
        ("a comma too many in a list", b"[1,]"),
        ("single quotes", b"{'username':'a','password':'b'}"),
        ("no quotes", b"{username:1}"),
        ("a comment", b"{} // nothing"),
        ("a number as a key", b"{1:2}"),
        ("a word", b"username"),
        ("a form", b"username=a&password=b"),
        ("another letter case", b"True"),
        ("NaN", b"NaN"),
        ("Infinity", b"-Infinity"),
        (
            "NaN under a key that is not read",
            br#"{"x":NaN,"username":"a","password":"b"}"#,
        ),
        ("a zero in front", b"01"),
        (
            "a zero in front under a key that is not read",
            br#"{"x":01,"username":"a","password":"b"}"#,
        ),
        ("a plus", b"+1"),
        ("no digit after the point", b"1."),
        ("no digit before the point", b".5"),
        ("no exponent", b"1e"),
        ("a hexadecimal number", b"0x10"),
        ("a minus alone", b"-"),
        (
            "a newline in a string",
            b"{\"username\":\"a\nb\",\"password\":\"c\"}",
        ),
        (
            "a NUL in a string",
            b"{\"username\":\"a\0b\",\"password\":\"c\"}",
        ),
        (
            "an unknown escape",
            br#"{"username":"\x61","password":"c"}"#,
        ),
        (
            "an unknown escape under a key that is not read",
            br#"{"x":"\x61","username":"a","password":"c"}"#,
        ),
        ("half an escape", br#"{"username":"\u00","password":"c"}"#),
        ("text behind", b"{} x"),
        ("a second object behind", b"{}{}"),
        ("a brace behind", b"{}}"),
        ("a NUL behind", b"{}\0"),
        ("a no-break space in front", b"\xc2\xa0{}"),
        ("a form feed in front", b"\x0c{}"),
        (
            "a byte order mark",
            b"\xef\xbb\xbf{\"username\":\"a\",\"password\":\"b\"}",
        ),
        ("UTF-16", b"\xff\xfe{\0}\0"),
    ];
    for (label, body) in rows {
        assert_parse_error(&server.post(body), label);
    }
}

#[test]
fn a_byte_order_mark_is_reported_as_such() {
    let server = Server::demo();
    for (encoding, body) in [
        (
            "UTF-8",
            &b"\xef\xbb\xbf{\"username\":\"a\",\"password\":\"b\"}"[..],
        ),
        ("UTF-8", b"\xef\xbb\xbf"),
        ("UTF-16", b"\xff\xfe{\0}\0"),
        ("UTF-16", b"\xfe\xff\0{\0}"),
        ("UTF-32", b"\xff\xfe\0\0{\0\0\0}\0\0\0"),
        ("UTF-32", b"\0\0\xfe\xff\0\0\0{\0\0\0}"),
    ] {
        let answer = server.post(body);
        let expected = format!(
            "JSON parse error - a byte-order mark (BOM) of {encoding} before the JSON at line 1 column 1"
        );
        assert_eq!((answer.status, answer.field("detail")), (400, expected));
    }
}

#[test]
fn a_parse_error_names_the_line_and_the_column() {
    let server = Server::demo();
    let detail = server
        .post("{\n  \"username\": \"a\",\n  \"password\": b\n}")
        .field("detail");
    assert!(detail.contains("line 3 column 15"), "{detail}");
}

#[test]
fn bytes_that_are_not_utf_8_are_a_parse_error_wherever_they_are() {
    let server = Server::demo();
    let sequences: [(&str, &[u8]); 7] = [
        ("a lone continuation", b"\x80"),
        ("a sequence cut off", b"\xe2\x82"),
        ("Latin-1", b"\xe9"),
        ("an overlong slash", b"\xc0\xaf"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("a pair of surrogates", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("beyond the last character", b"\xf4\x90\x80\x80"),
    ];
    let places: [(&str, &str, &str); 5] = [
        ("the username", r#"{"username":""#, r#"","password":"b"}"#),
        ("the password", r#"{"username":"a","password":""#, r#""}"#),
        ("a key", r#"{"username":"a","password":"b",""#, r#"":1}"#),
        (
            "a value that is not read",
            r#"{"username":"a","password":"b","x":[""#,
            r#""]}"#,
        ),
        ("a string that is no object", r#"["#, r#""]"#),
    ];
    for (sequence, bytes) in sequences {
        for (place, before, after) in places {
            let body = [before.as_bytes(), bytes, after.as_bytes()].concat();
            assert_parse_error(&server.post(body), &format!("{sequence} in {place}"));
        }
    }
}

#[test]
fn json_that_is_not_an_object_is_refused_with_its_type() {
    let server = Server::demo();
    let long = "9".repeat(400);
    let rows = [
        ("[]", "list"),
        (r#"[{"username":"a","username":"b"}]"#, "list"),
        (r#""""#, "str"),
        (r#""{}""#, "str"),
        (r#""\ud800""#, "str"),
        ("0", "int"),
        ("-0", "int"),
        (&long, "int"),
        ("0.0", "float"),
        ("-0.0", "float"),
        ("1e2", "float"),
        ("1E-2", "float"),
        ("1e999", "float"),
        ("true", "bool"),
        ("false", "bool"),
        (" \t\r\n[] ", "list"),
    ];
    for (body, name) in rows {
        let answer = server.post(body);
        assert_eq!(answer.status, 400, "{body}");
        let text = format!("Invalid data. Expected a dictionary, but got {name}.");
        assert_eq!(
            answer.text(),
            json!({"non_field_errors": [text]}).to_string(),
            "{body}"
        );
    }
    for body in ["null", " null\n"] {
        let answer = server.post(body);
        assert_eq!(answer.status, 400, "{body:?}");
        assert_eq!(
            answer.text(),
            r#"{"non_field_errors":["No data provided"]}"#,
            "{body:?}"
        );
    }
}

#[test]
fn no_body_at_all_is_an_empty_object() {
    let server = Server::demo();
    let expected =
        r#"{"username":["This field is required."],"password":["This field is required."]}"#;
    for (label, fields) in [
        ("no length", vec![JSON]),
        ("length 0", vec![JSON, ("Content-Length", "0")]),
    ] {
        let answer = server.send(request("POST", LOGIN, &fields, ""));
        assert_eq!(answer.status, 400, "{label}");
        assert_eq!(answer.text(), expected, "{label}");
    }
    assert_eq!(server.post("{}").text(), expected);
}

#[test]
fn a_duplicate_key_at_the_top_level_is_a_parse_error() {
    let server = Server::demo();
    let rows = [
        (
            "the username",
            r#"{"username":"a","username":"b","password":"c"}"#,
        ),
        (
            "the same username",
            r#"{"username":"a","username":"a","password":"c"}"#,
        ),
        (
            "the password",
            r#"{"username":"a","password":"b","password":"c"}"#,
        ),
        (
            "a key that is not read",
            r#"{"x":1,"username":"a","password":"b","x":1}"#,
        ),
        (
            "once escaped",
            r#"{"username":"a","\u0075sername":"b","password":"c"}"#,
        ),
        (
            "both escaped",
            r#"{"\u0075sername":"a","u\u0073ername":"b","password":"c"}"#,
        ),
        (
            "a pair of escapes",
            r#"{"😀":1,"\ud83d\ude00":2,"username":"a","password":"c"}"#,
        ),
        (
            "the empty key",
            r#"{"":1,"":2,"username":"a","password":"c"}"#,
        ),
    ];
    for (label, body) in rows {
        assert_parse_error(&server.post(body), label);
    }
    let rows = [
        ("further down", r#""x":{"username":1,"username":2}"#),
        ("in another letter case", r#""Username":"a""#),
        ("with a blank", r#""username ":"a""#),
    ];
    for (label, other) in rows {
        let body = format!(r#"{{{other},"username":"{JWEIR}","password":"{PASSWORD}"}}"#);
        assert_eq!(server.post(body).status, 200, "{label}");
    }
}

#[test]
fn a_lone_surrogate_matters_in_keys_username_and_password_only() {
    let server = Server::demo();
    for (label, surrogate) in [
        ("high", r"\ud800"),
        ("low", r"\udc00"),
        ("wrong order", r"\udc00\ud800"),
        ("high and a letter", r"\ud83dx"),
        ("high and another escape", r"\ud83d\u0041"),
        ("high and a newline", r"\ud83d\n"),
        ("high twice", r"\uD83D\uD83D\uDE00"),
    ] {
        for (place, body) in [
            (
                "username",
                format!(r#"{{"username":"{surrogate}","password":"b"}}"#),
            ),
            (
                "password",
                format!(r#"{{"username":"a","password":"x{surrogate}"}}"#),
            ),
            (
                "key",
                format!(r#"{{"username":"a","password":"b","{surrogate}":1}}"#),
            ),
        ] {
            assert_parse_error(&server.post(body), &format!("{label} in the {place}"));
        }
        for (place, other) in [
            ("a value", format!(r#""x":"{surrogate}""#)),
            ("a list", format!(r#""x":["{surrogate}"]"#)),
            ("a key further down", format!(r#""x":{{"{surrogate}":1}}"#)),
        ] {
            let body = format!(r#"{{{other},"username":"{JWEIR}","password":"{PASSWORD}"}}"#);
            let answer = server.post(body);
            assert_eq!(answer.status, 200, "{label} in {place}: {answer:?}");
        }
    }
}

#[test]
fn a_body_nests_up_to_127_levels() {
    let server = Server::demo();
    let lists = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let objects = |levels: usize| format!("{}1{}", r#"{"x":"#.repeat(levels), "}".repeat(levels));
    let login =
        |other: &str| format!(r#"{{"x":{other},"username":"{JWEIR}","password":"{PASSWORD}"}}"#);

    // The object itself is the first level.
    for (label, body) in [
        ("lists", login(&lists(126))),
        ("objects", login(&objects(126))),
        (
            "many side by side",
            login(&format!("[{}1]", format!("{},", lists(20)).repeat(100))),
        ),
        (
            "brackets in a string",
            login(&format!(r#""{}""#, "[{".repeat(500))),
        ),
        (
            "brackets behind an escaped quote",
            login(&format!(r#""\"{}""#, "[".repeat(500))),
        ),
    ] {
        let answer = server.post(body);
        assert_eq!(answer.status, 200, "{label}: {answer:?}");
    }
    let not_an_object = server.post(lists(127));
    assert!(
        not_an_object.text().contains("non_field_errors"),
        "{not_an_object:?}"
    );

    for (label, body) in [
        ("lists", login(&lists(127))),
        ("objects", login(&objects(127))),
        ("a list at the top", lists(128)),
        ("an object at the top", objects(128)),
        (
            "as the username",
            format!(r#"{{"username":{},"password":"b"}}"#, lists(127)),
        ),
        ("without an end", "[".repeat(LIMIT)),
        ("thousands", lists(LIMIT / 2)),
    ] {
        assert_parse_error(&server.post(body), label);
    }
}

#[test]
fn order_white_space_escapes_and_unknown_keys_do_not_matter() {
    let server = Server::demo();
    let escaped: String = JWEIR
        .chars()
        .map(|letter| format!("\\u{:04X}", u32::from(letter)))
        .collect();
    let rows = [
        (
            "the other order",
            format!(r#"{{"password":"{PASSWORD}","username":"{JWEIR}"}}"#),
        ),
        (
            "white space",
            format!("\r\n{{\t\"username\" : \"{JWEIR}\" ,\n\"password\"\r:\"{PASSWORD}\"\n}}\n"),
        ),
        (
            "escaped letters",
            format!(r#"{{"username":"{escaped}","password":"{PASSWORD}"}}"#),
        ),
        (
            "escaped keys",
            format!(r#"{{"\u0075sername":"{JWEIR}","passw\u006Frd":"{PASSWORD}"}}"#),
        ),
        (
            "unknown keys",
            format!(
                r#"{{"remember":[true,{{}},null,1.5e3],"username":"{JWEIR}","password":"{PASSWORD}","":0}}"#
            ),
        ),
    ];
    for (label, body) in rows {
        let answer = server.post(body);
        assert_eq!(answer.status, 200, "{label}: {answer:?}");
    }
}

#[test]
fn a_body_has_at_most_16_kib() {
    let server = Server::demo();
    let login = login_body(JWEIR, PASSWORD);
    let padded = |length: usize| login.clone() + &" ".repeat(length - login.len());
    assert_eq!(server.post(padded(LIMIT)).status, 200);
    for length in [LIMIT + 1, 4 * LIMIT] {
        let answer = server.post(padded(length));
        assert_eq!(answer.status, 413, "{length}");
        assert!(!answer.field("detail").is_empty());
        assert!(!answer.field("detail").starts_with("JSON parse error"));
    }
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}

/// A string, and one of its many spellings as JSON text.
fn spelled(text: String) -> impl Strategy<Value = (String, String)> {
    let length = text.chars().count();
    prop::collection::vec(any::<bool>(), length).prop_map(move |escaped| {
        let letters = text.chars().zip(escaped);
        let spelling: String = letters
            .map(|(letter, escaped)| spelled_letter(letter, escaped))
            .collect();
        (text.clone(), format!("\"{spelling}\""))
    })
}

fn spelled_letter(letter: char, escaped: bool) -> String {
    if escaped {
        let units = letter.encode_utf16(&mut [0; 2]).to_vec();
        return units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
    }
    let quoted = json!(letter).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[test]
fn the_password_that_arrives_is_the_one_that_was_sent() {
    // At most 18 characters, and so at most 72 bytes.
    let password = "[^\0]{1,18}".prop_flat_map(spelled);
    let mut runner = TestRunner::deterministic();
    let samples: Vec<(String, String)> = (0..64)
        .map(|_| password.new_tree(&mut runner).unwrap().current())
        .collect();
    let users = samples.iter().enumerate().map(|(number, (password, _))| {
        json!({"username": format!("user{number}"), "password": password})
    });
    let server = Place::new().serve_demo(&accounts::retailer(users), &[]);
    for (number, (password, spelling)) in samples.iter().enumerate() {
        let answer = server.post(format!(
            r#"{{"username":"user{number}","password":{spelling}}}"#
        ));
        assert_eq!(answer.status, 200, "{password:?} as {spelling}: {answer:?}");
    }
}

#[test]
fn no_body_is_answered_with_a_server_error() {
    let server = Server::demo();
    let fragments = prop::sample::select(vec![
        &b"{"[..],
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"\"",
        b"\\",
        b"\\u",
        b"d83d",
        b"\"username\"",
        b"\"password\"",
        b"null",
        b"-0",
        b"1e9",
        b" ",
        b"\n",
        b"\0",
        b"\xff",
        b"\xe2\x82\xac",
    ]);
    let body = prop_oneof![
        prop::collection::vec(any::<u8>(), 1..200),
        prop::collection::vec(fragments, 1..40).prop_map(|parts| parts.concat()),
    ];
    let config = ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(body in body)| {
        let answer = server.post(&body);
        prop_assert!([400, 401].contains(&answer.status), "{:?}", answer);
    });
}
