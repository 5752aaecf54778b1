//! `POST /api/organizations/user-logout/` and `POST /api/organizations/user-logout-all/`: end one token, or all tokens of
//! the user. A pinned token stays valid.

use super::authorization::authorize_account_call;
use super::{Error, Services};
use crate::http::{Reply, Request};

/// The path of the call that ends the presented token.
pub const PATH: &str = "/api/organizations/user-logout/";
/// The path of the call that ends all of the user's tokens.
pub const ALL_PATH: &str = "/api/organizations/user-logout-all/";

/// Ends the presented token.
///
/// # Errors
/// See [`Error`].
pub fn handle(services: &Services, request: &mut Request<'_>) -> Result<Reply, Error> {
    let (token, _) = authorize_account_call(services, request)?;
    services.auth.log_out(&token)?;
    Ok(Reply::no_content())
}

/// Ends all tokens of the user.
///
/// # Errors
/// See [`Error`].
pub fn handle_all(services: &Services, request: &mut Request<'_>) -> Result<Reply, Error> {
    let (_, holder) = authorize_account_call(services, request)?;
    services.auth.log_out_everywhere(&holder)?;
    Ok(Reply::no_content())
}
