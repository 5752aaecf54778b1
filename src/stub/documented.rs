//! The documented answers of each call: the examples in `openapi.json`.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::endpoint::openapi;
use crate::http::Reply;

/// The `Retry-After` of a forced 429 or 503, in seconds.
const RETRY_AFTER: &str = "1";

/// All documented answers of all calls.
#[derive(Deserialize)]
pub(super) struct Documented {
    /// By path template, such as `/api/organizations/users/detail/{user_uuid}/`.
    paths: BTreeMap<String, Operations>,
}

#[derive(Deserialize)]
struct Operations {
    get: Option<Operation>,
    post: Option<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    responses: BTreeMap<u16, DocumentedAnswer>,
}

#[derive(Deserialize)]
struct DocumentedAnswer {
    #[serde(default)]
    headers: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    content: IndexMap<String, Media>,
}

#[derive(Deserialize)]
struct Media {
    examples: IndexMap<String, Example>,
}

#[derive(Deserialize)]
struct Example {
    value: OrderedJson,
}

/// JSON whose keys keep their order.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum OrderedJson {
    Object(IndexMap<String, OrderedJson>),
    Array(Vec<OrderedJson>),
    Other(Value),
}

impl Documented {
    /// Reads the embedded description.
    pub(super) fn read() -> Self {
        serde_json::from_str(openapi::DESCRIPTION)
            .expect("the embedded description matches these types, and a test reads it")
    }

    /// Whether a call has this path template.
    pub(super) fn has(&self, path: &str) -> bool {
        self.paths.contains_key(path)
    }

    /// The documented codes of a call.
    pub(super) fn codes(&self, path: &str) -> BTreeSet<u16> {
        self.answers(path).map(|(code, _)| *code).collect()
    }

    /// The documented codes of all calls of the API.
    pub(super) fn all_codes(&self) -> BTreeSet<u16> {
        self.api_paths().flat_map(|path| self.codes(path)).collect()
    }

    /// The names of a call's examples with their codes; only those of `code`, if it is given.
    pub(super) fn examples(
        &self,
        path: &str,
        code: Option<u16>,
    ) -> impl Iterator<Item = (u16, &str)> {
        let answers = self.answers(path);
        let answers = answers.filter(move |(of, _)| code.is_none_or(|code| **of == code));
        answers.flat_map(|(code, answer)| answer.examples().map(|(name, _)| (*code, name.as_str())))
    }

    /// The lowest code for which a call has an example of this name. If `code` is given, only that code is considered.
    pub(super) fn code_with(&self, path: &str, code: Option<u16>, example: &str) -> Option<u16> {
        let mut examples = self.examples(path, code);
        let (code, _) = examples.find(|(_, name)| *name == example)?;
        Some(code)
    }

    /// The names of the examples of all calls of the API, with their codes.
    pub(super) fn all_examples(&self, code: Option<u16>) -> impl Iterator<Item = (u16, &str)> {
        self.api_paths()
            .flat_map(move |path| self.examples(path, code))
    }

    fn api_paths(&self) -> impl Iterator<Item = &str> {
        let paths = self.paths.keys().map(String::as_str);
        paths.filter(|path| path.starts_with(super::API))
    }

    fn answers(&self, path: &str) -> impl Iterator<Item = (&u16, &DocumentedAnswer)> {
        let operations = self.paths.get(path).into_iter();
        let operations = operations.flat_map(|of_path| [&of_path.get, &of_path.post]);
        operations
            .flatten()
            .flat_map(|operation| &operation.responses)
    }

    /// The documented answer of a call: the named example, or the first one. HEAD has the answers of GET.
    pub(super) fn answer(
        &self,
        path: &str,
        method: &str,
        code: u16,
        example: Option<&str>,
        allow: &str,
    ) -> Option<Reply> {
        let operations = self.paths.get(path)?;
        let operation = match method {
            "GET" | "HEAD" => &operations.get,
            _ => &operations.post,
        };
        let answer = operation.as_ref()?.responses.get(&code)?;
        let body = answer.body(example);
        let reply = match body {
            Some(body) => Reply::json(code, body),
            None => Reply::no_content(),
        };
        let headers = answer.headers.keys();
        let headers = headers.filter_map(|name| header(name, allow, body));
        Some(headers.fold(reply, |reply, (name, value)| reply.with(name, value)))
    }
}

impl DocumentedAnswer {
    fn examples(&self) -> impl Iterator<Item = (&String, &Example)> {
        let media = self.content.values().next();
        media.into_iter().flat_map(|media| &media.examples)
    }

    /// The body of the named example, or of the first one; `None` if the answer has no body.
    fn body(&self, example: Option<&str>) -> Option<&OrderedJson> {
        let mut examples = self.examples();
        let is_wanted = |name: &str| example.is_none_or(|wanted| wanted == name);
        let (_, example) = examples.find(|(name, _)| is_wanted(name))?;
        Some(&example.value)
    }
}

/// The value of a header that a documented answer has.
fn header(name: &str, allow: &str, body: Option<&OrderedJson>) -> Option<(&'static str, String)> {
    let text = |key: &str| {
        let body = serde_json::to_value(body?).ok()?;
        Some(body[key].as_str()?.to_owned())
    };
    Some(match name {
        "WWW-Authenticate" => ("WWW-Authenticate", "Token".to_owned()),
        "Retry-After" => ("Retry-After", RETRY_AFTER.to_owned()),
        "Allow" => ("Allow", allow.to_owned()),
        "X-Auth-User" => ("X-Auth-User", text("user_uuid")?),
        "X-Auth-Org" => ("X-Auth-Org", text("org_uuid")?),
        "X-Auth-Org-Type" => ("X-Auth-Org-Type", text("org_type")?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::user_login;

    #[test]
    fn the_first_example_is_the_default_answer() {
        let documented = Documented::read();
        let login = documented.paths[user_login::PATH].post.as_ref().unwrap();
        let expected =
            r#"{"username":["This field is required."],"password":["This field is required."]}"#;
        let body = login.responses[&400].body(None).unwrap();
        assert_eq!(serde_json::to_string(body).unwrap(), expected);
        assert_eq!(
            documented.codes(user_login::PATH),
            BTreeSet::from([200, 400, 401, 403, 404, 405, 413, 415, 429, 500, 503])
        );
        for (path, operations) in &documented.paths {
            let operations = [&operations.get, &operations.post].into_iter().flatten();
            for (code, answer) in operations.flat_map(|operation| &operation.responses) {
                assert_eq!(answer.body(None).is_none(), *code == 204, "{path} {code}");
                for name in answer.headers.keys() {
                    let header = header(name, "GET", answer.body(None));
                    assert!(header.is_some(), "{path} {code} {name}");
                }
            }
        }
    }
}
