//! `/__stub/accounts/`: who can log in, with which password; accounts that are added, changed and removed meanwhile, and
//! put back by a reset.
//!
//! What is written goes through the import that fixtures go through, so that the same rules hold.

use std::collections::BTreeSet;
use std::path::Path;

use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::account_change::{Change, Wanted};
use super::outcome::{Error, Faults};
use crate::account::{OrganizationStatus, UserStatus, Username};
use crate::accounts::{self, ImportOptions, Organization, User, UserEntry};
use crate::endpoint::{self, Services};
use crate::hashing::Password;
use crate::http::{Body, Reply};
use crate::store::Pins;

/// The path of the list.
pub(super) const ALL: &str = "/__stub/accounts/";
/// The path of one account.
pub(super) const ONE: &str = "/__stub/accounts/{username}/";

pub(super) struct Accounts {
    start: accounts::Accounts,
    present: Mutex<Present>,
}

/// The accounts of the database, with what only the fixture and the stub's callers know of them.
#[derive(Default)]
struct Present {
    /// Organizations keep their places; those that were added come last.
    accounts: accounts::Accounts,
    /// The accounts that a reset has to look at, in lower case.
    changed_usernames: BTreeSet<String>,
    /// Those of them that were removed at least once: what is there now is not the row of the start.
    removed_usernames: BTreeSet<String>,
    /// The indexes of the organizations that a reset has to look at.
    changed_organizations: BTreeSet<usize>,
}

#[derive(Serialize)]
struct Answer<'f> {
    accounts: Vec<Account<'f>>,
}

#[derive(Serialize)]
struct Account<'f> {
    username: &'f str,
    /// `None` where only a hash is known.
    password: Option<&'f str>,
    org: &'f str,
    org_type: &'static str,
    user_status: &'static str,
    org_status: &'static str,
}

impl Accounts {
    pub(super) fn of(demo: &accounts::Accounts) -> Self {
        let present = Present {
            accounts: demo.clone(),
            ..Present::default()
        };
        Self {
            start: demo.clone(),
            present: Mutex::new(present),
        }
    }

    pub(super) fn reply(&self) -> Reply {
        let present = self.present.lock();
        let all = present.accounts.users.iter();
        let accounts = all
            .filter_map(|entry| account(&present.accounts, entry))
            .collect();
        Reply::json(200, &Answer { accounts })
    }

    /// Changes the account, or adds it.
    pub(super) fn put(
        &self,
        username: &Username,
        body: &Body,
        services: &Services,
    ) -> Result<Reply, Error> {
        let wanted = Wanted::read(body)?;
        let mut present = self.present.lock();
        let user = position(&present.accounts, username);
        let change = Change::new(&present.accounts, user, username, wanted)?;
        present.note(username, change.organization);
        import(change.records, &KEEP_PINS, services)?;
        let organizations = &mut present.accounts.organizations;
        match organizations.get_mut(change.organization) {
            Some(organization) => *organization = change.shown_organization,
            None => organizations.push(change.shown_organization),
        }
        let users = &mut present.accounts.users;
        let user = user.unwrap_or(users.len());
        match users.get_mut(user) {
            Some(entry) => *entry = change.shown_user,
            None => users.push(change.shown_user),
        }
        Ok(Reply::json(
            200,
            &account(&present.accounts, &present.accounts.users[user]),
        ))
    }

    pub(super) fn remove(&self, username: &Username, services: &Services) -> Result<Reply, Error> {
        let mut present = self.present.lock();
        let user = position(&present.accounts, username).ok_or(endpoint::Error::NotFound)?;
        present.changed_usernames.insert(lower(username));
        present.removed_usernames.insert(lower(username));
        remove_user(username, services)?;
        present.accounts.users.remove(user);
        Ok(Reply::no_content())
    }

    /// Puts all accounts back to what they were at the start. Those that were left alone cost nothing.
    pub(super) fn reset(&self, services: &Services) -> Result<(), Error> {
        let mut present = self.present.lock();
        for name in &present.changed_usernames {
            let username = Username::parse(name);
            let username = username.expect("it was one, and letter case does not matter");
            let is_added = position(&self.start, &username).is_none();
            if is_added || present.removed_usernames.contains(name) {
                remove_user(&username, services)?;
            }
        }
        import(self.changed(&present), &ImportOptions::SEED, services)?;
        self.remove_added_organizations(&present, services)?;
        *present = Self::of(&self.start).present.into_inner();
        Ok(())
    }

