//! `GET /api/organizations/token-verify/`: whether a token counts, for reverse proxies that guard other services.

use serde::Serialize;

use super::authorization::authorize_account_call;
use super::{Error, Services, iso8601};
use crate::http::{Reply, Request};

/// The path.
pub const PATH: &str = "/api/organizations/token-verify/";

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
    // Always all three: a proxy that copies what is there must never keep one that a client sent.
    Ok(Reply::json(200, &answer)
        .with("X-Auth-User", &*holder.user_uuid)
        .with("X-Auth-Org", &*holder.org_uuid)
        .with("X-Auth-Org-Type", holder.org_type.as_str()))
}

#[derive(Serialize)]
struct TokenAnswer<'h> {
    org_uuid: &'h str,
    user_uuid: &'h str,
    retailer_uuid: &'h str,
    supplier_uuid: &'h str,
    org_type: &'static str,
    /// RFC 3339 in UTC; `null` is never.
    expires_at: Option<String>,
}
