//! `GET /healthz` and `GET /readyz`: whether the process is up, and whether it can answer logins.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::{Error, Services};
use crate::hashing;
use crate::http::{Reply, Request};

/// The path that says whether the process is up.
pub const HEALTH_PATH: &str = "/healthz";
/// The path that says whether logins can be answered.
pub const READY_PATH: &str = "/readyz";

/// For how long the database counts as writable once a page of it was written.
pub const WRITABLE_FOR: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// # Errors
/// Never.
pub fn handle_health(_: &Services, _: &mut Request<'_>) -> Result<Reply, Error> {
    Ok(Reply::json(200, &Status { status: "ok" }))
}

/// # Errors
/// Those of [`check_parts`], and [`Error::NotReady`] when the database cannot be read and written.
pub fn handle_ready(services: &Services, _: &mut Request<'_>) -> Result<Reply, Error> {
    check_parts(services)?;
    services
        .is_writable
        .get(|| services.store.check_writable())
        .map_err(Error::NotReady)?;
    Ok(Reply::json(200, &Status { status: "ready" }))
}

/// Finds out what shows without waiting for the database.
///
/// # Errors
/// [`Error::Unreachable`] when new connections do not get here, [`Error::NotReady`] when the path of the database leads to
/// another file, [`Error::Auth`] when hashing has ended.
pub fn check_parts(services: &Services) -> Result<(), Error> {
    if !services.is_reachable.load(Ordering::Relaxed) {
        return Err(Error::Unreachable);
    }
    // Cheap, and not to be kept: a file that was replaced is noticed at once.
    services.store.check_path().map_err(Error::NotReady)?;
    if !services.engine.is_alive() {
        return Err(hashing::Error::Stopped.into());
    }
    Ok(())
}
