//! The records of a file: organizations, users, people and permissions. Each is one struct, read and written in every
//! format.
//!
//! `None` is a value that the file omits or gives as `null`. It never changes an existing row; a new row gets the
//! default. UUIDs are text that `validate` checks and converts to the hyphenated, lower-case form.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny};
use uuid::Uuid;

use super::object::{optional, optional_list};
use crate::account::{Assignment, OrgType, OrganizationStatus, Person, UserStatus, Username};
use crate::hashing::{Password, PasswordHash};

/// The namespace of the UUIDs (version 5) that are derived from names. The same file yields the same UUIDs everywhere.
const NAMESPACE: Uuid = Uuid::from_u128(0x3f0e_8a54_6d0b_4c55_9c0a_7a1b_5d9e_2c41);

/// An organization.
#[derive(Clone, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// The name that is displayed to people.
    pub name: String,
    /// Whether it is a retailer or a supplier.
    #[serde(deserialize_with = "parsed")]
    pub org_type: OrgType,
    /// The status. The default for a new organization is ACTIVE.
    #[serde(default, deserialize_with = "parsed_option")]
    pub status: Option<OrganizationStatus>,
    /// The organization's UUID. The default is derived from the name.
    pub uuid: Option<String>,
    /// The UUID as a retailer; only for retailers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retailer_uuid: Option<String>,
    /// The UUID as a supplier; only for suppliers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supplier_uuid: Option<String>,
    /// When it joined. The default for a new organization is the present time.
    #[serde(default, deserialize_with = "date")]
    pub created_date: Option<Timestamp>,
    /// When it became active, if known.
    #[serde(default, deserialize_with = "date")]
    pub active_date: Option<Timestamp>,
    /// The account manager, if it has one.
    #[serde(default, deserialize_with = "optional")]
    pub account_manager: Option<Person>,
    /// Its users. They are read and written separately.
    #[serde(skip_serializing)]
    pub users: Vec<IgnoredAny>,
}

/// A user.
#[derive(Clone, Default, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The name or UUID of the organization, for a user that is not inside one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// The username.
    #[serde(default, deserialize_with = "parsed_option")]
    pub username: Option<Username>,
    /// The plain password. It is never written to a file.
    #[serde(default, deserialize_with = "password", skip_serializing)]
    pub password: Option<Password>,
    /// The bcrypt hash of the password. A file gives either this or `password`.
    #[serde(default, deserialize_with = "parsed_option")]
    pub password_hash: Option<PasswordHash>,
    /// The status. The default for a new user is ACTIVE.
    #[serde(default, deserialize_with = "parsed_option")]
    pub status: Option<UserStatus>,
    /// The user's UUID. If it is omitted, the username identifies the user, and the UUID of a new user is derived from
    /// it.
    pub uuid: Option<String>,
    /// The pinned token, which every login returns. It is never written to a file.
    #[serde(skip_serializing)]
    pub auth_token: Option<String>,
    /// The personal data.
    #[serde(default, deserialize_with = "optional")]
    pub person: Option<Person>,
    /// The permissions, in order.
    #[serde(default, deserialize_with = "optional_list")]
    pub permissions: Option<Vec<Permission>>,
}

/// A permission of one user.
#[derive(Clone, Debug, Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Permission {
    /// The permission's UUID. The default is derived from the name.
    pub uuid: Option<String>,
    /// The name that programs use.
    pub name: String,
    /// The name that is displayed to people.
    pub display_name: Option<String>,
    /// The description that is displayed to people.
    pub description: Option<String>,
    /// Whether the user has the permission. The default is that it does.
    pub assigned: Option<bool>,
}

impl Organization {
    /// The UUID of the organization: the given one, or the one derived from its name.
    pub fn identity(&self) -> String {
        given_or_derived(self.uuid.as_ref(), "organization", &self.name)
    }

    /// The retailer or supplier UUID that the file gives.
    pub fn given_party_uuid(&self) -> Option<&String> {
        let (retailer, supplier) = (&self.retailer_uuid, &self.supplier_uuid);
        match self.org_type {
            OrgType::Retailer => retailer.as_ref(),
            OrgType::Supplier => supplier.as_ref(),
        }
    }

    /// The retailer or supplier UUID of a new organization.
    pub fn party_uuid(&self) -> String {
        let kind = self.org_type.as_str().to_ascii_lowercase();
        given_or_derived(self.given_party_uuid(), &kind, &self.name)
    }

    /// The UUID of a new account manager.
    pub fn manager_uuid(&self, manager: &Person) -> String {
        given_or_derived(manager.uuid.as_ref(), "account_manager", &self.name)
    }
}

impl User {
    /// The UUID of a new user with this name.
    pub fn new_uuid(&self, username: &Username) -> String {
        let username = username.key();
        given_or_derived(self.uuid.as_ref(), "user", &username)
    }

    /// The UUID of the person of a new user with this name.
    pub fn new_person_uuid(&self, username: &Username) -> String {
        let given = self.person.as_ref().and_then(|person| person.uuid.as_ref());
        given_or_derived(given, "person", &username.key())
    }
}

impl Permission {
    /// The UUID of the permission: the given one, or the one derived from its name.
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
