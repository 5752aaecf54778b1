//! `/__stub/accounts/`: lists the accounts with their passwords, and adds, changes and removes them. A reset restores
//! the accounts of the fixture.
//!
//! Changes use the same import as fixtures do, so that the same rules apply.

use std::collections::BTreeSet;
use std::path::Path;

use parking_lot::Mutex;
use percent_encoding::percent_decode_str;
use serde::Serialize;

use super::account_change::{Change, RequestedAccount};
use super::error::{Error, FieldErrors};
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
    current: Mutex<CurrentAccounts>,
}

/// The accounts of the database, with the passwords that only the fixture and the stub's callers know.
#[derive(Default)]
struct CurrentAccounts {
    /// Organizations keep their indexes; added organizations come last.
    accounts: accounts::Accounts,
    /// The usernames that a reset has to restore, in lower case.
    changed_usernames: BTreeSet<String>,
    /// The changed usernames that were removed at least once, so that a present row is not the original one.
    removed_usernames: BTreeSet<String>,
    /// The indexes of the organizations that a reset has to restore.
    changed_organizations: BTreeSet<usize>,
}

#[derive(Serialize)]
struct AccountsAnswer<'f> {
    accounts: Vec<AccountAnswer<'f>>,
}

#[derive(Serialize)]
struct AccountAnswer<'f> {
    username: &'f str,
    /// `None` if only a hash is known.
    password: Option<&'f str>,
    org: &'f str,
    org_type: &'static str,
    user_status: &'static str,
    org_status: &'static str,
}

impl Accounts {
    pub(super) fn of(demo: &accounts::Accounts) -> Self {
        let current = CurrentAccounts {
            accounts: demo.clone(),
            ..CurrentAccounts::default()
        };
        Self {
            start: demo.clone(),
            current: Mutex::new(current),
        }
    }

    pub(super) fn reply(&self) -> Reply {
        let current = self.current.lock();
        let all = current.accounts.users.iter();
        let accounts = all
            .filter_map(|entry| account(&current.accounts, entry))
            .collect();
        Reply::json(200, &AccountsAnswer { accounts })
    }

    /// Changes an account or adds it.
    pub(super) fn put(
        &self,
        username: &Username,
        body: &Body,
        services: &Services,
    ) -> Result<Reply, Error> {
        let wanted = RequestedAccount::read(body)?;
        let mut current = self.current.lock();
        let user = position(&current.accounts, username);
        let change = Change::new(&current.accounts, user, username, wanted)?;
        current.note(username, change.organization);
        import(change.records, &KEEP_PINS, services)?;
        let organizations = &mut current.accounts.organizations;
        match organizations.get_mut(change.organization) {
            Some(organization) => *organization = change.shown_organization,
            None => organizations.push(change.shown_organization),
        }
        let users = &mut current.accounts.users;
        let user = user.unwrap_or(users.len());
        match users.get_mut(user) {
            Some(entry) => *entry = change.shown_user,
            None => users.push(change.shown_user),
        }
        Ok(Reply::json(
            200,
            &account(&current.accounts, &current.accounts.users[user]),
        ))
    }

    pub(super) fn remove(&self, username: &Username, services: &Services) -> Result<Reply, Error> {
        let mut current = self.current.lock();
        let user = position(&current.accounts, username).ok_or(endpoint::Error::NotFound)?;
        current.changed_usernames.insert(lower(username));
        current.removed_usernames.insert(lower(username));
        remove_user(username, services)?;
        current.accounts.users.remove(user);
        Ok(Reply::no_content())
    }

    /// Restores all accounts of the start. Unchanged accounts take no time.
    pub(super) fn reset(&self, services: &Services) -> Result<(), Error> {
        let mut current = self.current.lock();
        for name in &current.changed_usernames {
            let username = Username::parse(name);
            let username = username.expect("it was one, and letter case does not matter");
            let is_added = position(&self.start, &username).is_none();
            if is_added || current.removed_usernames.contains(name) {
                remove_user(&username, services)?;
            }
        }
        import(self.changed(&current), &ImportOptions::SEED, services)?;
        self.remove_added_organizations(&current, services)?;
        *current = Self::of(&self.start).current.into_inner();
        Ok(())
    }

    /// The fixture's records of the changed accounts, with explicit statuses.
    fn changed(&self, current: &CurrentAccounts) -> accounts::Accounts {
        let is_changed = |entry: &&UserEntry| {
            let username = entry.user.username.as_ref().map(lower);
            username.is_some_and(|name| current.changed_usernames.contains(&name))
        };
        let mut users: Vec<UserEntry> = self
            .start
            .users
            .iter()
            .filter(is_changed)
            .cloned()
            .collect();
        let mut needed = current.changed_organizations.clone();
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

    /// Removes the added organizations, which have no users any more.
    fn remove_added_organizations(
        &self,
        current: &CurrentAccounts,
        services: &Services,
    ) -> Result<(), Error> {
        let added = &current.accounts.organizations[self.start.organizations.len()..];
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

/// Keeps pinned tokens, which only end with a change of password or status.
const KEEP_PINS: ImportOptions = ImportOptions {
    pins: Pins::Keep,
    ..ImportOptions::SEED
};

impl CurrentAccounts {
    /// Remembers what a reset has to restore. To be called before anything is written.
    fn note(&mut self, username: &Username, organization: usize) {
        self.changed_usernames.insert(lower(username));
        self.changed_organizations.insert(organization);
    }
}

/// The username in the path of one account, still percent-encoded.
pub(super) fn username_in(path: &str) -> Option<&str> {
    let username = path.strip_prefix(ALL)?.strip_suffix('/')?;
    (!username.is_empty() && !username.contains('/')).then_some(username)
}

pub(super) fn read_username(path: &str) -> Result<Username, Error> {
    let sent = username_in(path).unwrap_or_default();
    let decoded = percent_decode_str(sent).decode_utf8();
    let username = decoded
        .map_err(|_| "not UTF-8".to_owned())
        .and_then(|text| Username::parse(&text).map_err(|errors| errors.to_string()));
    username.map_err(|wrong| {
        let mut errors = FieldErrors::default();
        errors.add("username", wrong);
        Error::Fields(errors)
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

/// Removes the user with this username, if there is one.
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

fn account<'f>(
    accounts: &'f accounts::Accounts,
    entry: &'f UserEntry,
) -> Option<AccountAnswer<'f>> {
    let (_, org): &(_, Organization) = accounts.organizations.get(entry.place.organization()?)?;
    let user = &entry.user;
    Some(AccountAnswer {
        username: user.username.as_ref()?.as_str(),
        password: clear_password(user),
        org: &org.name,
        org_type: org.org_type.as_str(),
        user_status: user.status.unwrap_or(UserStatus::Active).as_str(),
        org_status: org.status.unwrap_or(OrganizationStatus::Active).as_str(),
    })
}

/// The password of a user, if it is known in clear text.
pub(super) fn clear_password(user: &User) -> Option<&str> {
    user.password.as_ref().map(Password::as_str)
}

/// The usernames with a pinned token, in lower case.
pub(super) fn pinned(demo: &accounts::Accounts) -> Vec<String> {
    let users = demo.users.iter().map(|entry| &entry.user);
    users
        .filter(|user| user.auth_token.is_some())
        .filter_map(|user| Some(user.username.as_ref()?.as_str().to_ascii_lowercase()))
        .collect()
}
