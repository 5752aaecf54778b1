//! The list of the clients' header fields that this program reads.
//!
//! Outside of a demo the gate forwards only these fields. A field that is not in the list cannot be read by mistake, because
//! there is no `ReadField` for it.

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
        /// No other field can be read, even in a demo, where all fields are forwarded:
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
            /// The names of all these fields.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// The name of the field.
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
    /// The client's address in the format of RFC 7239. It is not used; the log reports once that it was sent.
    Forwarded = "Forwarded",
    /// The client's address as some proxies send it. It is not used; the log reports once that it was sent.
    XRealIp = "X-Real-IP",
    /// The origin of the page that makes the call.
    Origin = "Origin",
    /// In a preflight request, the method of the call that follows.
    AccessControlRequestMethod = "Access-Control-Request-Method",
    /// In a preflight request, the header fields of the call that follows.
    AccessControlRequestHeaders = "Access-Control-Request-Headers",
}

/// Permission to read any header field. Only the stub has it: the gate forwards all fields in a demo, and only those in
/// [`ReadField`] otherwise.
#[derive(Clone, Copy)]
pub struct EveryField(());

impl EveryField {
    /// The permission, for code that runs only in a demo.
    pub(crate) fn of_a_demo() -> Self {
        Self(())
    }
}
