//! An answer, before it is put on the wire.

use std::any::Any;
use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use tiny_http::{Header, Response};

use super::{Body, Pieces};

/// What every answer carries besides Date and Content-Length: account data belongs in no cache, and is what it says it is.
pub const COMMON_HEADERS: &[(&str, &str)] = &[
    ("Content-Type", JSON),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
];

/// The media type of all answers but a few.
pub const JSON: &str = "application/json";

/// A status, the headers that belong to it alone, and a JSON body.
pub struct Reply {
    status: u16,
    content_type: Option<&'static str>,
    headers: Vec<(Cow<'static, str>, String)>,
    body: Pieces,
    /// Of a body that is not here, since the request was a HEAD.
    announced_bytes: Option<usize>,
    pause: Duration,
    held: Vec<Box<dyn Any + Send>>,
    afterwards: Option<Box<dyn FnOnce() + Send>>,
}

impl Reply {
    /// An answer with this compact JSON as body.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        let mut pieces = Pieces::default();
        serde_json::to_writer(&mut pieces, body)
            .expect("bodies are structs of texts, which all have a JSON form, and memory takes it");
        Self::pieces(status, JSON, pieces)
    }

    /// An answer with a body that has its final form.
    pub fn text(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::pieces(status, content_type, Pieces::from(body.into()))
    }

    /// The same with a body in pieces.
    pub fn pieces(status: u16, content_type: &'static str, body: Pieces) -> Self {
        Self {
            status,
            content_type: Some(content_type),
            headers: Vec::new(),
            body,
            announced_bytes: None,
            pause: Duration::ZERO,
            held: Vec::new(),
            afterwards: None,
        }
    }

    /// The answer to a HEAD whose GET would have a body of this many bytes.
    pub fn without_body(status: u16, content_type: &'static str, bytes: usize) -> Self {
        Self {
            announced_bytes: Some(bytes),
            ..Self::text(status, content_type, Vec::new())
        }
    }

    /// Done, and there is nothing to say (204).
    pub fn no_content() -> Self {
        Self::empty(204)
    }

    /// An answer without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            content_type: None,
            ..Self::text(status, JSON, Vec::new())
        }
    }

    /// `{"detail":"…"}`, the form of every answer about a request as a whole.
    pub fn detail(status: u16, text: &str) -> Self {
        #[derive(Serialize)]
        struct Detail<'t> {
            detail: &'t str,
        }
        Self::json(status, &Detail { detail: text })
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a header in place of those that it has of this name.
    #[must_use]
    pub fn replacing(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.with(name.to_owned(), value)
    }

    /// Has the client wait for it, at the gate.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How long the client waits for it.
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// Holds on to something until the answer is sent.
    #[must_use]
    pub fn holding(mut self, held: impl Any + Send) -> Self {
        self.held.push(Box::new(held));
        self
    }

    /// Takes out what is held until the answer is sent.
    pub fn take_held(&mut self) -> Vec<Box<dyn Any + Send>> {
        std::mem::take(&mut self.held)
    }

    /// A copy of the body as far as it is here.
    pub fn copy_body(&self) -> Body {
        Body::from_bytes(self.body.copy())
    }

    /// The headers by now, but for what the gate adds.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let content_type = self.content_type.map(|value| ("Content-Type", value));
        let common = COMMON_HEADERS.iter().copied();
        let common = common.filter(|(name, _)| *name != "Content-Type" && !self.has(name));
        let own = self.headers.iter();
        let own = own.map(|(name, value)| (&**name, value.as_str()));
        content_type.into_iter().chain(common).chain(own)
    }

    /// The length of the body as far as it is here.
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Has `work` done once the client has its answer.
    #[must_use]
    pub fn and_then(mut self, work: impl FnOnce() + Send + 'static) -> Self {
        self.afterwards = Some(Box::new(work));
        self
    }

    /// Takes out what is to be done once the client has its answer.
    pub fn take_afterwards(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        self.afterwards.take()
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    fn has(&self, name: &str) -> bool {
        let mut names = self.headers.iter().map(|(name, _)| name);
        names.any(|other| other.eq_ignore_ascii_case(name))
    }

    /// The library's form of it. Never chunked, whatever its length: the gate passes on none that is.
    pub fn into_response(self) -> Response<Pieces> {
        let headers = self
            .headers()
            // A value with a byte that no header may have is left out rather than ending the answer.
            .filter_map(|(name, value)| Header::from_bytes(name, value).ok())
            .collect();
        let length = self.announced_bytes.unwrap_or(self.body.len());
        Response::new(self.status.into(), headers, self.body, Some(length), None)
            .with_chunked_threshold(usize::MAX)
    }
}
