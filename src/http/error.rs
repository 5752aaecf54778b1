//! What is wrong with a request before anybody looks at what it asks for.

/// A request that no endpoint can work with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The media type is missing, malformed, not `application/json`, or has a charset other than UTF-8. Carries what was
    /// sent.
    #[error("unsupported media type")]
    UnsupportedMediaType(String),
    /// The body is compressed, or encoded in another way. Carries what was sent.
    #[error("unsupported content encoding")]
    UnsupportedContentEncoding(String),
    /// The body is longer than this many bytes.
    #[error("the body is longer than {0} bytes")]
    BodyTooLarge(usize),
    /// The body is not JSON, or JSON that readers disagree on. Carries what is wrong and where.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// The body is JSON, but not an object. Carries the name of its type as the published service gives it.
    #[error("the body is a JSON {0} and not an object")]
    NotAnObject(&'static str),
    /// The body is `null`.
    #[error("the body is null")]
    Null,
    /// The connection ended in the middle of the body.
    #[error("cannot read the body")]
    Read(#[source] std::io::Error),
}
