//! The header fields of clients that this program reads.
//!
//! A real server's gate hands on these and no others, so a field that is not in this list cannot be read by mistake: there
//! is no name to read it by.

macro_rules! read_fields {
    ($($(#[$doc:meta])* $field:ident = $name:literal,)+) => {
        /// A header field that the program reads.
        ///
        /// ```
        /// use thanos_login::http::{ReadField, Request};
        /// fn handle(request: &Request<'_>) {
        ///     request.joined(ReadField::Authorization);
        /// }
        /// ```
        ///
        /// No other can be read, even in a demo, where all of them are handed on:
        ///
        /// ```compile_fail
        /// use thanos_login::http::{ReadField, Request};
        /// fn handle(request: &Request<'_>) {
        ///     request.joined("X-Request-Id");
        /// }
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum ReadField {
            $($(#[$doc])* $field,)+
        }

        impl ReadField {
            /// The names of all.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// Its name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$field => $name,)+
                }
            }
        }
    };
}

read_fields! {
    /// The token of account calls.
    Authorization = "Authorization",
    /// The media type of the body.
    ContentType = "Content-Type",
    /// What the body is compressed with.
    ContentEncoding = "Content-Encoding",
    /// The client's address, from a proxy.
    XForwardedFor = "X-Forwarded-For",
    /// Read only to report that it is not: the same in the words of RFC 7239.
    Forwarded = "Forwarded",
    /// Read only to report that it is not: the same as some proxies have it.
    XRealIp = "X-Real-IP",
    /// The page that makes the call.
    Origin = "Origin",
    /// What a browser asks for before a page makes the call.
    AccessControlRequestMethod = "Access-Control-Request-Method",
    /// And with which header fields.
    AccessControlRequestHeaders = "Access-Control-Request-Headers",
}

/// Permission to read any field, for the stub: the gate of a demo hands on all of them, that of a real server does not.
#[derive(Clone, Copy)]
pub struct EveryField(());

impl EveryField {
    /// For what only a demo has.
    pub(crate) fn of_a_demo() -> Self {
        Self(())
    }
}
