//! A request as the endpoints see it.

use std::borrow::Cow;
use std::net::IpAddr;

use tiny_http::Method;

use super::media_type::{is_identity, is_json, trim_blanks};
use super::{Body, Error, EveryField, ReadField, TrustedProxies};

/// What is known about a received request besides its content.
pub struct Arrival {
    /// The address of the peer; `None` on a Unix socket.
    pub peer: Option<IpAddr>,
    /// The limit in bytes that the body exceeds, if it was not read for that reason.
    pub body_too_large: Option<usize>,
    /// Decodes a header field that was forwarded in encoded form; `None` for all other fields.
    pub original: fn(&str, &str) -> Option<OriginalHeader>,
}

/// A header field as the client sent it: its name, and its value, which may contain bytes over 0x7F.
pub type OriginalHeader = (String, Vec<u8>);

/// A request of tiny_http, and what becomes known while it is answered.
pub struct Request<'r> {
    inner: &'r mut tiny_http::Request,
    arrival: Arrival,
    /// The body, once it was read.
    body: Option<Body>,
    user_uuid: Option<String>,
    org_uuid: Option<String>,
}

impl<'r> Request<'r> {
    /// Wraps a received request.
    pub fn new(inner: &'r mut tiny_http::Request, arrival: Arrival) -> Self {
        Self {
            inner,
            arrival,
            body: None,
            user_uuid: None,
            org_uuid: None,
        }
    }

    /// The method, as it was sent.
    pub fn method(&self) -> &Method {
        self.inner.method()
    }

    /// The path without the query. It is not percent-decoded, because no endpoint's path needs encoding.
    pub fn path(&self) -> &str {
        path_of(self.inner.url())
    }

    /// The path with its query, as sent.
    pub fn target(&self) -> &str {
        self.inner.url()
    }

    /// The body of a request with a JSON media type. The JSON itself is not parsed yet.
    ///
    /// # Errors
    /// [`Error::UnsupportedMediaType`], [`Error::UnsupportedContentEncoding`], [`Error::BodyTooLarge`], then
    /// [`Error::Read`].
    pub fn json_body(&mut self) -> Result<&Body, Error> {
        let sent = |value: &[u8]| String::from_utf8_lossy(trim_blanks(value)).into_owned();
        let content_type = self.joined(ReadField::ContentType).unwrap_or_default();
        if !is_json(&content_type) {
            return Err(Error::UnsupportedMediaType(sent(&content_type)));
        }
        let encoding = self.joined(ReadField::ContentEncoding).unwrap_or_default();
        if self.has_body() && !is_identity(&encoding) {
            return Err(Error::UnsupportedContentEncoding(sent(&encoding)));
        }
        self.check_body_size()?;
        self.body()
    }

    /// Whether the request has a body, including one that was not read because it is too large.
    fn has_body(&self) -> bool {
        self.arrival.body_too_large.is_some() || self.inner.body_length().is_some_and(|n| n > 0)
    }

    /// The body of any media type; empty if it was not read because it is too large.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn body(&mut self) -> Result<&Body, Error> {
        let body = match self.body.take() {
            Some(body) => body,
            None => {
                let length = self.inner.body_length().unwrap_or_default();
                Body::read(self.inner.as_reader(), length)?
            }
        };
        Ok(self.body.insert(body))
    }

    /// Refuses a body that is too large. Calls that ignore the content of the body use this.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`].
    pub fn check_body_size(&self) -> Result<(), Error> {
        match self.arrival.body_too_large {
            Some(limit) => Err(Error::BodyTooLarge(limit)),
            None => Ok(()),
        }
    }

    /// The client's address: the peer's, or the one that a trusted proxy sent.
    pub fn client(&self, trusted_proxies: &TrustedProxies) -> IpAddr {
        trusted_proxies.client(self.arrival.peer, |field| self.joined(field))
    }

    /// Stores the UUID of the user who makes the request, for the log.
    pub fn set_user_for_log(&mut self, uuid: &str) {
        self.user_uuid = Some(uuid.to_owned());
    }

    /// The UUID of the user who makes the request, once it is known.
    pub fn user_uuid(&self) -> Option<&str> {
        self.user_uuid.as_deref()
    }

    /// Stores the UUID of the user's organization, for limits that apply to organizations.
    pub fn set_organization(&mut self, uuid: &str) {
        self.org_uuid = Some(uuid.to_owned());
    }

    /// The UUID of the user's organization, once it is known.
    pub fn org_uuid(&self) -> Option<&str> {
        self.org_uuid.as_deref()
    }

    /// Whether the method is HEAD, so that the reply is sent without its body.
    pub fn is_head(&self) -> bool {
        *self.method() == Method::Head
    }

    /// The values of all header fields with a name as one list (RFC 9110, 5.3); `None` if there are none.
    pub fn joined(&self, field: ReadField) -> Option<Vec<u8>> {
        self.joined_of(field.name())
    }

    /// The values of all header fields with any name as one list (RFC 9110, 5.3); `None` if there are none.
    pub fn joined_any(&self, _: EveryField, name: &'static str) -> Option<Vec<u8>> {
        self.joined_of(name)
    }

    fn joined_of(&self, name: &'static str) -> Option<Vec<u8>> {
        let values: Vec<_> = self.values(name).collect();
        (!values.is_empty()).then(|| values.join(&b", "[..]))
    }

    /// All of the client's header fields, in their order. The plain `Content-Length` field is left out because the gate
    /// added it; the client's own was forwarded in encoded form.
    pub fn fields(&self, _: EveryField) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, [u8]>)> {
        self.inner.headers().iter().filter_map(|header| {
            let (name, value) = (header.field.as_str().as_str(), header.value.as_str());
            if let Some((name, value)) = (self.arrival.original)(name, value) {
                return Some((Cow::Owned(name), Cow::Owned(value)));
            }
            (!name.eq_ignore_ascii_case("Content-Length"))
                .then_some((Cow::Borrowed(name), Cow::Borrowed(value.as_bytes())))
        })
    }

    fn values(&self, name: &'static str) -> impl Iterator<Item = Cow<'_, [u8]>> {
        self.inner.headers().iter().filter_map(move |header| {
            let value = header.value.as_str();
            if header.field.equiv(name) {
                return Some(Cow::Borrowed(value.as_bytes()));
            }
            let (original, value) = (self.arrival.original)(header.field.as_str().as_str(), value)?;
            original
                .eq_ignore_ascii_case(name)
                .then_some(Cow::Owned(value))
        })
    }
}

/// The path of a request target, without the query.
pub fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or(target)
}
