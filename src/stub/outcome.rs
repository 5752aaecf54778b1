//! Every status and text of what the stub refuses by itself.

use std::collections::BTreeSet;

use indexmap::IndexSet;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::accounts::{self, Finding, Findings, RecordPlace};
use crate::auth;
use crate::endpoint;
use crate::http::{self, Reply};

/// Why the stub refuses a request.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// As an endpoint would.
    #[error(transparent)]
    Endpoint(#[from] endpoint::Error),
    /// A page of another origin wants to steer.
    #[error("not a page of this machine")]
    NotFromHere,
    /// The request is to a host that the demo does not answer to.
    #[error("not a host of this machine: {0}")]
    OtherHost(String),
    /// A header has a value that it cannot have.
    #[error("{name}: {expected}")]
    Header {
        /// Which.
        name: &'static str,
        /// What it may be.
        expected: String,
    },
    /// Keys of a body have values that they cannot have, or are none.
    #[error("wrong input")]
    Fields(Faults),
    /// The same of a list, with an entry for each of its items, right ones too.
    #[error("wrong input")]
    Items(Vec<Faults>),
}

/// What is wrong with each key.
#[derive(Debug, Default, Serialize)]
pub(super) struct Faults(Map<String, Value>);

impl Faults {
    pub(super) fn add(&mut self, key: &str, message: impl Into<String>) {
        let messages = self.0.entry(key).or_insert_with(|| json!([]));
        if let Value::Array(messages) = messages {
            messages.push(message.into().into());
        }
    }

    /// Those of one account with its organization.
    fn of(findings: &Findings) -> Self {
        let mut faults = Self::default();
        for Finding {
            place,
            key,
            message,
        } in findings.iter()
        {
            let key = match (place, key.as_str()) {
                (RecordPlace::Organization(_), _) => "org",
                (_, "") => "non_field_errors",
                (_, key) => key,
            };
            faults.add(key, message.as_str());
        }
        faults
    }

    pub(super) fn into_result(self) -> Result<(), Error> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::Fields(self))
        }
    }
}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Self {
        Self::Endpoint(error.into())
    }
}

impl From<accounts::Error> for Error {
    fn from(error: accounts::Error) -> Self {
        let error = match error {
            accounts::Error::Findings(findings) => return Self::Fields(Faults::of(&findings)),
            accounts::Error::Store(error) => auth::Error::from(error).into(),
            accounts::Error::Hashing(error) => error.into(),
        };
        Self::Endpoint(error)
    }
}

impl From<Error> for Reply {
    fn from(error: Error) -> Reply {
        match error {
            Error::Endpoint(error) => error.into(),
            Error::NotFromHere => Reply::detail(
                403,
                "Only pages of this machine may steer the stub, unless it is started with --allow-remote-demo.",
            ),
            Error::OtherHost(host) => Reply::detail(
                421,
                &format!(
                    "This demo does not answer to the host {host}: start it with --allow-host {host}, or call it by localhost."
                ),
            ),
            Error::Header { name, expected } => {
                Reply::detail(400, &format!("{name}: expected {expected}."))
            }
            Error::Fields(faults) => Reply::json(400, &faults),
            Error::Items(faults) => Reply::json(400, &faults),
        }
    }
}

/// `200, 401, 503`.
pub(super) fn list(codes: &BTreeSet<u16>) -> String {
    let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
    codes.join(", ")
}

/// `required (400), blank (400)`, each once.
pub(super) fn list_examples<'e>(examples: impl Iterator<Item = (u16, &'e str)>) -> String {
    let examples: IndexSet<String> = examples
        .map(|(code, name)| format!("{name} ({code})"))
        .collect();
    let examples: Vec<String> = examples.into_iter().collect();
    examples.join(", ")
}
