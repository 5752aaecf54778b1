//! The documented answers: what `openapi.json` gives as the first example of each.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::endpoint::openapi;
use crate::http::Reply;

/// Seconds that a forced 429 or 503 asks to wait.
const RETRY_AFTER: &str = "1";

/// Every answer of every call.
#[derive(Deserialize)]
pub(super) struct Documented {
    /// By the path with a name in place of what varies.
    paths: BTreeMap<String, Operations>,
}

#[derive(Deserialize)]
struct Operations {
    get: Option<Operation>,
    post: Option<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    responses: BTreeMap<u16, Answer>,
}

#[derive(Deserialize)]
struct Answer {
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
    value: Body,
}

/// JSON whose keys keep their order.
#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Body {
    Object(IndexMap<String, Body>),
    Array(Vec<Body>),
    Other(Value),
}

impl Documented {
    /// Reads the embedded description.
    pub(super) fn read() -> Self {
        serde_json::from_str(openapi::DESCRIPTION)
            .expect("the embedded description is what these types say, which a test reads too")
    }

    /// Whether a path, with a name in place of what varies, is that of a call.
    pub(super) fn has(&self, path: &str) -> bool {
        self.paths.contains_key(path)
    }

    /// The codes that a call has.
    pub(super) fn codes(&self, path: &str) -> BTreeSet<u16> {
        let operations = self.paths.get(path).into_iter();
        let operations = operations.flat_map(|of_path| [&of_path.get, &of_path.post]);
        let answers = operations
            .flatten()
            .flat_map(|operation| &operation.responses);
        answers.map(|(code, _)| *code).collect()
    }

    /// The codes that any call of the API has.
    pub(super) fn all_codes(&self) -> BTreeSet<u16> {
        let paths = self
            .paths
            .keys()
            .filter(|path| path.starts_with(super::API));
        paths.flat_map(|path| self.codes(path)).collect()
    }

    /// The documented answer of a call; HEAD has that of GET.
    pub(super) fn answer(&self, path: &str, method: &str, code: u16, allow: &str) -> Option<Reply> {
        let operations = self.paths.get(path)?;
        let operation = match method {
            "GET" | "HEAD" => &operations.get,
            _ => &operations.post,
        };
        let answer = operation.as_ref()?.responses.get(&code)?;
        let body = answer.body();
        let reply = match body {
            Some(body) => Reply::json(code, body),
            None => Reply::no_content(),
        };
        let headers = answer.headers.keys();
        let reply = headers
            .filter_map(|name| header(name, allow, body))
            .fold(reply, |reply, (name, value)| reply.with(name, value));
        Some(reply.with("Preference-Applied", format!("code={code}")))
    }
}

impl Answer {
    /// The first example, if there is a body.
    fn body(&self) -> Option<&Body> {
        let (_, media) = self.content.first()?;
        let (_, example) = media.examples.first()?;
        Some(&example.value)
    }
}

/// A header that a documented answer has, with its value.
fn header(name: &str, allow: &str, body: Option<&Body>) -> Option<(&'static str, String)> {
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
    fn the_first_example_is_the_answer() {
        let documented = Documented::read();
        let login = documented.paths[user_login::PATH].post.as_ref().unwrap();
        let expected =
            r#"{"username":["This field is required."],"password":["This field is required."]}"#;
        let body = login.responses[&400].body().unwrap();
        assert_eq!(serde_json::to_string(body).unwrap(), expected);
        assert_eq!(
            documented.codes(user_login::PATH),
            BTreeSet::from([200, 400, 401, 403, 404, 405, 413, 415, 429, 500, 503])
        );
        for (path, operations) in &documented.paths {
            let operations = [&operations.get, &operations.post].into_iter().flatten();
            for (code, answer) in operations.flat_map(|operation| &operation.responses) {
                assert_eq!(answer.body().is_none(), *code == 204, "{path} {code}");
                for name in answer.headers.keys() {
                    let header = header(name, "GET", answer.body());
                    assert!(header.is_some(), "{path} {code} {name}");
                }
            }
        }
    }
}
