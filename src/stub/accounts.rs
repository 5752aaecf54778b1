//! `/__stub/accounts/`: who can log in, with which password.

use serde::Serialize;

use crate::account::{OrganizationStatus, UserStatus};
use crate::accounts::{self, Organization, User};
use crate::hashing::Password;
use crate::http::{JSON, Reply};

/// The whole answer: nothing that the stub does changes an account.
pub(super) struct Accounts(Vec<u8>);

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
        let accounts = demo
            .users
            .iter()
            .filter_map(|entry| {
                let (_, org) = demo.organizations.get(entry.place.organization()?)?;
                account(org, &entry.user)
            })
            .collect();
        let body = serde_json::to_vec(&Answer { accounts });
        Self(body.expect("a list of texts has a JSON form"))
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::text(200, JSON, self.0.clone())
    }
}

fn account<'f>(org: &'f Organization, user: &'f User) -> Option<Account<'f>> {
    Some(Account {
        username: user.username.as_ref()?.as_str(),
        password: clear_password(user),
        org: &org.name,
        org_type: org.org_type.as_str(),
        user_status: user.status.unwrap_or(UserStatus::Active).as_str(),
        org_status: org.status.unwrap_or(OrganizationStatus::Active).as_str(),
    })
}

/// A password that the fixture gave in clear.
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
