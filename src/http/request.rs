//! A request as the endpoints see it.

use std::borrow::Cow;
use std::net::IpAddr;

use tiny_http::Method;

use super::media_type::{is_identity, is_json, trim_blanks};
use super::{Body, Error, EveryField, ReadField, TrustedProxies};

/// What the server that took the request in knows about it, besides what stands in it.
pub struct Arrival {
    /// The address of the other end; `None` on a Unix socket.
    pub peer: Option<IpAddr>,
    /// The limit in bytes that the body passes. It was not read then.
    pub body_too_large: Option<usize>,
    /// Turns a header that came under another name, since its value could not be handed on as it was, into the client's.
    pub original: fn(&str, &str) -> Option<OriginalHeader>,
}

/// A header as the client sent it: its name, and its value, which may have any bytes over 0x7F.
pub type OriginalHeader = (String, Vec<u8>);

/// A view of the library's request, and what is learned while it is answered.
pub struct Request<'r> {
    inner: &'r mut tiny_http::Request,
    arrival: Arrival,
    /// Once somebody asked for it.
    body: Option<Body>,
    user_uuid: Option<String>,
    org_uuid: Option<String>,
}

impl<'r> Request<'r> {
    /// Looks at a request that was received.
    pub fn new(inner: &'r mut tiny_http::Request, arrival: Arrival) -> Self {
        Self {
            inner,
            arrival,
            body: None,
            user_uuid: None,
            org_uuid: None,
        }
    }

    /// The method as it was sent.
    pub fn method(&self) -> &Method {
        self.inner.method()
    }

    /// The path without the query, not decoded: no endpoint has a path that needs it.
    pub fn path(&self) -> &str {
        path_of(self.inner.url())
    }

    /// The path with its query, as they were sent.
    pub fn target(&self) -> &str {
        self.inner.url()
    }

    /// The body of a JSON request, whose parts are not looked at yet.
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

    /// Whether a body was announced, be it too long.
    fn has_body(&self) -> bool {
        self.arrival.body_too_large.is_some() || self.inner.body_length().is_some_and(|n| n > 0)
    }

    /// The body, whatever it is; empty if it was too long to be read.
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

    /// Refuses a body that was too long to be read, for calls that ignore what is in it.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`].
    pub fn check_body_size(&self) -> Result<(), Error> {
        match self.arrival.body_too_large {
            Some(limit) => Err(Error::BodyTooLarge(limit)),
            None => Ok(()),
        }
    }

    /// Where the request comes from: the peer, or what a trusted proxy says.
    pub fn client(&self, trusted_proxies: &TrustedProxies) -> IpAddr {
        trusted_proxies.client(self.arrival.peer, |field| self.joined(field))
    }

    /// Notes whose request it turned out to be, for the log.
    pub fn note_user(&mut self, uuid: &str) {
        self.user_uuid = Some(uuid.to_owned());
    }

    /// Whose request it is, once that is known.
    pub fn user_uuid(&self) -> Option<&str> {
        self.user_uuid.as_deref()
    }

    /// Notes on whose behalf it is, which decides what it may take.
    pub fn note_organization(&mut self, uuid: &str) {
        self.org_uuid = Some(uuid.to_owned());
    }

    /// The organization of the user, once that is known.
    pub fn org_uuid(&self) -> Option<&str> {
        self.org_uuid.as_deref()
    }

    /// Whether the answer goes without its body.
    pub fn is_head(&self) -> bool {
        *self.method() == Method::Head
    }

    /// The values of all header fields of a name as one list (RFC 9110, 5.3); `None` without any.
    pub fn joined(&self, field: ReadField) -> Option<Vec<u8>> {
        self.joined_of(field.name())
    }

    /// The same of any name.
    pub fn joined_any(&self, _: EveryField, name: &'static str) -> Option<Vec<u8>> {
        self.joined_of(name)
    }

    fn joined_of(&self, name: &'static str) -> Option<Vec<u8>> {
        let values: Vec<_> = self.values(name).collect();
        (!values.is_empty()).then(|| values.join(&b", "[..]))
    }

    /// All of the client's header fields, in their order. The length in the plain field is that of the normal form; a
    /// client's own came under another name.
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
