//! `GET /api/organizations/`: the caller's organization.

use serde::Serialize;

use super::authorization::authorize_account_call;
use super::{Error, Services, iso8601};
use crate::account::Person;
use crate::http::{Reply, Request};
use crate::store::Organization;

/// The path of the call.
pub const PATH: &str = "/api/organizations/";

/// Answers the organization of the user whose token is presented.
///
/// # Errors
/// See [`Error`].
pub fn handle(services: &Services, request: &mut Request<'_>) -> Result<Reply, Error> {
    let (_, holder) = authorize_account_call(services, request)?;
    let organization = services.auth.organization(&holder)?;
    Ok(Reply::json(200, &OrganizationAnswer::from(&organization)))
}

/// The body of the answer, as published; the order of the fields matters.
#[derive(Serialize)]
struct OrganizationAnswer<'o> {
    uuid: &'o str,
    name: &'o str,
    org_type: &'static str,
    status: &'static str,
    created_date: String,
    active_date: Option<String>,
    account_manager: Option<&'o Person>,
}

impl<'o> From<&'o Organization> for OrganizationAnswer<'o> {
    fn from(organization: &'o Organization) -> Self {
        Self {
            uuid: &organization.uuid,
            name: &organization.name,
            org_type: organization.org_type.as_str(),
            status: organization.status.as_str(),
            created_date: iso8601(organization.created_date),
            active_date: organization.active_date.map(iso8601),
            account_manager: organization.account_manager.as_ref(),
        }
    }
}
