//! What the gate says about a request, in headers that no client can set.

use std::net::IpAddr;

use crate::gate::{BODY_TOO_LARGE, PEER, WARM_UP, original_field};
use crate::http::Arrival;

/// A request of the gate itself, which makes a new connection usable.
pub(super) fn is_warm_up(request: &tiny_http::Request) -> bool {
    value(request, WARM_UP).is_some()
}

pub(super) fn of(request: &tiny_http::Request) -> Arrival {
    Arrival {
        peer: value(request, PEER).and_then(address),
        body_too_large: value(request, BODY_TOO_LARGE).and_then(|limit| limit.parse().ok()),
        original: |name, value| {
            original_field(name, value).map(|(name, value)| (name.to_owned(), value))
        },
    }
}

/// `None` for a peer on a Unix socket.
pub(super) fn address(peer: &str) -> Option<IpAddr> {
    peer.parse().ok()
}

fn value<'r>(request: &'r tiny_http::Request, name: &'static str) -> Option<&'r str> {
    let mut headers = request.headers().iter();
    headers
        .find(|header| header.field.equiv(name))
        .map(|header| header.value.as_str())
}
