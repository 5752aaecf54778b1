//! Reads the header fields that the gate adds to a request, and that no client can set.

use std::net::IpAddr;

use crate::gate::{BODY_TOO_LARGE, PEER, WARM_UP, original_field};
use crate::http::Arrival;

/// Whether this is the gate's own request, with which it checks a new connection.
pub(super) fn is_warm_up(request: &tiny_http::Request) -> bool {
    value(request, WARM_UP).is_some()
}

/// What the gate says about a request.
pub(super) fn of(request: &tiny_http::Request) -> Arrival {
    Arrival {
        peer: value(request, PEER).and_then(address),
        body_too_large: value(request, BODY_TOO_LARGE).and_then(|limit| limit.parse().ok()),
        original: |name, value| {
            original_field(name, value).map(|(name, value)| (name.to_owned(), value))
        },
    }
}

/// The address of a peer; `None` if it is on a Unix socket.
pub(super) fn address(peer: &str) -> Option<IpAddr> {
    peer.parse().ok()
}

fn value<'r>(request: &'r tiny_http::Request, name: &'static str) -> Option<&'r str> {
    let mut headers = request.headers().iter();
    headers
        .find(|header| header.field.equiv(name))
        .map(|header| header.value.as_str())
}
