//! Turns the body of an account call into records that can be imported.

use std::str::FromStr;

use super::error::{Error, FieldErrors};
use super::input::Input;
use crate::account::{OrgType, OrganizationStatus, UserStatus, Username, normalized_uuid, trimmed};
use crate::accounts::{Accounts, Loaded, Organization, RecordPlace, User, UserEntry};
use crate::auth::{self, random_password};
use crate::endpoint;
use crate::hashing::Password;
use crate::http::Body;

const KEYS: &[&str] = &["password", "user_status", "org", "org_type", "org_status"];

/// The body of a request. A missing key keeps its value, or means the default of a new account.
pub(super) struct RequestedAccount {
    password: Option<Password>,
    user_status: Option<UserStatus>,
    org: Option<String>,
    org_type: Option<OrgType>,
    org_status: Option<OrganizationStatus>,
}

/// A change of one account.
pub(super) struct Change {
    /// The index of its organization. A new organization has the next free index.
    pub(super) organization: usize,
    /// The records to be imported: only what changes, and what identifies it.
    pub(super) records: Accounts,
    pub(super) shown_organization: (RecordPlace, Organization),
    pub(super) shown_user: UserEntry,
}

impl RequestedAccount {
    pub(super) fn read(body: &Body) -> Result<Self, Error> {
        let mut input = Input::of(body, KEYS)?;
        let wanted = Self {
            password: input.text("password")?.map(Password::new),
            user_status: word(&mut input, "user_status")?,
            org: input.text("org")?,
            org_type: word(&mut input, "org_type")?,
            org_status: word(&mut input, "org_status")?,
        };
        input.finish()?;
        Ok(wanted)
    }
}

fn word<T: FromStr<Err: ToString>>(input: &mut Input<'_>, key: &str) -> Result<Option<T>, Error> {
    let Some(text) = input.text(key)? else {
        return Ok(None);
    };
    let word = text.parse();
    Ok(word
        .map_err(|wrong: T::Err| input.error(key, wrong.to_string()))
        .ok())
}

impl Change {
    /// The change of an account; `user` is its index, or `None` for a new account. A new account without an
    /// organization gets an organization of its own, named after the username. A new account without a password gets a
    /// random one.
    pub(super) fn new(
        present: &Accounts,
        user: Option<usize>,
        username: &Username,
        wanted: RequestedAccount,
    ) -> Result<Self, Error> {
        let entry = user.and_then(|user| present.users.get(user));
        let index = match (&wanted.org, entry) {
            (Some(org), _) => organization_called(present, org)?,
            (None, Some(entry)) => entry.place.organization(),
            (None, None) => organization_called(present, username.as_str())?,
        };
        let index = index.unwrap_or(present.organizations.len());
        let name = wanted.org.as_deref().unwrap_or(username.as_str());
        let mut organization = match present.organizations.get(index) {
            Some((_, organization)) => organization.clone(),
            None => new_organization(trimmed(name)),
        };
        let mut shown = match entry {
            Some(entry) => entry.user.clone(),
            None => new_user(username)?,
        };
        if let Some(org_type) = wanted.org_type {
            organization.org_type = org_type;
        }
        if let Some(status) = wanted.org_status {
            organization.status = Some(status);
        }
        let mut record = User {
            username: shown.username.clone(),
            ..User::default()
        };
        if let Some(status) = wanted.user_status {
            (shown.status, record.status) = (Some(status), Some(status));
        }
        if let Some(password) = wanted.password {
            shown.password_hash = None;
            (shown.password, record.password) = (Some(password.clone()), Some(password));
        } else if entry.is_none() {
            record.password.clone_from(&shown.password);
        }
        let (place, user_place) = (
            RecordPlace::Organization(index),
            RecordPlace::User(index, 0),
        );
        let entry = |user| UserEntry {
            place: user_place,
            user,
            loaded: Loaded::GivenHash,
        };
        Ok(Self {
            organization: index,
            records: Accounts {
                organizations: vec![(place, organization_record(&organization))],
                users: vec![entry(record)],
            },
            shown_organization: (place, organization),
            shown_user: entry(shown),
        })
    }
}

/// The index of the organization with this name, or else with this UUID.
fn organization_called(present: &Accounts, text: &str) -> Result<Option<usize>, Error> {
    let text = trimmed(text);
    let organizations = || present.organizations.iter().map(|(_, it)| it).enumerate();
    let mut named = organizations().filter(|(_, it)| trimmed(&it.name) == text);
    let (first, second) = (named.next(), named.next());
    if second.is_some() {
        let mut errors = FieldErrors::default();
        errors.add(
            "org",
            "Several organizations have this name: give the UUID of one.",
        );
        return Err(Error::Fields(errors));
    }
    let identified = || {
        let uuid = normalized_uuid(text)?;
        organizations().find(|(_, it)| it.identity() == uuid)
    };
    Ok(first.or_else(identified).map(|(index, _)| index))
}

/// The part of an organization that is imported; its other columns are not changed.
fn organization_record(organization: &Organization) -> Organization {
    let (retailer_uuid, supplier_uuid) = match organization.org_type {
        OrgType::Retailer => (organization.retailer_uuid.clone(), None),
        OrgType::Supplier => (None, organization.supplier_uuid.clone()),
    };
    Organization {
        org_type: organization.org_type,
        status: organization.status,
        uuid: Some(organization.identity()),
        retailer_uuid,
        supplier_uuid,
        ..new_organization(&organization.name)
    }
}

fn new_organization(name: &str) -> Organization {
    Organization {
        name: name.to_owned(),
        org_type: OrgType::Retailer,
        status: None,
        uuid: None,
        retailer_uuid: None,
        supplier_uuid: None,
        created_date: None,
        active_date: None,
        account_manager: None,
        users: Vec::new(),
    }
}

fn new_user(username: &Username) -> Result<User, Error> {
    let password = random_password().map_err(auth::Error::Random);
    let password = password.map_err(endpoint::Error::from)?;
    Ok(User {
        username: Some(username.clone()),
        password: Some(Password::new(password)),
        ..User::default()
    })
}
