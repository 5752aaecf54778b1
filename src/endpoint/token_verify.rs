//! `GET /api/organizations/token-verify/`: whether a token is valid, for reverse proxies that protect other services.

use serde::Serialize;

use super::authorization::authorize_account_call;
use super::{Error, Services, iso8601};
use crate::http::{Reply, Request};

/// The path of the call.
pub const PATH: &str = "/api/organizations/token-verify/";

/// Answers whose token is presented, and when it expires, in the body and in header fields.
///
/// # Errors
/// See [`Error`].
pub fn handle(services: &Services, request: &mut Request<'_>) -> Result<Reply, Error> {
    let (_, holder) = authorize_account_call(services, request)?;
    let (retailer_uuid, supplier_uuid) = holder.org_type.split(holder.party_uuid.as_str());
    let answer = TokenAnswer {
        org_uuid: &holder.org_uuid,
        user_uuid: &holder.user_uuid,
        retailer_uuid,
        supplier_uuid,
        org_type: holder.org_type.as_str(),
        expires_at: holder.expires_at.map(iso8601),
    };
    // All three are always sent, so that a proxy which copies them always replaces those that a client sent.
    Ok(Reply::json(200, &answer)
        .with("X-Auth-User", &*holder.user_uuid)
        .with("X-Auth-Org", &*holder.org_uuid)
        .with("X-Auth-Org-Type", holder.org_type.as_str()))
}

/// The body of the answer.
#[derive(Serialize)]
struct TokenAnswer<'h> {
    org_uuid: &'h str,
    user_uuid: &'h str,
    retailer_uuid: &'h str,
    supplier_uuid: &'h str,
    org_type: &'static str,
    /// The time in UTC in the format of RFC 3339; `null` if the token never expires.
    expires_at: Option<String>,
}
