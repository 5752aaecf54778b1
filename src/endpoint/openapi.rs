//! `GET /openapi.json`: the description of every call, for people's tools.

use super::{Error, Services};
use crate::http::{JSON, Reply, Request};

/// The path.
pub const PATH: &str = "/openapi.json";

/// OpenAPI 3.1, with an example of each answer.
pub const DESCRIPTION: &str = include_str!("openapi.json");

/// # Errors
/// Never.
pub fn handle(_: &Services, _: &mut Request<'_>) -> Result<Reply, Error> {
    Ok(Reply::text(200, JSON, DESCRIPTION))
}
