//! Organizations and users as operators name them; what is not found is answered with what was probably meant.

use anyhow::{anyhow, bail};
use jiff::Timestamp;

use crate::nearest::Nearest;
use crate::store::{Listing, OrganizationOrder, OrganizationRow, Store, UserRow};

/// Finds an organization by its name or UUID.
pub(super) fn organization(store: &Store, name: &str) -> anyhow::Result<OrganizationRow> {
    let mut found = store.organizations_called(name)?;
    match (found.pop(), found.is_empty()) {
        (Some(organization), true) => Ok(organization),
        (Some(last), false) => {
            found.push(last);
            let uuids: Vec<&str> = found.iter().map(|found| found.uuid.as_str()).collect();
            bail!(
                "{} organizations are called {name:?}: give the UUID of one ({})",
                found.len(),
                uuids.join(", ")
            )
        }
        (None, _) => {
            let mut nearest = Nearest::to(name);
            let all = Listing {
                order: OrganizationOrder::Name,
                reverse: false,
                limit: None,
            };
            store.for_each_organization(all, |organization| nearest.offer(&organization.name))?;
            Err(anyhow!(nearest.missing("organization", "org")))
        }
    }
}

/// Finds a user by its username or UUID.
pub(super) fn user(store: &Store, name: &str, now: Timestamp) -> anyhow::Result<UserRow> {
    if let Some(user) = store.user_called(name.trim(), now)? {
        return Ok(user);
    }
    let mut nearest = Nearest::to(name);
    store.for_each_username(|username| nearest.offer(username))?;
    Err(anyhow!(nearest.missing("user", "user")))
}
