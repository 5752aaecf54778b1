//! `/openapi.json` of a demo: the description of the API with the parameters that steer it, the stub's own calls, and
//! the server's address.

use std::sync::OnceLock;

use serde_json::json;

use super::API;
use super::documented::OrderedJson;
use crate::endpoint::openapi;
use crate::http::{JSON, Reply};

/// The additions of the stub, which are merged into the description of the API.
const ADDED: &str = include_str!("openapi.json");

/// The additional parameters of each call of the API.
const STEERED: &str = r##"{"parameters":[
    {"$ref":"#/components/parameters/Prefer"},
    {"$ref":"#/components/parameters/Delay"},
    {"$ref":"#/components/parameters/Fault"}
]}"##;

/// The server that the description of the API names.
const SERVER: &str = r#"{"url":"/"}"#;

/// The description, which is assembled by the first request for it.
pub(super) struct Description {
    scheme: &'static str,
    /// The text before and after the server's address.
    parts: OnceLock<(String, String)>,
}

impl Description {
    /// The description of a demo with addresses of this scheme.
    pub(super) fn new(scheme: &'static str) -> Self {
        Self {
            scheme,
            parts: OnceLock::new(),
        }
    }

    /// Answers with the description. `host` is the client's `Host`, so that the address is right even if ports are
    /// mapped.
    pub(super) fn reply(&self, host: Option<&[u8]>) -> Reply {
        let (before, behind) = self.parts.get_or_init(parts);
        let server = host.filter(|host| !host.is_empty()).map(|host| {
            let host = String::from_utf8_lossy(host);
            json!({"url": format!("{}://{host}", self.scheme)}).to_string()
        });
        let server = server.as_deref().unwrap_or(SERVER);
        Reply::text(200, JSON, [before, server, behind].concat())
    }
}

fn parts() -> (String, String) {
    let all = serde_json::to_string(&described()).expect("it was read from JSON");
    let parts = all.split_once(SERVER);
    let (before, behind) = parts.expect("both are embedded, and a test asks for them");
    (before.to_owned(), behind.to_owned())
}

fn described() -> OrderedJson {
    let mut all = read(openapi::DESCRIPTION);
    if let Some(OrderedJson::Object(paths)) = all.get_mut("paths") {
        let calls = paths.iter_mut().filter(|(path, _)| path.starts_with(API));
        calls.for_each(|(_, call)| call.merge(read(STEERED)));
    }
    all.merge(read(ADDED));
    all
}

fn read(description: &str) -> OrderedJson {
    serde_json::from_str(description).expect("it is embedded, and a test reads it, too")
}

impl OrderedJson {
    fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match self {
            Self::Object(all) => all.get_mut(key),
            Self::Array(_) | Self::Other(_) => None,
        }
    }

    /// Merges `added` into this value: objects are merged key by key, lists are appended, other values are replaced.
    fn merge(&mut self, added: Self) {
        match (self, added) {
            (Self::Object(all), Self::Object(added)) => {
                for (key, value) in added {
                    match all.get_mut(&key) {
                        Some(own) => own.merge(value),
                        None => {
                            all.insert(key, value);
                        }
                    }
                }
            }
            (Self::Array(all), Self::Array(added)) => all.extend(added),
            (own, added) => *own = added,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::headers::{MAX_DELAY_MS, NO_FAULT};
    use super::*;
    use crate::gate::Fault;

    #[test]
    fn every_call_of_the_api_has_the_steering_parameters() {
        let described = serde_json::to_value(described()).unwrap();
        for (path, item) in described["paths"].as_object().unwrap() {
            let parameters = item["parameters"].as_array().into_iter().flatten();
            let steering = parameters.filter(|parameter| parameter.get("$ref").is_some());
            let expected = if path.starts_with(API) { 3 } else { 0 };
            assert_eq!(steering.count(), expected, "{path}");
        }
        let parameters = &described["components"]["parameters"];
        let faults = [&[NO_FAULT], Fault::NAMES].concat();
        assert_eq!(parameters["Fault"]["schema"]["enum"], json!(faults));
        assert_eq!(parameters["Delay"]["schema"]["maximum"], MAX_DELAY_MS);
        let order = &described["components"]["schemas"]["Order"]["properties"];
        assert_eq!(order["delay_ms"]["maximum"], MAX_DELAY_MS);
        let faults = Fault::NAMES.iter().copied().map(Some).chain([None]);
        assert_eq!(order["fault"]["enum"], json!(faults.collect::<Vec<_>>()));
    }

    #[test]
    fn every_call_of_the_stub_is_described_with_its_methods() {
        let described = serde_json::to_value(described()).unwrap();
        for (path, methods, ..) in super::super::CALLS {
            let Some(item) = described["paths"].get(path) else {
                assert_eq!(*path, "/", "the page is for people");
                continue;
            };
            for method in methods.iter().filter(|method| **method != "HEAD") {
                let method = method.to_ascii_lowercase();
                assert!(item.get(&method).is_some(), "{method} {path}");
            }
        }
    }
}
