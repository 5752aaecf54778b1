//! Holds every answer that a test receives against the description of the API: its status, its body, its headers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use jsonschema::Validator;
use serde_json::{Value, json};
use thanos_login::endpoint::openapi::DESCRIPTION;

use super::Answer;
use super::asked::Asked;

/// A path as it is described, a method in lower case, a status.
pub type Key = (String, String, u16);

const LOGIN: (&str, &str) = (super::LOGIN, "post");

/// Refusals of messages that no call was looked at for, which can come at any path, or instead of one.
const OF_THE_TRANSPORT: &[u16] = &[400, 408, 413, 417, 421, 431, 500, 501, 503, 505];

/// What any answer may carry without being described.
const COMMON: &[&str] = &[
    "date",
    "content-type",
    "content-length",
    "cache-control",
    "x-content-type-options",
    "connection",
];

/// What a stub adds for pages of the web and for those who force an answer.
const OF_THE_STUB: &[&str] = &["access-control-", "vary", "preference-applied"];

struct Described {
    /// By media type; none: the answer has no body.
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

static ANSWERS: OnceLock<BTreeMap<Key, Described>> = OnceLock::new();

fn answers() -> &'static BTreeMap<Key, Described> {
    ANSWERS.get_or_init(|| read(&serde_json::from_str(DESCRIPTION).unwrap()))
}

/// Every answer that is described.
pub fn keys() -> BTreeSet<Key> {
    answers().keys().cloned().collect()
}

/// The described answer that this one is: one to an unknown path or method is the login's. `None` is a refusal of the
/// message itself.
#[track_caller]
pub fn key(asked: &Asked, answer: &Answer) -> Option<Key> {
    let method = match asked.method.as_str() {
        "HEAD" => "get".to_owned(),
        method => method.to_ascii_lowercase(),
    };
    let of = |(path, method): (&str, &str)| (path.to_owned(), method.to_owned(), answer.status);
    let exact = answers()
        .keys()
        .map(|(path, method, _)| (path.as_str(), method.as_str()))
        .find(|(path, known)| *known == method && is_like(path, &asked.path));
    if let Some(key) = exact.map(of)
        && answers().contains_key(&key)
    {
        return Some(key);
    }
    if matches!(answer.status, 404 | 405) {
        return Some(of(LOGIN));
    }
    assert!(
        OF_THE_TRANSPORT.contains(&answer.status),
        "not described for {} {}: {answer:?}",
        asked.method,
        asked.path
    );
    None
}

/// Fails the test when an answer is not as described. `asked` is `None` when what was sent was no request.
#[track_caller]
pub fn check(asked: Option<&Asked>, answer: &Answer) {
    if asked.is_some_and(is_the_stubs) {
        return;
    }
    let is_to_head = asked.is_some_and(|asked| asked.method == "HEAD");
    let Some(key) = asked.and_then(|asked| key(asked, answer)) else {
        assert!(
            OF_THE_TRANSPORT.contains(&answer.status),
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
        let is_stubs = OF_THE_STUB.iter().any(|start| name.starts_with(start));
        assert!(
            is_described || is_stubs || COMMON.contains(&name.as_str()),
            "{name} is not described: {key:?}: {answer:?}"
        );
    }
}

/// The stub's own calls are not described, nor are the questions of browsers that it answers.
fn is_the_stubs(asked: &Asked) -> bool {
    asked.path == "/" || asked.path.starts_with("/__stub/") || asked.method == "OPTIONS"
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

/// Whether a path is one that a description such as `/a/{b}/` stands for.
fn is_like(described: &str, path: &str) -> bool {
    let (described, path) = (described.split('/'), path.split('/'));
    described.clone().count() == path.clone().count()
        && described
            .zip(path)
            .all(|(part, given)| part == given || (part.starts_with('{') && !given.is_empty()))
}

fn read(document: &Value) -> BTreeMap<Key, Described> {
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
                let described = Described {
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

/// Fails when an answer that has a body has no example, or one that is not as the schema says.
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
