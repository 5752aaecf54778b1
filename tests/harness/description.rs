//! Checks every answer that a test receives against the OpenAPI description: its status, its body, its headers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};
use thanos_login::endpoint::openapi::DESCRIPTION;

use super::Answer;
use super::sent_request::SentRequest;

/// The path template of the description, the method in lower case, and the status.
pub type Key = (String, String, u16);

const LOGIN: (&str, &str) = (super::LOGIN, "post");

/// The statuses of transport errors, which come before any call is looked up: at any path, or without one.
const TRANSPORT_ERRORS: &[u16] = &[400, 408, 413, 417, 421, 431, 500, 501, 503, 505];

/// Header fields that any answer may have without being described.
const COMMON_HEADERS: &[&str] = &[
    "date",
    "content-type",
    "content-length",
    "cache-control",
    "x-content-type-options",
    "connection",
];

/// Prefixes of the header fields that a stub adds for web pages and to forced answers.
const STUB_HEADERS: &[&str] = &["access-control-", "vary", "preference-applied"];

/// One answer of the description.
struct DescribedAnswer {
    /// The media type and schema of the body; `None` for an answer without a body.
    content: Option<(String, Validator)>,
    headers: Vec<DescribedHeader>,
    examples: Vec<Value>,
}

struct DescribedHeader {
    name: String,
    is_required: bool,
    is_number: bool,
    schema: Validator,
}

static ANSWERS: OnceLock<BTreeMap<Key, DescribedAnswer>> = OnceLock::new();

fn answers() -> &'static BTreeMap<Key, DescribedAnswer> {
    ANSWERS.get_or_init(|| read(&serde_json::from_str(DESCRIPTION).unwrap()))
}

/// The keys of all described answers.
pub fn keys() -> BTreeSet<Key> {
    answers().keys().cloned().collect()
}

/// The key of the described answer that this one matches. A 404 or 405 for an unknown path or method counts as the login
/// call's. `None` for a transport error.
#[track_caller]
pub fn key(sent_request: &SentRequest, answer: &Answer) -> Option<Key> {
    let method = match sent_request.method.as_str() {
        "HEAD" => "get".to_owned(),
        method => method.to_ascii_lowercase(),
    };
    let of = |(path, method): (&str, &str)| (path.to_owned(), method.to_owned(), answer.status);
    let exact = answers()
        .keys()
        .map(|(path, method, _)| (path.as_str(), method.as_str()))
        .find(|(path, known)| *known == method && matches_template(path, &sent_request.path));
    if let Some(key) = exact.map(of)
        && answers().contains_key(&key)
    {
        return Some(key);
    }
    if matches!(answer.status, 404 | 405) {
        return Some(of(LOGIN));
    }
    assert!(
        TRANSPORT_ERRORS.contains(&answer.status),
        "not described for {} {}: {answer:?}",
        sent_request.method,
        sent_request.path
    );
    None
}

/// Fails the test when an answer does not match the description. `sent_request` is `None` when the bytes that were sent
/// were not a request.
#[track_caller]
pub fn check(sent_request: Option<&SentRequest>, answer: &Answer) {
    if sent_request.is_some_and(is_stub_request) {
        return;
    }
    let is_to_head = sent_request.is_some_and(|sent_request| sent_request.method == "HEAD");
    let Some(key) = sent_request.and_then(|sent_request| key(sent_request, answer)) else {
        assert!(
            TRANSPORT_ERRORS.contains(&answer.status),
            "not a refusal: {answer:?}"
        );
        if !is_to_head {
            answer.field("detail");
        }
        return;
    };
    let described = &answers()[&key];
    match &described.content {
        None => assert_eq!(answer.body, b"", "{key:?}: {answer:?}"),
        Some(_) if is_to_head => assert_eq!(answer.body, b"", "{key:?}: {answer:?}"),
        Some((media_type, schema)) => {
            let sent = answer.header("content-type");
            assert_eq!(sent, Some(media_type.as_str()), "{key:?}: {answer:?}");
            let body = match media_type.as_str() {
                "application/json" => answer.json(),
                _ => answer.text().into(),
            };
            assert_valid(schema, &body, &key);
        }
    }
    for header in &described.headers {
        header.check(answer, &key);
    }
    for (name, _) in &answer.headers {
        let name = name.to_ascii_lowercase();
        let is_described = described.headers.iter().any(|header| header.name == name);
        let is_stubs = STUB_HEADERS.iter().any(|start| name.starts_with(start));
        assert!(
            is_described || is_stubs || COMMON_HEADERS.contains(&name.as_str()),
            "{name} is not described: {key:?}: {answer:?}"
        );
    }
}

