//! `GET /metrics`: metrics for Prometheus.

use super::health::check_parts;
use super::{Error, Services};
use crate::http::{Reply, Request};
use crate::metrics::Snapshot;

/// The path of the call.
pub const PATH: &str = "/metrics";

const CONTENT_TYPE: &str = "text/plain; version=0.0.4";

/// Answers all metrics in the text format of Prometheus.
///
/// # Errors
/// [`Error::Defect`] when the metrics cannot be encoded.
pub fn handle(services: &Services, _: &mut Request<'_>) -> Result<Reply, Error> {
    let load = services.engine.load();
    let database = services
        .database_metrics
        .get(|| services.store.metrics((services.clock)().date))
        .inspect_err(|error| tracing::warn!(%error, "cannot read the metrics of the database"))
        .ok();
    let snapshot = Snapshot {
        // Readiness is checked without a test write, because a scrape must not wait for another process that writes.
        is_ready: check_parts(services).is_ok() && database.is_some(),
        hash_queue: services.permits.limit(),
        logins_in_work: services.permits.taken(),
        hashes_waiting: load.waiting,
        lanes_in_use: load.in_work,
        lanes: load.lanes,
        database,
    };
    let text = services
        .metrics
        .text(&snapshot)
        .map_err(|_| Error::Defect)?;
    Ok(Reply::text(200, CONTENT_TYPE, text))
}
