//! What a file says of organizations, users, people and permissions: one struct for each, read and written in every format.
//!
//! `None` is what the file leaves out (`null` is the same): it is never written to a row that exists, and a default only
//! where a row is new. UUIDs are text that `validate` checks and puts into the hyphenated, lower-case form.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny};
use uuid::Uuid;

use super::object::{optional, optional_list};
use crate::account::{Assignment, OrgType, OrganizationStatus, Person, UserStatus, Username};
use crate::hashing::{Password, PasswordHash};

/// The namespace of UUIDs derived from names (version 5): the same file has the same ones everywhere.
const NAMESPACE: Uuid = Uuid::from_u128(0x3f0e_8a54_6d0b_4c55_9c0a_7a1b_5d9e_2c41);

/// An organization.
#[derive(Clone, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// The name people know it by.
    pub name: String,
    /// Retailer or supplier.
    #[serde(deserialize_with = "parsed")]
    pub org_type: OrgType,
    /// ACTIVE where it is new.
    #[serde(default, deserialize_with = "parsed_option")]
    pub status: Option<OrganizationStatus>,
    /// Identity; derived from the name where it is left out.
    pub uuid: Option<String>,
    /// Of a retailer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retailer_uuid: Option<String>,
    /// Of a supplier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supplier_uuid: Option<String>,
    /// When it joined; now where it is new.
    #[serde(default, deserialize_with = "date")]
    pub created_date: Option<Timestamp>,
    /// When it became active, if that is known.
    #[serde(default, deserialize_with = "date")]
    pub active_date: Option<Timestamp>,
    /// The person who looks after it, if there is one.
    #[serde(default, deserialize_with = "optional")]
    pub account_manager: Option<Person>,
    /// Its users, which are read and written on their own.
    #[serde(skip_serializing)]
    pub users: Vec<IgnoredAny>,
}

/// A user.
#[derive(Clone, Default, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name or UUID of the organization, where the user is not inside one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// What it logs in with.
    #[serde(default, deserialize_with = "parsed_option")]
    pub username: Option<Username>,
    /// In clear; never written to a file.
    #[serde(default, deserialize_with = "password", skip_serializing)]
    pub password: Option<Password>,
    /// A finished hash; a user has one of both.
    #[serde(default, deserialize_with = "parsed_option")]
    pub password_hash: Option<PasswordHash>,
    /// ACTIVE where it is new.
    #[serde(default, deserialize_with = "parsed_option")]
    pub status: Option<UserStatus>,
    /// Identity; where it is left out, the username says which user it is, and a new one's is derived from it.
    pub uuid: Option<String>,
    /// The token that each login answers; never written to a file.
    #[serde(skip_serializing)]
    pub auth_token: Option<String>,
    /// Who it is.
    #[serde(default, deserialize_with = "optional")]
    pub person: Option<Person>,
    /// In their order.
    #[serde(default, deserialize_with = "optional_list")]
    pub permissions: Option<Vec<Permission>>,
}

/// A permission of one user.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// Identity; derived from the name where it is left out.
    pub uuid: Option<String>,
    /// For programs.
    pub name: String,
    /// For people.
    pub display_name: Option<String>,
    /// For people.
    pub description: Option<String>,
    /// Whether the user has it; it does where this is left out.
    pub assigned: Option<bool>,
}

impl Organization {
    /// The UUID that identifies it: its own, or the one derived from its name.
    pub fn identity(&self) -> String {
        given_or_derived(self.uuid.as_ref(), "organization", &self.name)
    }

    /// The retailer's or supplier's UUID that the file says.
    pub fn given_party_uuid(&self) -> Option<&String> {
        let (retailer, supplier) = (&self.retailer_uuid, &self.supplier_uuid);
        match self.org_type {
            OrgType::Retailer => retailer.as_ref(),
            OrgType::Supplier => supplier.as_ref(),
        }
    }

    /// The one that a new organization has.
    pub fn party_uuid(&self) -> String {
        let kind = self.org_type.as_str().to_ascii_lowercase();
        given_or_derived(self.given_party_uuid(), &kind, &self.name)
    }

    /// The UUID that its account manager has where that person is new.
    pub fn manager_uuid(&self, manager: &Person) -> String {
        given_or_derived(manager.uuid.as_ref(), "account_manager", &self.name)
    }
}

impl User {
    /// The UUID that a new user of this name has.
    pub fn new_uuid(&self, username: &Username) -> String {
        let username = username.key();
        given_or_derived(self.uuid.as_ref(), "user", &username)
    }

    /// The UUID that the person behind a new user of this name has.
    pub fn new_person_uuid(&self, username: &Username) -> String {
        let given = self.person.as_ref().and_then(|person| person.uuid.as_ref());
        given_or_derived(given, "person", &username.key())
    }
}

impl Permission {
    /// The UUID that identifies it: its own, or the one derived from its name.
    pub fn identity(&self) -> String {
        given_or_derived(self.uuid.as_ref(), "permission", &self.name)
    }
}

impl From<Assignment> for Permission {
    fn from(assignment: Assignment) -> Self {
        let Assignment {
            assigned,
            permission,
        } = assignment;
        Self {
            uuid: Some(permission.uuid),
            name: permission.name,
            display_name: permission.display_name,
            description: permission.description,
            assigned: Some(assigned),
        }
    }
}

fn given_or_derived(given: Option<&String>, kind: &str, name: &str) -> String {
    given.cloned().unwrap_or_else(|| {
        Uuid::new_v5(&NAMESPACE, format!("{kind}:{name}").as_bytes()).to_string()
    })
}

fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(D::Error::custom)
}

fn parsed_option<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(D::Error::custom))
        .transpose()
}

fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse())
        .transpose()
        .map_err(|_| D::Error::custom("not a date like \"2017-10-23T18:20:43.336669Z\""))
}

fn password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Password>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Password::new))
}
