//! Whether a connection stays open after an answer.

/// What is said to the client about the connection after this answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionOption {
    /// It stays open, as HTTP/1.1 has it.
    Open,
    /// It stays open, which a client of HTTP/1.0 does not assume.
    KeepAlive,
    Close,
}

impl ConnectionOption {
    /// The header line, with its end.
    pub(crate) fn line(self) -> &'static str {
        match self {
            Self::Open => "",
            Self::KeepAlive => "Connection: keep-alive\r\n",
            Self::Close => "Connection: close\r\n",
        }
    }
}
