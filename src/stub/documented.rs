//! The documented answers: what `openapi.json` gives as the first example of each.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::endpoint::openapi;
use crate::http::{JSON, Reply};

/// Seconds that a forced 429 or 503 asks to wait.
const RETRY_AFTER: &str = "1";

/// Every answer of every call, by the path with a name in place of what varies.
pub(super) struct Documented(BTreeMap<String, Operations>);

struct Operations {
    /// By method, in lower case.
    answers: BTreeMap<&'static str, BTreeMap<u16, Example>>,
    /// Those of all methods.
    codes: Vec<u16>,
}

struct Example {
    headers: Vec<String>,
    /// Compact JSON; `None` where there is no body.
    body: Option<Vec<u8>>,
}

#[derive(Deserialize)]
struct Description<'d> {
    #[serde(borrow)]
    paths: BTreeMap<String, Item<'d>>,
}

#[derive(Deserialize)]
struct Item<'d> {
    #[serde(borrow)]
    get: Option<Operation<'d>>,
    #[serde(borrow)]
    post: Option<Operation<'d>>,
}

#[derive(Deserialize)]
struct Operation<'d> {
    #[serde(borrow)]
    responses: BTreeMap<String, Response<'d>>,
}

#[derive(Deserialize)]
struct Response<'d> {
    #[serde(default)]
    headers: BTreeMap<String, IgnoredAny>,
    #[serde(borrow)]
    content: Option<First<'d, Media<'d>>>,
}

#[derive(Deserialize)]
struct Media<'d> {
    #[serde(borrow)]
    examples: First<'d, Given<'d>>,
}

#[derive(Deserialize)]
struct Given<'d> {
    #[serde(borrow)]
    value: &'d RawValue,
}

/// The first value of an object; which one that is no map could tell.
struct First<'d, T>(Option<T>, PhantomData<&'d ()>);

impl<'de: 'd, 'd, T: Deserialize<'de>> Deserialize<'de> for First<'d, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FirstVisitor(PhantomData))
    }
}

struct FirstVisitor<'d, T>(PhantomData<(&'d (), T)>);

impl<'de: 'd, 'd, T: Deserialize<'de>> Visitor<'de> for FirstVisitor<'d, T> {
    type Value = First<'d, T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let first = map.next_entry::<IgnoredAny, T>()?.map(|(_, value)| value);
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(First(first, PhantomData))
    }
}

impl Documented {
    /// Reads the embedded description.
    pub(super) fn read() -> Self {
        let description: Description<'_> = serde_json::from_str(openapi::DESCRIPTION)
            .expect("the embedded description is what these types say, which a test reads too");
        let operations = |item: Item<'_>| {
            let answers: BTreeMap<_, _> = [("get", item.get), ("post", item.post)]
                .into_iter()
                .filter_map(|(method, operation)| Some((method, answers(operation?))))
                .collect();
            let codes = answers.values().flat_map(BTreeMap::keys).copied();
            let codes = sorted(codes);
            Operations { answers, codes }
        };
        Self(
            description
                .paths
                .into_iter()
                .map(|(path, item)| (path, operations(item)))
                .collect(),
        )
    }

    /// Whether a path, with a name in place of what varies, is that of a call.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// The codes that a call has.
    pub(super) fn codes(&self, path: &str) -> &[u16] {
        self.0.get(path).map_or(&[], |operations| &operations.codes)
    }

    /// The codes that any call of the API has.
    pub(super) fn all_codes(&self) -> Vec<u16> {
        let paths = self.0.keys().filter(|path| path.starts_with(super::API));
        sorted(paths.flat_map(|path| self.codes(path)).copied())
    }

    /// The documented answer of a call; HEAD has that of GET.
    pub(super) fn answer(&self, path: &str, method: &str, code: u16, allow: &str) -> Option<Reply> {
        let method = match method {
            "GET" | "HEAD" => "get",
            _ => "post",
        };
        let example = self.0.get(path)?.answers.get(method)?.get(&code)?;
        let reply = match &example.body {
            Some(body) => Reply::text(code, JSON, body.clone()),
            None => Reply::no_content(),
        };
        let reply = example
            .headers
            .iter()
            .filter_map(|name| header(name, allow, example.body.as_deref()))
            .fold(reply, |reply, (name, value)| reply.with(name, value));
        Some(reply.with("Preference-Applied", format!("code={code}")))
    }
}

fn sorted(codes: impl Iterator<Item = u16>) -> Vec<u16> {
    let mut codes: Vec<u16> = codes.collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

fn answers(operation: Operation<'_>) -> BTreeMap<u16, Example> {
    let answers = operation.responses.into_iter();
    answers
        .filter_map(|(code, response)| {
            let media = response.content.and_then(|content| content.0);
            let given = media.and_then(|media| media.examples.0);
            let example = Example {
                headers: response.headers.into_keys().collect(),
                body: given.map(|given| compact(given.value.get())),
            };
            Some((code.parse().ok()?, example))
        })
        .collect()
}

/// A header that a documented answer has, with its value.
fn header(name: &str, allow: &str, body: Option<&[u8]>) -> Option<(&'static str, String)> {
    let told = |key: &str| {
        let body: serde_json::Value = serde_json::from_slice(body?).ok()?;
        Some(body.get(key)?.as_str()?.to_owned())
    };
    Some(match name {
        "WWW-Authenticate" => ("WWW-Authenticate", "Token".to_owned()),
        "Retry-After" => ("Retry-After", RETRY_AFTER.to_owned()),
        "Allow" => ("Allow", allow.to_owned()),
        "X-Auth-User" => ("X-Auth-User", told("user_uuid")?),
        "X-Auth-Org" => ("X-Auth-Org", told("org_uuid")?),
        "X-Auth-Org-Type" => ("X-Auth-Org-Type", told("org_type")?),
        _ => return None,
    })
}

/// The same JSON without blanks between its parts, keys in their order.
fn compact(json: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let (mut in_string, mut escaped) = (false, false);
    for byte in json.bytes() {
        if in_string || !byte.is_ascii_whitespace() {
            out.push(byte);
        }
        in_string = match byte {
            b'"' if !escaped => !in_string,
            _ => in_string,
        };
        escaped = in_string && byte == b'\\' && !escaped;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::user_login;

    #[test]
    fn the_first_example_is_the_answer() {
        let documented = Documented::read();
        let login = documented.0[user_login::PATH].answers["post"][&400]
            .body
            .clone();
        let expected =
            br#"{"username":["This field is required."],"password":["This field is required."]}"#;
        assert_eq!(login.unwrap(), expected);
        assert_eq!(
            documented.codes(user_login::PATH),
            [200, 400, 401, 403, 404, 405, 413, 415, 429, 500, 503]
        );
        for (path, operations) in &documented.0 {
            for (code, example) in operations.answers.values().flatten() {
                assert_eq!(example.body.is_none(), *code == 204, "{path} {code}");
                for name in &example.headers {
                    let header = header(name, "GET", example.body.as_deref());
                    assert!(header.is_some(), "{path} {code} {name}");
                }
            }
        }
    }

    #[test]
    fn blanks_go_but_not_those_of_a_text() {
        let json = "{ \"a b\" : [ 1 ,\n \"c \\\" d\\\\\" ] }";
        assert_eq!(compact(json), br#"{"a b":[1,"c \" d\\"]}"#);
    }
}
