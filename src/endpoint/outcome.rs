//! Every status and text of an answer that is not a success.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde::Serialize;

use super::authorization::HeaderFault;
use super::user_login::FieldErrors;
use crate::http::Reply;
use crate::{auth, hashing, http, store};

const NO_PERMISSION: &str = "You do not have permission to perform this action.";
const BAD_CREDENTIALS: &str = "Unable to log in with provided credentials.";
const UNAVAILABLE: &str = "Service temporarily unavailable, try again later.";
const DEFECT: &str = "A server error occurred.";

/// The challenge of every 401: the scheme that account calls take.
const CHALLENGE: &str = "Token";

/// Seconds after which a client may try again: a lock is held and a queue is full for moments only.
const RETRY_AFTER: &str = "1";

/// How long a client waits that wants more than its share: should it ask again at once, it costs others nothing.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// Why a call got no 200.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No endpoint has this path.
    #[error("no such path")]
    NotFound,
    /// The endpoint does not have this method.
    #[error("method {method:?} is not allowed")]
    MethodNotAllowed {
        /// The method as it was sent.
        method: String,
        /// The methods that the path has, as the Allow header lists them.
        allow: &'static str,
    },
    /// The request is not one that the endpoint can read.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// The body can be read but does not hold what is needed.
    #[error("the body lacks something")]
    Fields(FieldErrors),
    /// A mistake of this program.
    #[error("a defect")]
    Defect,
    /// Logins could not be answered now. To whoever sends them here it is all one whether a lock or a rotten file is why.
    #[error("not ready")]
    NotReady(#[source] store::Error),
    /// This request came over a connection that was there before; others do not get through.
    #[error("new connections do not reach the server")]
    Unreachable,
    /// Too many lists are in work, of the user or of all.
    #[error("too many lists are in work")]
    TooManyLists,
    /// Clients have yet to read too much of what was sent.
    #[error("too many long answers are sent")]
    TooManyLongAnswers,
    /// No token can be read from the Authorization header.
    #[error(transparent)]
    Header(#[from] HeaderFault),
    /// The login did not succeed, or the token does not count.
    #[error(transparent)]
    Auth(#[from] auth::Error),
}

impl Error {
    /// Whether the log has said once for all requests why they fail.
    fn is_logged(&self) -> bool {
        match self {
            Self::NotReady(error) | Self::Auth(auth::Error::Store(error)) => error.is_logged(),
            _ => false,
        }
    }
}

impl From<hashing::Error> for Error {
    fn from(error: hashing::Error) -> Self {
        Self::Auth(error.into())
    }
}

#[derive(Serialize)]
struct NonFieldErrors {
    non_field_errors: [String; 1],
}

fn non_field_error(text: impl Into<String>) -> Reply {
    let non_field_errors = [text.into()];
    Reply::json(400, &NonFieldErrors { non_field_errors })
}

fn unavailable() -> Reply {
    Reply::detail(503, UNAVAILABLE).with("Retry-After", RETRY_AFTER)
}

fn defect() -> Reply {
    Reply::detail(500, DEFECT)
}

/// What a call is answered: its reply, that of its error, or after a panic that of a defect.
pub fn reply(call: impl FnOnce() -> Result<Reply, Error>) -> Reply {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => refuse(error),
        Err(_) => defect(),
    }
}

fn refuse(error: Error) -> Reply {
    let (chain, is_logged) = (chain(&error), error.is_logged());
    let reply = Reply::from(error);
    match reply.status() {
        500.. if !is_logged => {
            tracing::warn!(status = reply.status(), error = chain, "request failed")
        }
        _ => tracing::debug!(status = reply.status(), error = chain, "request refused"),
    }
    reply
}

/// An error with everything that caused it, on one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

impl From<Error> for Reply {
    fn from(error: Error) -> Reply {
        match error {
            Error::NotFound => Reply::detail(404, "Not found."),
            Error::MethodNotAllowed { method, allow } => {
                Reply::detail(405, &format!("Method \"{method}\" not allowed."))
                    .with("Allow", allow)
            }
            Error::Http(error) => error.into(),
            Error::Fields(errors) => Reply::json(400, &errors),
            Error::Defect => defect(),
            Error::NotReady(_) | Error::Unreachable => unavailable(),
            Error::TooManyLists | Error::TooManyLongAnswers => unavailable().after(BUSY_PAUSE),
            Error::Header(fault) => unauthorized(header_fault(fault)),
            Error::Auth(error) => error.into(),
        }
    }
}

fn header_fault(fault: HeaderFault) -> &'static str {
    match fault {
        HeaderFault::NotProvided => "Authentication credentials were not provided.",
        HeaderFault::NoCredentials => "Invalid token header. No credentials provided.",
        HeaderFault::Spaces => "Invalid token header. Token string should not contain spaces.",
        HeaderFault::InvalidCharacters => {
            "Invalid token header. Token string should not contain invalid characters."
        }
    }
}

