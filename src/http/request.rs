//! A request as the endpoints see it.

use std::net::{IpAddr, SocketAddr};

use tiny_http::Method;

use super::media_type::{is_json, trim_blanks};
use super::{Body, Error, TrustedProxies};

/// A view of the library's request, and what is learned while it is answered.
pub struct Request<'r> {
    inner: &'r mut tiny_http::Request,
    user_uuid: Option<String>,
}

impl<'r> Request<'r> {
    /// Looks at a request that was received.
    pub fn new(inner: &'r mut tiny_http::Request) -> Self {
        Self {
            inner,
            user_uuid: None,
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

    /// The body of a JSON request, whose parts are not looked at yet.
    ///
    /// # Errors
    /// [`Error::UnsupportedMediaType`], then [`Error::BodyTooLarge`], then [`Error::Read`].
    pub fn json_body(&mut self, max_bytes: usize) -> Result<Body, Error> {
        let content_type = self.values("Content-Type").collect::<Vec<_>>().join(", ");
        if !is_json(content_type.as_bytes()) {
            let sent = trim_blanks(content_type.as_bytes());
            let sent = String::from_utf8_lossy(sent).into_owned();
            return Err(Error::UnsupportedMediaType(sent));
        }
        let length = self.inner.body_length();
        Body::read(self.inner.as_reader(), length, max_bytes)
    }

    /// Where the request comes from: the peer, or what a trusted proxy says.
    pub fn client(&self, trusted_proxies: &TrustedProxies) -> IpAddr {
        let peer = self.inner.remote_addr().map(SocketAddr::ip);
        trusted_proxies.client(peer, self.values("X-Forwarded-For"))
    }

    /// Notes whose request it turned out to be, for the log.
    pub fn note_user(&mut self, uuid: &str) {
        self.user_uuid = Some(uuid.to_owned());
    }

    /// Whose request it is, once that is known.
    pub fn user_uuid(&self) -> Option<&str> {
        self.user_uuid.as_deref()
    }

    fn values(&self, name: &'static str) -> impl DoubleEndedIterator<Item = &str> {
        self.inner
            .headers()
            .iter()
            .filter(move |header| header.field.equiv(name))
            .map(|header| header.value.as_str())
    }
}

/// The path of a request target, without the query.
pub fn path_of(target: &str) -> &str {
    target.split('?').next().unwrap_or(target)
}
