//! What a file of users cannot say about itself alone: whether its organizations exist, what other rows hold, and which
//! passwords are too easily guessed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::auth::check_new_password;
use crate::cli::name;
use crate::fixture::{LineFinding, Secret, UserRecord};
use crate::hashing::default_threads;
use crate::seed::{PlacedUser, find_user_claims};
use crate::store::{self, Store};
use crate::threads;

/// A user and the line it came from.
pub(super) type Placed = (u64, PlacedUser);

/// Finds the organizations of users, each of them once.
pub(super) struct Resolver<'s> {
    store: &'s Store,
    default_id: Option<i64>,
    known: HashMap<String, Result<i64, String>>,
}

impl<'s> Resolver<'s> {
    pub(super) fn new(store: &'s Store, default: Option<&str>) -> anyhow::Result<Self> {
        let default_id = default
            .map(|org| name::organization(store, org))
            .transpose()?
            .map(|organization| organization.id);
        Ok(Self {
            store,
            default_id,
            known: HashMap::new(),
        })
    }

    /// Gives the users that can be where they shall be, and the findings of the others.
    pub(super) fn place(
        &mut self,
        records: Vec<UserRecord>,
    ) -> Result<(Vec<Placed>, Vec<LineFinding>), store::Error> {
        let mut placed = Vec::with_capacity(records.len());
        let mut findings = Vec::new();
        for record in records {
            let line = record.line;
            let before = findings.len();
            let org_id = self.org_id(&record);
            if let Err(message) = &org_id {
                let message = format!("org: {message}");
                findings.push(LineFinding { line, message });
            }
            for finding in find_user_claims(self.store, "", &record.user)? {
                let message = finding.to_string().trim_start_matches('.').to_owned();
                findings.push(LineFinding { line, message });
            }
            if let Ok(org_id) = org_id
                && findings.len() == before
            {
                let user = record.user;
                placed.push((line, PlacedUser { org_id, user }));
            }
        }
        Ok((placed, findings))
    }

    /// The record's own, or else the one that was asked for, or else the one the user is in.
    fn org_id(&mut self, record: &UserRecord) -> Result<i64, String> {
        let org = match (&record.org, self.default_id, &record.present_org) {
            (Some(org), _, _) => org,
            (None, Some(id), _) => return Ok(id),
            (None, None, Some(org)) => org,
            (None, None, None) => {
                return Err("missing, and --org names none".to_owned());
            }
        };
        if let Some(known) = self.known.get(org) {
            return known.clone();
        }
        let found = name::organization(self.store, org)
            .map(|organization| organization.id)
            .map_err(|error| format!("{error:#}"));
        self.known.insert(org.clone(), found.clone());
        found
    }
}

/// Gives the users whose passwords keep the rules, and the findings of the others. Guessing takes about a millisecond for
/// each, so every core takes part.
pub(super) fn check_passwords(users: Vec<Placed>) -> (Vec<Placed>, Vec<LineFinding>) {
    let next = AtomicUsize::new(0);
    let check = || {
        let mut findings = Vec::new();
        while let Some(user) = users.get(next.fetch_add(1, Ordering::Relaxed)) {
            findings.extend(fault(user));
        }
        findings
    };
    let findings = threads::share(default_threads().min(users.len()), check);
    let findings: Vec<LineFinding> = findings.into_iter().flatten().collect();
    let bad: std::collections::HashSet<u64> = findings.iter().map(|finding| finding.line).collect();
    let good = users
        .into_iter()
        .filter(|(line, _)| !bad.contains(line))
        .collect();
    (good, findings)
}

fn fault((line, placed): &Placed) -> Option<LineFinding> {
    let Secret::Password(password) = &placed.user.secret else {
        return None;
    };
    let fault = check_new_password(password, Some(&placed.user.username), true).err()?;
    Some(LineFinding {
        line: *line,
        message: format!("password: {fault}"),
    })
}