fn unauthorized(text: &str) -> Reply {
    Reply::detail(401, text).with("WWW-Authenticate", CHALLENGE)
}

impl From<http::Error> for Reply {
    fn from(error: http::Error) -> Reply {
        match error {
            http::Error::UnsupportedMediaType(sent) => Reply::detail(
                415,
                &format!("Unsupported media type \"{sent}\" in request."),
            ),
            http::Error::UnsupportedContentEncoding(sent) => Reply::detail(
                415,
                &format!(
                    "Unsupported Content-Encoding \"{sent}\" in request. Send the body without one."
                ),
            ),
            http::Error::BodyTooLarge(limit) => Reply::detail(
                413,
                &format!("The request body is longer than {limit} bytes."),
            ),
            http::Error::NotJson(reason) => {
                Reply::detail(400, &format!("JSON parse error - {reason}"))
            }
            http::Error::NotAnObject(name) => non_field_error(format!(
                "Invalid data. Expected a dictionary, but got {name}."
            )),
            http::Error::Null => non_field_error("No data provided"),
            http::Error::Read(_) => Reply::detail(400, "The request body ended too early."),
        }
    }
}

impl From<auth::Error> for Reply {
    fn from(error: auth::Error) -> Reply {
        match error {
            auth::Error::BadCredentials { .. } => unauthorized(BAD_CREDENTIALS),
            auth::Error::BadToken => unauthorized("Invalid token."),
            auth::Error::Throttled {
                retry_after_seconds,
                ..
            } => throttled(retry_after_seconds),
            auth::Error::NotActive { .. } => Reply::detail(403, NO_PERMISSION),
            auth::Error::Hashing(error) => hashing_failure(&error),
            auth::Error::Store(error) => store_failure(&error),
            auth::Error::Random(_) => defect(),
        }
    }
}

fn throttled(seconds: u64) -> Reply {
    let unit = if seconds == 1 { "second" } else { "seconds" };
    let text = format!("Request was throttled. Expected available in {seconds} {unit}.");
    Reply::detail(429, &text).with("Retry-After", seconds.to_string())
}

fn hashing_failure(error: &hashing::Error) -> Reply {
    match error {
        hashing::Error::QueueFull | hashing::Error::WaitTooLong | hashing::Error::Stopped => {
            unavailable()
        }
        hashing::Error::SelfTest
        | hashing::Error::BadLanes
        | hashing::Error::PasswordTooLong
        | hashing::Error::BadFormat
        | hashing::Error::NotHashAlone(_)
        | hashing::Error::HashOfHash
        | hashing::Error::BadCost
        | hashing::Error::Random(_)
        | hashing::Error::Spawn(_) => defect(),
    }
}

fn store_failure(error: &store::Error) -> Reply {
    match error {
        store::Error::Unavailable(_)
        | store::Error::FileReplaced
        | store::Error::ImportUnderWay => unavailable(),
        store::Error::Defect(_) | store::Error::NoAnswer => defect(),
    }
}
