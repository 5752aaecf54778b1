//! Restores failed logins and known addresses that earlier servers have stored.

use std::net::IpAddr;

use super::throttle::{FailedLoginLimits, MAX_ENTRIES, Throttle};
use crate::account::Username;
use crate::clock::Now;
use crate::store::{self, LimitKind, Store};

/// A throttle with the counters and known addresses of the database, under these limits.
///
/// # Errors
/// The database cannot be read.
pub(super) fn throttle(
    store: &Store,
    limits: FailedLoginLimits,
    now: Now,
) -> Result<Throttle, store::Error> {
    let read = || read(store, limits, now);
    // The first read checks the database's path. A failed check alone is no reason not to start.
    read().or_else(|_| store.check_path().and_then(|()| read()))
}

fn read(store: &Store, limits: FailedLoginLimits, now: Now) -> Result<Throttle, store::Error> {
    let throttle = Throttle::new(store.throttle_secret()?, limits);
    let mut changed = Vec::new();
    for kind in LimitKind::ALL {
        let counters = store.failed_logins(kind, MAX_ENTRIES)?;
        changed.extend(throttle.restore(counters.into_iter().rev(), now));
    }
    if !changed.is_empty()
        && let Err(error) = store.put_failed_logins(changed)
    {
        tracing::warn!(%error, "cannot update the stored counters of failed logins to the present limits");
    }
    // Known addresses are only needed for the limit per account.
    if limits.of(LimitKind::Username).is_some() {
        let known = store.known_addresses(MAX_ENTRIES)?;
        for (username, address) in known.iter().rev() {
            let (username, address) = (Username::parse(username), address.parse::<IpAddr>());
            if let (Ok(username), Ok(address)) = (username, address) {
                throttle.know(&throttle.subject(&username, address));
            }
        }
    }
    Ok(throttle)
}
