//! `POST /api/organizations/user-logout/` and `POST /api/organizations/user-logout-all/`: the end of one token, or of all
//! tokens of the user. A pinned token goes on.

use super::authorization::authorize_account_call;
use super::{Error, Services};
use crate::http::{Reply, Request};

/// The path that ends the presented token.
pub const PATH: &str = "/api/organizations/user-logout/";
/// The path that ends all of the user's tokens.
pub const ALL_PATH: &str = "/api/organizations/user-logout-all/";

/// # Errors
/// See [`Error`].
pub fn handle(services: &Services, request: &mut Request<'_>) -> Result<Reply, Error> {
    let (token, _) = authorize_account_call(services, request)?;
    services.auth.log_out(&token)?;
    Ok(Reply::no_content())
}

/// # Errors
/// See [`Error`].
pub fn handle_all(services: &Services, request: &mut Request<'_>) -> Result<Reply, Error> {
    let (_, holder) = authorize_account_call(services, request)?;
    services.auth.log_out_everywhere(&holder)?;
    Ok(Reply::no_content())
}
