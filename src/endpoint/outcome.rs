//! The statuses and texts of all answers to calls that did not succeed.

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

/// The challenge of every 401: the authentication scheme of the account calls.
const CHALLENGE: &str = "Token";

/// The `Retry-After` of a 503, in seconds: a lock is held, or a queue is full, only for a moment.
const RETRY_AFTER: &str = "1";

/// How long the answer is delayed if a client exceeds its share, so that repeating the request at once does not affect
/// others.
const BUSY_PAUSE: Duration = Duration::from_secs(1);

/// Why a call did not succeed.
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
        /// The methods of the endpoint, in the format of the `Allow` header field.
        allow: &'static str,
    },
    /// The request cannot be processed by any endpoint.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// A field of the body is missing or invalid.
    #[error("a field of the body is missing or invalid")]
    Fields(FieldErrors),
    /// A defect of this program.
    #[error("a defect")]
    Defect,
    /// Logins cannot be answered at the moment. The answer is the same for a locked and for a corrupt database: in both
    /// cases a load balancer must send logins to another server.
    #[error("not ready")]
    NotReady(#[source] store::Error),
    /// New connections do not reach the server. This request came over a connection that was opened before.
    #[error("new connections do not reach the server")]
    Unreachable,
    /// The user, its organization or the server has reached the limit of lists that are being read or sent.
    #[error("too many lists are being read or sent")]
    TooManyLists,
    /// The long answers that clients have not read yet use too much memory.
    #[error("too many long answers are being sent")]
    TooManyLongAnswers,
    /// The Authorization header field contains no token.
    #[error(transparent)]
    Header(#[from] HeaderFault),
    /// The login did not succeed, or the token is not valid.
    #[error(transparent)]
    Auth(#[from] auth::Error),
}

impl Error {
    /// Whether the cause was already logged, once for all requests that fail because of it.
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

/// Runs a call and returns its reply, the reply for its error, or after a panic the reply for a defect.
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

/// The text of an error and of all its causes, on one line.
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
        | store::Error::ImportInProgress => unavailable(),
        store::Error::Defect(_) | store::Error::NoAnswer => defect(),
    }
}
