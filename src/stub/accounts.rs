//! `/__stub/accounts/`: who can log in, with which password.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::fixture::{Fixture, Organization, Secret, User};
use crate::http::{JSON, Reply};

/// The whole answer: nothing that the stub does changes an account.
pub(super) struct Accounts(Zeroizing<Vec<u8>>);

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
    pub(super) fn of(fixture: &Fixture) -> Self {
        let accounts = fixture
            .organizations
            .iter()
            .flat_map(|org| org.users.iter().map(move |user| account(org, user)))
            .collect();
        let body = serde_json::to_vec(&Answer { accounts });
        Self(Zeroizing::new(
            body.expect("a list of texts has a JSON form"),
        ))
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::text(200, JSON, self.0.to_vec())
    }
}

fn account<'f>(org: &'f Organization, user: &'f User) -> Account<'f> {
    Account {
        username: user.username.as_str(),
        password: clear_password(user),
        org: &org.name,
        org_type: org.org_type.as_str(),
        user_status: user.status.as_str(),
        org_status: org.status.as_str(),
    }
}

/// A password that the fixture gave in clear.
pub(super) fn clear_password(user: &User) -> Option<&str> {
    match &user.secret {
        Secret::Password(password) => std::str::from_utf8(password.as_bytes()).ok(),
        Secret::Hash(_) => None,
    }
}
