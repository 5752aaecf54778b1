//! Going on with failed logins and known addresses where the last server stopped.

use std::net::IpAddr;

use super::throttle::{Limits, MAX_ENTRIES, Throttle};
use crate::account::Username;
use crate::clock::Now;
use crate::store::{self, LimitKind, Store};

/// A throttle that knows what the database has of earlier ones, as it counts under these limits.
///
/// # Errors
/// When the database cannot be read.
pub(super) fn throttle(store: &Store, limits: Limits, now: Now) -> Result<Throttle, store::Error> {
    let read = || read(store, limits, now);
    // The first read looks at the database's path; one look that fails is no reason not to start.
    read().or_else(|_| store.check_path().and_then(|()| read()))
}

fn read(store: &Store, limits: Limits, now: Now) -> Result<Throttle, store::Error> {
    let throttle = Throttle::new(store.throttle_secret()?, limits);
    let mut changed = Vec::new();
    for kind in LimitKind::ALL {
        let counters = store.failed_logins(kind, MAX_ENTRIES)?;
        changed.extend(throttle.restore(counters.into_iter().rev(), now));
    }
    if !changed.is_empty()
        && let Err(error) = store.put_failed_logins(changed)
    {
        tracing::warn!(%error, "cannot write the counters of failed logins as they count now");
    }
    // Only the limit per account asks for them.
    if limits.of(LimitKind::Account).is_some() {
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
