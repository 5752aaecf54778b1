//! A custom answer: the body and headers of an instruction of `/__stub/next/`.

use indexmap::IndexMap;
use serde::Serialize;
use serde_json::value::RawValue;

use super::error::Error;
use super::input::Input;
use crate::gate::RESERVED_PREFIX;
use crate::http::{Field, JSON, Reply};

const TEXT: &str = "text/plain; charset=utf-8";

/// Header fields about the framing of the answer or about the connection, which the server sets or removes.
const REFUSED_HEADERS: &[&str] = &[
    "Connection",
    "Content-Length",
    "Keep-Alive",
    "Server",
    "Trailer",
    "Transfer-Encoding",
    "Upgrade",
];

/// The maximum number of custom headers that fit into an answer in addition to its usual ones.
const MAX_HEADERS: usize = 24;

/// The codes of answers without a body.
const WITHOUT_BODY: &[u16] = &[204, 205, 304];

/// The custom part of an answer.
#[derive(Clone, Default, Serialize)]
pub(super) struct OwnAnswer {
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<OwnBody>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<IndexMap<String, String>>,
}

#[derive(Clone, Serialize)]
#[serde(untagged)]
enum OwnBody {
    Text(String),
    /// JSON in the notation of the request.
    Json(Box<RawValue>),
}

impl OwnAnswer {
    /// Reads the keys `body` and `headers`.
    pub(super) fn read(input: &mut Input<'_>, code: Option<u16>) -> Result<Self, Error> {
        let body = match input.raw("body") {
            Some(json) if !json.starts_with('"') => RawValue::from_string(json.to_owned())
                .ok()
                .map(OwnBody::Json),
            _ => input.text("body")?.map(OwnBody::Text),
        };
        if let Some(code) = code.filter(|code| WITHOUT_BODY.contains(code) && body.is_some()) {
            input.error(
                "body",
                format!("An answer with the code {code} has no body."),
            );
        }
        Ok(Self {
            body,
            headers: read_headers(input)?,
        })
    }

    pub(super) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.body.is_none() && self.headers.is_none()
    }

    /// The answer with this code and the custom body; `None` without a custom body.
    pub(super) fn reply(&self, code: u16) -> Option<Reply> {
        Some(match self.body.as_ref()? {
            OwnBody::Text(text) => Reply::text(code, TEXT, text.as_str()),
            OwnBody::Json(json) => Reply::text(code, JSON, json.get()),
        })
    }

    /// Adds the custom headers to an answer, replacing headers of the same name.
    pub(super) fn with_headers(&self, reply: Reply) -> Reply {
        let headers = self.headers.iter().flatten();
        headers.fold(reply, |reply, (name, value)| {
            reply.replacing(name, value.as_str())
        })
    }
}

fn read_headers(input: &mut Input<'_>) -> Result<Option<IndexMap<String, String>>, Error> {
    const KEY: &str = "headers";
    let Some(object) = input.object(KEY) else {
        return Ok(None);
    };
    let mut headers = IndexMap::<String, String>::new();
    for name in object.keys() {
        let value = match object.field(name)? {
            Field::Text(value) => value.to_string(),
            _ => {
                input.error(KEY, format!("{name:?}: Not a valid string."));
                continue;
            }
        };
        let is_doubled = headers.keys().any(|other| other.eq_ignore_ascii_case(name));
        match why_refused(name, &value, is_doubled) {
            Some(why) => input.error(KEY, format!("{name:?}: {why}")),
            None => _ = headers.insert(name.to_owned(), value),
        }
    }
    if headers.len() > MAX_HEADERS {
        input.error(KEY, format!("Expected at most {MAX_HEADERS} headers."));
    }
    Ok(Some(headers))
}

fn why_refused(name: &str, value: &str, is_doubled: bool) -> Option<&'static str> {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    let is_printable = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    let prefix = name.get(..RESERVED_PREFIX.len()).unwrap_or_default();
    if name.is_empty() || !name.bytes().all(is_token) {
        Some("Not a name of a header.")
    } else if REFUSED_HEADERS
        .iter()
        .any(|refused| refused.eq_ignore_ascii_case(name))
        || prefix.eq_ignore_ascii_case(RESERVED_PREFIX)
    {
        Some("The server sets or removes this header itself.")
    } else if is_doubled {
        Some("The header is given twice.")
    } else if !value.bytes().all(is_printable) || value.trim() != value {
        Some("Expected printable ASCII characters without a space at either end.")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_that_would_break_the_answer_is_refused() {
        for (name, value) in [("X-Y", ""), ("set-cookie", "a=b; Path=/"), ("Date", "x\ty")] {
            assert_eq!(why_refused(name, value, false), None, "{name}");
        }
        for (name, value) in [
            ("", "x"),
            ("X Y", "x"),
            ("X:", "x"),
            ("X\r\nY", "x"),
            ("É", "x"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Connection", "close"),
            ("Server", "nginx"),
            ("x-GATE-delay", "60000"),
            ("X-Y", "a\r\nX: b"),
            ("X-Y", "a\n"),
            ("X-Y", "é"),
            ("X-Y", " a"),
            ("X-Y", "\0"),
        ] {
            assert!(
                why_refused(name, value, false).is_some(),
                "{name:?}: {value:?}"
            );
        }
        assert!(why_refused("X-Y", "x", true).is_some());
    }
}
