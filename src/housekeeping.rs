//! Removing expired tokens in the background.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::endpoint::Clock;
use crate::periodic::{Periodic, Stop};
use crate::store::{self, Store};

/// So few that a login which waits for the same commit does not notice.
const BATCH: u32 = 500;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(5);

/// Starts the thread that removes expired tokens.
pub(crate) fn start(store: Arc<Store>, clock: Clock) -> io::Result<Periodic> {
    Periodic::start("housekeeping", INTERVAL, move |stop| {
        if let Err(error) = purge(&store, clock(), stop) {
            tracing::warn!(%error, "cannot remove expired tokens; they are refused all the same");
        }
    })
}

/// Each batch is a change of its own, so that logins get their turn in between.
fn purge(store: &Store, now: Timestamp, stop: &Stop) -> Result<(), store::Error> {
    let mut removed = 0;
    while store.has_expired(now)? && !stop.is_wanted() {
        removed += store.purge_expired(now, BATCH)?;
    }
    if removed > 0 {
        tracing::debug!(removed, "removed expired tokens");
    }
    Ok(())
}
