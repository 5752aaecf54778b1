//! `GET /healthz` and `GET /readyz`: whether the process is up, and whether it can answer logins.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::{Error, Services};
use crate::hashing;
use crate::http::{Reply, Request};

/// The path of the liveness probe.
pub const HEALTH_PATH: &str = "/healthz";
/// The path of the readiness probe.
pub const READY_PATH: &str = "/readyz";

/// How long a successful test write to the database counts.
pub const WRITABLE_FOR: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// Answers that the process is up.
///
/// # Errors
/// Never.
pub fn handle_health(_: &Services, _: &mut Request<'_>) -> Result<Reply, Error> {
    Ok(Reply::json(200, &Status { status: "ok" }))
}

/// Answers whether logins can be answered.
///
/// # Errors
/// The errors of [`check_parts`], and [`Error::NotReady`] when the database cannot be read and written.
pub fn handle_ready(services: &Services, _: &mut Request<'_>) -> Result<Reply, Error> {
    check_parts(services)?;
    services
        .is_writable
        .get(|| services.store.check_writable())
        .map_err(Error::NotReady)?;
    Ok(Reply::json(200, &Status { status: "ready" }))
}

/// Checks everything that readiness requires and that can be checked without waiting for the database.
///
/// # Errors
/// [`Error::Unreachable`] when new connections do not reach the server, [`Error::NotReady`] when the path of the database
/// leads to another file or the file has another content, [`Error::Auth`] when the hashing engine has stopped.
pub fn check_parts(services: &Services) -> Result<(), Error> {
    if !services.is_reachable.load(Ordering::Relaxed) {
        return Err(Error::Unreachable);
    }
    // Not cached: a file that was moved or replaced is noticed at once, another content within seconds. The file is read
    // only if it has changed.
    services.store.check_path().map_err(Error::NotReady)?;
    if !services.engine.is_alive() {
        return Err(hashing::Error::Stopped.into());
    }
    Ok(())
}
