//! Organizations and users as operators name them; what is not found is answered with what was probably meant.

use anyhow::{anyhow, bail};
use jiff::Timestamp;

use crate::store::{Listing, OrganizationOrder, OrganizationRow, Store, UserRow};

/// How alike two names must be, from 0 to 1, for one to be offered instead of the other.
const LIKENESS: f64 = 0.7;

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
            Err(nearest.missing("organization", "org"))
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
    Err(nearest.missing("user", "user"))
}

/// The most alike of the names that are offered.
struct Nearest<'n> {
    wanted: &'n str,
    lower: String,
    best: Option<(f64, String)>,
}

impl<'n> Nearest<'n> {
    fn to(wanted: &'n str) -> Self {
        Self {
            wanted,
            lower: wanted.to_lowercase(),
            best: None,
        }
    }

    fn offer(&mut self, name: &str) {
        let likeness = strsim::normalized_damerau_levenshtein(&self.lower, &name.to_lowercase());
        let bar = self.best.as_ref().map_or(LIKENESS, |(best, _)| *best);
        if likeness >= bar {
            self.best = Some((likeness, name.to_owned()));
        }
    }

    fn missing(&self, what: &str, noun: &str) -> anyhow::Error {
        let wanted = self.wanted;
        match &self.best {
            Some((_, best)) => anyhow!("no such {what} {wanted:?}: did you mean \"{best}\"?"),
            None => anyhow!("no such {what} {wanted:?} (`thanos-login {noun} list` shows all)"),
        }
    }
}
