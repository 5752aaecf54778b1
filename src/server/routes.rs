//! Which endpoint answers a path.

use crate::endpoint::{Error, Services, user_login};
use crate::hashing::Permit;
use crate::http::{Reply, Request, path_of};

/// Whether answering may have to wait for hashing or for the disk.
pub(super) fn is_slow(request: &tiny_http::Request) -> bool {
    path_of(request.url()) == user_login::PATH && request.method().as_str() == user_login::ALLOW
}

/// Finds the endpoint and lets it answer.
pub(super) fn handle(
    services: &Services,
    request: &mut Request<'_>,
    permit: Option<&Permit>,
) -> Result<Reply, Error> {
    match (request.path(), request.method().as_str()) {
        (user_login::PATH, user_login::ALLOW) => user_login::handle(services, request, permit),
        (user_login::PATH, method) => Err(Error::MethodNotAllowed {
            method: method.to_owned(),
            allow: user_login::ALLOW,
        }),
        _ => Err(Error::NotFound),
    }
}
