//! `GET /openapi.json`: the OpenAPI description of every call.

use super::{Error, Services};
use crate::http::{JSON, Reply, Request};

/// The path of the call.
pub const PATH: &str = "/openapi.json";

/// The description in OpenAPI 3.1, with an example of each answer.
pub const DESCRIPTION: &str = include_str!("openapi.json");

/// Answers the description.
///
/// # Errors
/// Never.
pub fn handle(_: &Services, _: &mut Request<'_>) -> Result<Reply, Error> {
    Ok(Reply::text(200, JSON, DESCRIPTION))
}
