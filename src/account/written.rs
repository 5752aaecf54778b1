//! Accounts whole, as they are written to a file and can be read from it again: with hashes, never with tokens.

use jiff::Timestamp;
use serde::Serialize;

use super::{OrgType, OrganizationStatus, Permission, Person, UserStatus};

/// A user as a fixture or a line of JSON has it.
#[derive(Serialize)]
pub struct WrittenUser {
    /// The UUID of the organization, where it does not stand inside one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<String>,
    /// What it logs in with.
    pub username: String,
    /// bcrypt, 60 characters.
    pub password_hash: String,
    /// Where it stands.
    pub status: UserStatus,
    /// Identity.
    pub uuid: String,
    /// Who it is.
    pub person: Person,
    /// In their order.
    pub permissions: Vec<WrittenPermission>,
}

/// A permission as a fixture has it.
#[derive(Serialize)]
pub struct WrittenPermission {
    /// What it is.
    #[serde(flatten)]
    pub permission: Permission,
    /// Whether the user has it.
    pub assigned: bool,
}

/// An organization as a fixture has it.
#[derive(Serialize)]
pub struct WrittenOrganization {
    /// The name people know it by.
    pub name: String,
    /// Retailer or supplier.
    pub org_type: OrgType,
    /// Where it stands.
    pub status: OrganizationStatus,
    /// Identity.
    pub uuid: String,
    /// Of a retailer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retailer_uuid: Option<String>,
    /// Of a supplier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub supplier_uuid: Option<String>,
    /// When it joined.
    pub created_date: Timestamp,
    /// When it became active, if that is known.
    pub active_date: Option<Timestamp>,
    /// Who looks after it, if anybody does.
    pub account_manager: Option<Person>,
    /// Its users.
    pub users: Vec<WrittenUser>,
}
