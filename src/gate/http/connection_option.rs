//! The `Connection` header field of an answer.

/// What the answer's `Connection` field says about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionOption {
    /// The connection stays open, which is the default of HTTP/1.1: there is no field.
    Open,
    /// The connection stays open, and the client speaks HTTP/1.0, where this must be stated.
    KeepAlive,
    /// The connection is closed after the answer.
    Close,
}

impl ConnectionOption {
    /// The header line with its CR LF; empty if there is none.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::Open => "",
            Self::KeepAlive => "Connection: keep-alive\r\n",
            Self::Close => "Connection: close\r\n",
        }
    }
}
