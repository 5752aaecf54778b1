use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;

const TOKEN: &str = "a0f17278bed479ee719ea890b8caf0329e1f3e5b";
const FORM: &str = "application/x-www-form-urlencoded; charset=utf-8";

fn shown() -> Redaction {
    Redaction::of(&Accounts::demo().unwrap())
}

fn body(text: &str) -> Body {
    Body::from_bytes(Zeroizing::new(text.as_bytes().to_vec()))
}

fn content(text: &str, content_type: &str) -> String {
    shown().content(&Content::of(&body(text), content_type.as_bytes()))
}

#[test]
fn a_body_is_shown_with_its_names_and_the_username() {
    for (text, content_type, expected) in [
        ("", "", ""),
        (
            r#"{"username":"jweir","password":"s3cr\"et x"}"#,
            "application/json",
            r#"{"username":"jweir","password":"[redacted]"}"#,
        ),
        (
            r#"{ "p\u0061ssword" : ["s3cret"], "usern\u0061me" : "j\"w" }"#,
            "",
            r#"{"password":"[redacted]","username":"j\"w"}"#,
        ),
        (
            r#"{"username":null,"a":1}"#,
            "",
            r#"{"username":null,"a":"[redacted]"}"#,
        ),
        (
            r#"{"username":["s3cret"]}"#,
            "",
            r#"{"username":"[redacted]"}"#,
        ),
        (r#"{"s3cret word":1}"#, "", r#"{"[redacted]":"[redacted]"}"#),
        (
            r#"{"username":"thanosrocks"}"#,
            "",
            r#"{"username":"[redacted]"}"#,
        ),
        (r#"["s3cret"]"#, "", "[10 bytes]"),
        (r#"{"password":"s3cret"#, "", "[19 bytes]"),
        ("username=jweir&password=s3cret", "", "[30 bytes]"),
        (
            "username=j%20w+r&p%61ssword=s3cret&x&",
            FORM,
            "username=j w r&password=[redacted]&=[redacted]",
        ),
    ] {
        assert_eq!(content(text, content_type), expected, "{text}");
    }
}

#[test]
fn a_target_is_shown_with_its_words_and_known_parameters() {
    let token = format!("/api/{TOKEN}/");
    for (target, expected) in [
        ("/api/somebody-else/", "/api/somebody-else/"),
        ("*", "*"),
        ("/api/thanosrocks/", "/api/[redacted]/"),
        (&*token, "/api/[redacted]/"),
        ("/api/s3cret%20word/", "/api/[redacted]/"),
        (
            "/api/users/3a7acb28-ab13-437e-8c35-46cf4f0bea49/",
            "/api/users/3a7acb28-ab13-437e-8c35-46cf4f0bea49/",
        ),
        (
            "/api/?page=1000&username=&a=b&password=s3cret&s3cret&c2VjcmV0==&&=s3cret",
            "/api/?page=1000&username=&a=b&password=[redacted]&[redacted]&[redacted]&&=[redacted]",
        ),
        (
            "/api/?username=jweir&username=%74hanosrocks",
            "/api/?username=jweir&username=[redacted]",
        ),
    ] {
        assert_eq!(shown().target(target), expected, "{target}");
    }
}

#[test]
fn header_fields_are_shown_with_their_names_and_known_values() {
    for (name, value, expected) in [
        ("Authorization", "Token abc", "Token [redacted]"),
        ("authorization", "abc", "[redacted]"),
        ("Authorization", "abc def", "[redacted]"),
        ("Authorization", " token ", "token"),
        ("Authorization", "", ""),
        ("Proxy-Authorization", "Basic abc", "Basic [redacted]"),
        ("Cookie", "a=s3cret", "[redacted]"),
        ("X-Auth-Token", "s3cret", "[redacted]"),
        ("X-Note", "s3cret", "[redacted]"),
        ("X-Note", "One", "One"),
        ("User-Agent", "curl/8", "curl/8"),
        ("User-Agent", "thanosrocks/8", "[redacted]"),
        ("X-Request-Id", TOKEN, "[redacted]"),
        ("content-type", "application/json", "application/json"),
        ("Sec-Fetch-Mode", "cors", "cors"),
    ] {
        let (shown_name, shown_value) = shown().field(name, value);
        assert_eq!(
            (&*shown_name, &*shown_value),
            (name, expected),
            "{name}: {value}"
        );
    }
    let fields = [("A", &b"b"[..]), ("a", b"c"), ("A", b"d"), (TOKEN, b"e")];
    let headers = shown().fields(fields.into_iter());
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(headers, ["A=b, d", "[redacted]=e", "a=c"]);
}

#[test]
fn an_answer_is_shown_with_its_known_values() {
    for (text, expected) in [
        (
            r#"{"detail":"Not {found}."}"#,
            r#"{"detail":"Not {found}."}"#,
        ),
        (
            r#"{"auth_token":"abc","org_uuid":"d"}"#,
            r#"{"auth_token":"[redacted]","org_uuid":"d"}"#,
        ),
        (
            r#"{"username":["May not be blank."]}"#,
            r#"{"username":["May not be blank."]}"#,
        ),
        (r#"{"detail":{"a":"s3cret"}}"#, r#"{"detail":"[redacted]"}"#),
        (r#"[{"uuid":"a"}]"#, "[14 bytes]"),
        ("s3cret", "[6 bytes]"),
    ] {
        assert_eq!(shown().answer(&body(text)), expected, "{text}");
    }
    assert_eq!(
        [Redaction::method("BREW"), Redaction::method("s3cret")],
        ["BREW", REDACTED]
    );
}

/// Everything that is shown of requests with this secret, in each position that is not listed.
fn shown_with(secret: &str) -> Vec<String> {
    let json = serde_json::Value::from(secret).to_string();
    let encoded: String = secret.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let bodies = [
        format!(r#"{{"username":"jweir","password":{json}}}"#),
        format!(r#"{{"a":{{"username":{json},{json}:{json}}},"b":[{json}]}}"#),
        format!(r#"{{"username":"jweir","password":{json}"#),
        format!("[{json}]"),
        json,
        format!("username=jweir&password={encoded}&{secret}"),
        format!("<password>{secret}</password>"),
        format!("jweir:{secret}"),
    ];
    let fields = [
        ("Authorization", format!("Token {secret}")),
        ("Authorization", secret.to_owned()),
        ("Authorization", format!("{secret} {secret}")),
        ("Cookie", format!("session={secret}")),
        ("Referer", format!("http://localhost/?token={secret}")),
        ("X-Api-Key", secret.to_owned()),
    ];
    let targets = [
        format!("/api/?password={secret}"),
        format!("/api/?{secret}"),
        format!("/api/?a={encoded}&page=1"),
        format!("/api/{encoded}/"),
    ];
    let bodies = bodies.iter().flat_map(|text| {
        let other = content(text, "text/plain");
        let answer = shown().answer(&body(text));
        [other, content(text, FORM), answer]
    });
    let fields = fields
        .iter()
        .map(|(name, value)| shown().field(name, value).1);
    let targets = targets.iter().map(|target| shown().target(target));
    bodies.chain(fields).chain(targets).collect()
}

proptest! {
    #[test]
    fn a_secret_in_a_place_that_is_not_listed_is_never_shown(secret in "[!-%'-<>-~]{4,60}") {
        // Text that is always shown.
        let harmless = shown_with("?").concat();
        prop_assume!(!harmless.contains(&secret));
        for text in shown_with(&secret) {
            prop_assert!(!text.contains(&secret), "{}", text);
        }
    }

    #[test]
    fn a_token_or_password_of_the_fixture_is_shown_nowhere(before in "[a-z ]{0,9}", after in "[a-z ]{0,9}") {
        for secret in [TOKEN, "thanosrocks"] {
            let text = format!("{before}{secret}{after}");
            let json = serde_json::json!({ "username": text, "detail": text, text.clone(): 1 }).to_string();
            for shown in [
                content(&json, ""),
                content(&format!("username={text}&{text}=1"), FORM),
                shown().answer(&body(&json)),
                shown().target(&format!("/{text}/?username={text}&{text}={text}")),
                shown().field("User-Agent", &text).1,
                shown().field(&text, "1").0,
            ] {
                prop_assert!(!shown.contains(secret), "{}", shown);
            }
        }
    }

    #[test]
    fn no_text_causes_a_panic(text: String) {
        for content_type in ["", FORM] {
            content(&text, content_type);
        }
        shown().target(&text);
        shown().field(&text, &text);
        shown().answer(&body(&text));
    }
}