/// Whether a request is for the stub's own calls or a preflight of a browser, which are not described.
fn is_stub_request(sent_request: &SentRequest) -> bool {
    sent_request.path == "/"
        || sent_request.path.starts_with("/__stub/")
        || sent_request.method == "OPTIONS"
}

impl DescribedHeader {
    #[track_caller]
    fn check(&self, answer: &Answer, key: &Key) {
        match answer.header(&self.name) {
            None => assert!(!self.is_required, "no {}: {key:?}: {answer:?}", self.name),
            Some(value) => {
                let value = if self.is_number {
                    json!(value.parse::<i64>().unwrap())
                } else {
                    json!(value)
                };
                assert_valid(&self.schema, &value, key);
            }
        }
    }
}

#[track_caller]
fn assert_valid(schema: &Validator, value: &Value, key: &Key) {
    let errors: Vec<String> = schema.iter_errors(value).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{key:?}: {errors:?} in {value}");
}

/// Whether a path matches a path template such as `/a/{b}/`.
fn matches_template(described: &str, path: &str) -> bool {
    let (described, path) = (described.split('/'), path.split('/'));
    described.clone().count() == path.clone().count()
        && described
            .zip(path)
            .all(|(part, given)| part == given || (part.starts_with('{') && !given.is_empty()))
}

fn read(document: &Value) -> BTreeMap<Key, DescribedAnswer> {
    let schema = |schema: &Value| {
        let whole = json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [schema],
            "components": document["components"],
        });
        jsonschema::options()
            .should_validate_formats(true)
            .build(&whole)
            .unwrap()
    };
    let mut answers = BTreeMap::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let operations = operations.as_object().unwrap().iter();
        for (method, operation) in operations.filter(|(method, _)| *method != "parameters") {
            for (status, answer) in operation["responses"].as_object().unwrap() {
                let answer = match answer["$ref"].as_str() {
                    Some(part) => document.pointer(&part[1..]).unwrap(),
                    None => answer,
                };
                let key = (path.clone(), method.clone(), status.parse().unwrap());
                let content = answer["content"].as_object();
                let content = content.map(|content| content.iter().next().unwrap());
                let examples = content.and_then(|(_, content)| content["examples"].as_object());
                let headers = answer["headers"].as_object().into_iter().flatten();
                let described = DescribedAnswer {
                    content: content.map(|(media_type, content)| {
                        (media_type.clone(), schema(&content["schema"]))
                    }),
                    headers: headers
                        .map(|(name, header)| DescribedHeader {
                            name: name.to_ascii_lowercase(),
                            is_required: header["required"] == true,
                            is_number: header["schema"]["type"] == "integer",
                            schema: schema(&header["schema"]),
                        })
                        .collect(),
                    examples: examples
                        .into_iter()
                        .flat_map(|examples| examples.values())
                        .map(|example| example["value"].clone())
                        .collect(),
                };
                answers.insert(key, described);
            }
        }
    }
    answers
}

/// Fails the test when a described answer with a body has no example, or an example that does not match its schema.
#[track_caller]
pub fn check_examples(document: &Value) {
    for (key, described) in &read(document) {
        if let Some((_, schema)) = &described.content {
            assert!(!described.examples.is_empty(), "{key:?} has no example");
            for example in &described.examples {
                assert_valid(schema, example, key);
            }
        }
    }
}
