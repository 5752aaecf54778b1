//! Errors of a request that are independent of the endpoint.

/// A request that no endpoint can process.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The media type is missing, malformed, not `application/json`, or has a charset other than UTF-8. Contains the value
    /// that was sent.
    #[error("unsupported media type")]
    UnsupportedMediaType(String),
    /// The body has a content encoding, such as gzip. Contains the value that was sent.
    #[error("unsupported content encoding")]
    UnsupportedContentEncoding(String),
    /// The body is longer than this many bytes.
    #[error("the body is longer than {0} bytes")]
    BodyTooLarge(usize),
    /// The body is not JSON, or JSON that parsers interpret differently. Contains what is wrong, and where.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// The body is JSON, but not an object. Contains the name of its type, as Python calls it.
    #[error("the body is a JSON {0} and not an object")]
    NotAnObject(&'static str),
    /// The body is `null`.
    #[error("the body is null")]
    Null,
    /// The connection ended in the middle of the body.
    #[error("cannot read the body")]
    Read(#[source] std::io::Error),
}
