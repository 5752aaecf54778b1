//! The errors of the stub's own calls, with their status and text.

use std::collections::BTreeSet;

use indexmap::IndexSet;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::accounts::{self, Finding, Findings, RecordPlace};
use crate::auth;
use crate::endpoint;
use crate::http::{self, Reply};

/// Why the stub refuses a request to one of its own calls.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// An error that endpoints have too.
    #[error(transparent)]
    Endpoint(#[from] endpoint::Error),
    /// The request is by a page of another origin, which may not steer the stub.
    #[error("not a page of this machine")]
    NotFromHere,
    /// The request is for a host that the demo does not answer for.
    #[error("not a host of this machine: {0}")]
    OtherHost(String),
    /// A header has an invalid value.
    #[error("{name}: {expected}")]
    Header {
        /// The name of the header.
        name: &'static str,
        /// The values that are accepted.
        expected: String,
    },
    /// A body has unknown keys or invalid values.
    #[error("invalid input")]
    Fields(FieldErrors),
    /// A list has invalid items. There is an entry for each item, which is empty for a valid one.
    #[error("invalid input")]
    Items(Vec<FieldErrors>),
}

/// The errors of each key of a body.
#[derive(Debug, Default, Serialize)]
pub(super) struct FieldErrors(Map<String, Value>);

impl FieldErrors {
    pub(super) fn add(&mut self, key: &str, message: impl Into<String>) {
        let messages = self.0.entry(key).or_insert_with(|| json!([]));
        if let Value::Array(messages) = messages {
            messages.push(message.into().into());
        }
    }

    /// The errors of one account and its organization.
    fn of(findings: &Findings) -> Self {
        let mut errors = Self::default();
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
            errors.add(key, message.as_str());
        }
        errors
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
            accounts::Error::Findings(findings) => return Self::Fields(FieldErrors::of(&findings)),
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
            Error::Fields(errors) => Reply::json(400, &errors),
            Error::Items(errors) => Reply::json(400, &errors),
        }
    }
}

/// The codes as text: `200, 401, 503`.
pub(super) fn list(codes: &BTreeSet<u16>) -> String {
    let codes: Vec<String> = codes.iter().map(ToString::to_string).collect();
    codes.join(", ")
}

/// The examples as text, each once: `required (400), blank (400)`.
pub(super) fn list_examples<'e>(examples: impl Iterator<Item = (u16, &'e str)>) -> String {
    let examples: IndexSet<String> = examples
        .map(|(code, name)| format!("{name} ({code})"))
        .collect();
    let examples: Vec<String> = examples.into_iter().collect();
    examples.join(", ")
}
