//! Requests that the gate answered itself: they are counted and logged like all others, and passed to the answerer, which
//! may keep them and add headers.

use std::sync::Arc;

use super::routes::OTHER;
use super::{Answerer, arrival, milliseconds};
use crate::endpoint::Services;
use crate::gate::{OnRefusal, Refused};
use crate::http::path_of;

pub(crate) fn on_refusal(answerer: Arc<dyn Answerer>, services: Arc<Services>) -> OnRefusal {
    OnRefusal::new(move |request| {
        record(&services, request);
        answerer.refused(request)
    })
}

/// No call was looked for, whatever the path: a slow client is no slow login.
fn record(services: &Services, request: &Refused<'_>) {
    let Refused {
        method,
        status,
        detail,
        duration,
        ..
    } = *request;
    services.metrics.observe(OTHER, status, duration);
    let peer = arrival::address(request.peer);
    let proxies = &services.trusted_proxies;
    let client = proxies.client(peer, |field| request.joined(field.name()));
    let client = client.to_string();
    let path = request.target.as_deref().map(path_of);
    let duration_ms = milliseconds(duration);
    tracing::info!(method, path, status, duration_ms, client, detail, "request");
}