    /// What the fixture says of the accounts that were changed, with the statuses that it leaves out.
    fn changed(&self, present: &Present) -> accounts::Accounts {
        let is_changed = |entry: &&UserEntry| {
            let username = entry.user.username.as_ref().map(lower);
            username.is_some_and(|name| present.changed_usernames.contains(&name))
        };
        let mut users: Vec<UserEntry> = self
            .start
            .users
            .iter()
            .filter(is_changed)
            .cloned()
            .collect();
        let mut needed = present.changed_organizations.clone();
        for entry in &mut users {
            entry.user.status.get_or_insert(UserStatus::Active);
            needed.extend(entry.place.organization());
        }
        let organizations = self.start.organizations.iter().enumerate();
        let organizations = organizations.filter(|(index, _)| needed.contains(index));
        let organizations = organizations.map(|(_, (place, organization))| {
            let mut organization = organization.clone();
            organization
                .status
                .get_or_insert(OrganizationStatus::Active);
            (*place, organization)
        });
        accounts::Accounts {
            organizations: organizations.collect(),
            users,
        }
    }

    /// Nobody is in them any more.
    fn remove_added_organizations(
        &self,
        present: &Present,
        services: &Services,
    ) -> Result<(), Error> {
        let added = &present.accounts.organizations[self.start.organizations.len()..];
        for (_, organization) in added {
            let uuid = organization.identity();
            services
                .store
                .remove_organization(uuid, true, u32::MAX, (services.clock)().date)
                .map_err(from_store)?;
        }
        Ok(())
    }
}

/// A pinned token ends with a password and a status only.
const KEEP_PINS: ImportOptions = ImportOptions {
    pins: Pins::Keep,
    ..ImportOptions::SEED
};

impl Present {
    /// Notes what a reset has to look at, before anything is written.
    fn note(&mut self, username: &Username, organization: usize) {
        self.changed_usernames.insert(lower(username));
        self.changed_organizations.insert(organization);
    }
}

/// The username in the path of an account's own call, as it was sent.
pub(super) fn username_in(path: &str) -> Option<&str> {
    let username = path.strip_prefix(ALL)?.strip_suffix('/')?;
    (!username.is_empty() && !username.contains('/')).then_some(username)
}

pub(super) fn read_username(path: &str) -> Result<Username, Error> {
    let sent = username_in(path).unwrap_or_default();
    let decoded = percent_decode_str(sent).decode_utf8();
    let username = decoded
        .map_err(|_| "not UTF-8".to_owned())
        .and_then(|text| Username::parse(&text).map_err(|faults| faults.to_string()));
    username.map_err(|wrong| {
        let mut faults = Faults::default();
        faults.add("username", wrong);
        Error::Fields(faults)
    })
}

fn lower(username: &Username) -> String {
    username.as_str().to_ascii_lowercase()
}

fn position(accounts: &accounts::Accounts, username: &Username) -> Option<usize> {
    accounts.users.iter().position(|entry| {
        let other = entry.user.username.as_ref();
        other.is_some_and(|other| other.as_str().eq_ignore_ascii_case(username.as_str()))
    })
}

/// Removes the user of this name, if there is one.
fn remove_user(username: &Username, services: &Services) -> Result<(), Error> {
    let now = (services.clock)().date;
    let row = services.store.user_called(username.as_str(), now);
    if let Some(row) = row.map_err(from_store)?
        && row.username.eq_ignore_ascii_case(username.as_str())
    {
        services
            .store
            .remove_user(row.uuid, now)
            .map_err(from_store)?;
    }
    Ok(())
}

fn import(
    records: accounts::Accounts,
    options: &ImportOptions,
    services: &Services,
) -> Result<(), Error> {
    let now = (services.clock)().date;
    let cost = services.auth.bcrypt_cost();
    let (store, engine) = (&services.store, &services.engine);
    let read = accounts::ParsedAccounts::of_records(records);
    let checked = accounts::check(store, Path::new("accounts"), read, options)?;
    checked.import(store, engine, Some(cost), now, &mut |_, _| {})?;
    Ok(())
}

fn from_store(error: crate::store::Error) -> Error {
    accounts::Error::Store(error).into()
}

fn account<'f>(accounts: &'f accounts::Accounts, entry: &'f UserEntry) -> Option<Account<'f>> {
    let (_, org): &(_, Organization) = accounts.organizations.get(entry.place.organization()?)?;
    let user = &entry.user;
    Some(Account {
        username: user.username.as_ref()?.as_str(),
        password: clear_password(user),
        org: &org.name,
        org_type: org.org_type.as_str(),
        user_status: user.status.unwrap_or(UserStatus::Active).as_str(),
        org_status: org.status.unwrap_or(OrganizationStatus::Active).as_str(),
    })
}

/// A password that is known in clear.
pub(super) fn clear_password(user: &User) -> Option<&str> {
    user.password.as_ref().map(Password::as_str)
}

/// The usernames of which each login answers the same token.
pub(super) fn pinned(demo: &accounts::Accounts) -> Vec<String> {
    let users = demo.users.iter().map(|entry| &entry.user);
    users
        .filter(|user| user.auth_token.is_some())
        .filter_map(|user| Some(user.username.as_ref()?.as_str().to_ascii_lowercase()))
        .collect()
}
