//! The reply to a request, before it is sent.

use std::any::Any;
use std::borrow::Cow;
use std::time::Duration;

use serde::Serialize;
use tiny_http::{Header, Response};

use super::{Body, Pieces};

/// The header fields of every reply, besides `Date` and `Content-Length`. They keep account data out of caches, and keep
/// browsers from guessing the media type.
pub const COMMON_HEADERS: &[(&str, &str)] = &[
    ("Content-Type", JSON),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
];

/// The media type of most replies.
pub const JSON: &str = "application/json";

/// A status, header fields and a body.
pub struct Reply {
    status: u16,
    content_type: Option<&'static str>,
    /// The header fields of this reply only.
    headers: Vec<(Cow<'static, str>, String)>,
    body: Pieces,
    /// The length of the body that GET would have, if the request is HEAD and `body` is therefore empty.
    announced_bytes: Option<usize>,
    /// How long the gate delays the reply.
    pause: Duration,
    /// Values that are dropped once the reply is sent.
    held: Vec<Box<dyn Any + Send>>,
    /// Work to be done once the reply is sent.
    afterwards: Option<Box<dyn FnOnce() + Send>>,
}

impl Reply {
    /// A reply with `body` as compact JSON.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        let mut pieces = Pieces::default();
        serde_json::to_writer(&mut pieces, body)
            .expect("bodies are structs of strings, which can be serialized, and writing to memory cannot fail");
        Self::pieces(status, JSON, pieces)
    }

    /// A reply with this body and media type.
    pub fn text(status: u16, content_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::pieces(status, content_type, Pieces::from(body.into()))
    }

    /// A reply with a body in pieces and this media type.
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

    /// The reply to a HEAD request for which GET would have a body of `bytes` bytes.
    pub fn without_body(status: u16, content_type: &'static str, bytes: usize) -> Self {
        Self {
            announced_bytes: Some(bytes),
            ..Self::text(status, content_type, Vec::new())
        }
    }

    /// A reply with status 204 and no body.
    pub fn no_content() -> Self {
        Self::empty(204)
    }

    /// A reply without a body.
    pub fn empty(status: u16) -> Self {
        Self {
            content_type: None,
            ..Self::text(status, JSON, Vec::new())
        }
    }

    /// A reply with the body `{"detail":"…"}`, the form of every answer that concerns the request as a whole.
    pub fn detail(status: u16, text: &str) -> Self {
        #[derive(Serialize)]
        struct Detail<'t> {
            detail: &'t str,
        }
        Self::json(status, &Detail { detail: text })
    }

    /// Adds a header field.
    #[must_use]
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds a header field, and removes others with the same name.
    #[must_use]
    pub fn replacing(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self.with(name.to_owned(), value)
    }

    /// Delays the reply by `pause`. The gate does the waiting.
    #[must_use]
    pub fn after(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How long the gate delays the reply.
    pub fn pause(&self) -> Duration {
        self.pause
    }

    /// Keeps a value until the reply is sent, then drops it.
    #[must_use]
    pub fn holding(mut self, held: impl Any + Send) -> Self {
        self.held.push(Box::new(held));
        self
    }

    /// Takes the values that are kept until the reply is sent.
    pub fn take_held(&mut self) -> Vec<Box<dyn Any + Send>> {
        std::mem::take(&mut self.held)
    }

    /// A copy of the body; empty if the reply is to a HEAD request.
    pub fn copy_body(&self) -> Body {
        Body::from_bytes(self.body.copy())
    }

    /// The header fields so far, without those that the gate adds.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let content_type = self.content_type.map(|value| ("Content-Type", value));
        let common = COMMON_HEADERS.iter().copied();
        let common = common.filter(|(name, _)| *name != "Content-Type" && !self.has(name));
        let own = self.headers.iter();
        let own = own.map(|(name, value)| (&**name, value.as_str()));
        content_type.into_iter().chain(common).chain(own)
    }

    /// The length of the body in bytes; 0 if the reply is to a HEAD request.
    pub fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Runs `work` once the reply is sent.
    #[must_use]
    pub fn and_then(mut self, work: impl FnOnce() + Send + 'static) -> Self {
        self.afterwards = Some(Box::new(work));
        self
    }

    /// Takes the work to be done once the reply is sent.
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

    /// The reply as a tiny_http response. It is never chunked, because the gate accepts no chunked answers.
    pub fn into_response(self) -> Response<Pieces> {
        let headers = self
            .headers()
            // A field with an invalid byte is left out, so that the reply can still be sent.
            .filter_map(|(name, value)| Header::from_bytes(name, value).ok())
            .collect();
        let length = self.announced_bytes.unwrap_or(self.body.len());
        Response::new(self.status.into(), headers, self.body, Some(length), None)
            .with_chunked_threshold(usize::MAX)
    }
}
