//! The checks of a file that do not need the database: formats, values that must be unique, and passwords that no login
//! could use. UUIDs are converted to the hyphenated, lower-case form.

use std::collections::HashMap;

use uuid::Uuid;

use super::finding::{Finding, RecordPlace};
use super::{Organization, ParsedAccounts, Permission, Person, User};
use crate::account::OrgType;
use crate::auth::check_new_password;

/// Checks all records and adds the findings to those of the parser.
pub(super) fn validate(read: &mut ParsedAccounts) {
    let mut checker = Checker {
        findings: &mut read.findings,
        taken: HashMap::new(),
        permissions: HashMap::new(),
    };
    for (place, organization) in &mut read.accounts.organizations {
        checker.organization(*place, organization);
    }
    for entry in &mut read.accounts.users {
        checker.user(entry.place, &mut entry.user);
    }
}

struct Checker<'f> {
    findings: &'f mut Vec<Finding>,
    /// The unique values seen so far, each with the record and key that has it.
    taken: HashMap<Claim, (RecordPlace, String)>,
    /// Permissions by UUID, each with the record and key of its first description.
    permissions: HashMap<String, (Permission, RecordPlace, String)>,
}

/// A value that only one record may have.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Claim {
    Uuid(String),
    /// The key of the username.
    Username(String),
    Token(String),
}

impl Checker<'_> {
    fn report(&mut self, place: RecordPlace, key: impl Into<String>, message: impl Into<String>) {
        self.findings.push(Finding::new(place, key, message));
    }

    fn organization(&mut self, place: RecordPlace, organization: &mut Organization) {
        if organization.name.trim().is_empty() {
            self.report(place, "name", "blank");
        }
        self.text(place, "name", Some(&organization.name));
        self.well_formed(place, "uuid", &mut organization.uuid);
        let key = organization.uuid.as_ref().map_or("", |_| "uuid");
        self.claim(place, key, Claim::Uuid(organization.identity()));
        let (retailer, supplier) = (
            ("retailer_uuid", &mut organization.retailer_uuid),
            ("supplier_uuid", &mut organization.supplier_uuid),
        );
        let ((key, uuid), (other_key, other)) = match organization.org_type {
            OrgType::Retailer => (retailer, supplier),
            OrgType::Supplier => (supplier, retailer),
        };
        self.uuid(place, key, uuid);
        if other.is_some() {
            let message = format!("does not go with the org_type {}", organization.org_type);
            self.report(place, other_key, message);
        }
        if let Some(manager) = &mut organization.account_manager {
            self.person(place, "account_manager", manager);
        }
    }

    fn user(&mut self, place: RecordPlace, user: &mut User) {
        let is_inside = place.organization().is_some();
        if let Some(username) = &user.username {
            let claim = Claim::Username(username.key());
            self.claim(place, "username", claim);
        } else if is_inside || user.uuid.is_none() {
            self.report(place, "username", "missing");
        }
        if is_inside && user.org.is_some() {
            self.report(place, "org", "the user is inside an organization already");
        }
        self.text(place, "org", user.org.as_ref());
        self.uuid(place, "uuid", &mut user.uuid);
        self.password(place, user);
        self.token(place, user);
        if let Some(person) = &mut user.person {
            self.person(place, "person", person);
        }
        let permissions = user.permissions.iter_mut().flatten();
        let mut identities = Vec::new();
        for (index, permission) in permissions.enumerate() {
            let key = format!("permissions[{index}]");
            self.permission(place, &key, permission);
            if identities.contains(&permission.identity()) {
                self.report(place, key, "the user has this permission already");
            }
            identities.push(permission.identity());
        }
    }

    fn person(&mut self, place: RecordPlace, key: &str, person: &mut Person) {
        self.uuid(place, &format!("{key}.uuid"), &mut person.uuid);
        for (name, text) in [
            ("first_name", &person.first_name),
            ("last_name", &person.last_name),
            ("email", &person.email),
            ("phone", &person.phone),
        ] {
            self.text(place, &format!("{key}.{name}"), text.as_ref());
        }
    }

    /// Rejects only passwords that no login could use. The password policy is checked where passwords of real users are
    /// set.
    fn password(&mut self, place: RecordPlace, user: &User) {
        if user.password.is_some() && user.password_hash.is_some() {
            self.report(place, "", "has both a `password` and a `password_hash`");
        }
        if let Some(password) = &user.password
            && let Err(fault) = check_new_password(password, user.username.as_ref(), false)
        {
            self.report(place, "password", fault.to_string());
        }
    }

    fn token(&mut self, place: RecordPlace, user: &User) {
        let Some(token) = &user.auth_token else {
            return;
        };
        let is_hex = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if token.len() == 40 && token.bytes().all(is_hex) {
            self.claim(place, "auth_token", Claim::Token(token.clone()));
        } else {
            let message = "not a token (40 lower-case hexadecimal characters)";
            self.report(place, "auth_token", message);
        }
    }

    /// Several users may have the same permission; all of them must describe it alike.
    fn permission(&mut self, place: RecordPlace, key: &str, permission: &mut Permission) {
        if permission.name.trim().is_empty() {
            self.report(place, format!("{key}.name"), "blank");
        }
        for (name, text) in [
            ("name", Some(&permission.name)),
            ("display_name", permission.display_name.as_ref()),
            ("description", permission.description.as_ref()),
        ] {
            self.text(place, &format!("{key}.{name}"), text);
        }
        let uuid_key = format!("{key}.uuid");
        self.well_formed(place, &uuid_key, &mut permission.uuid);
        let identity = permission.identity();
        let Some((first, first_place, first_key)) = self.permissions.get(&identity) else {
            self.claim(place, &uuid_key, Claim::Uuid(identity.clone()));
            self.permissions
                .insert(identity, (permission.clone(), place, key.to_owned()));
            return;
        };
        let differs = |one: &Option<String>, other: &Option<String>| {
            one.is_some() && other.is_some() && one != other
        };
        if first.name != permission.name
            || differs(&first.display_name, &permission.display_name)
            || differs(&first.description, &permission.description)
        {
            let message = format!(
                "differs from the permission with the same UUID at {first_place}.{first_key}"
            );
            self.report(place, key, message);
        }
    }

    /// Rejects U+0000, which not every database can store.
    fn text(&mut self, place: RecordPlace, key: &str, text: Option<&String>) {
        if text.is_some_and(|text| text.contains('\0')) {
            self.report(place, key, "contains a null character");
        }
    }

    /// Checks a UUID that no other record may have. Derived UUIDs are compared only if they identify a record, because
    /// they never collide with those of other kinds.
    fn uuid(&mut self, place: RecordPlace, key: &str, uuid: &mut Option<String>) {
        self.well_formed(place, key, uuid);
        if let Some(uuid) = uuid {
            self.claim(place, key, Claim::Uuid(uuid.clone()));
        }
    }

    /// Accepts only the hyphenated form. Any other text is reported and removed.
    fn well_formed(&mut self, place: RecordPlace, key: &str, uuid: &mut Option<String>) {
        let Some(text) = uuid else {
            return;
        };
        match Uuid::try_parse(text) {
            Ok(parsed) if text.len() == 36 => *text = parsed.to_string(),
            _ => {
                self.report(place, key, format!("not a UUID: {text:?}"));
                *uuid = None;
            }
        }
    }

    fn claim(&mut self, place: RecordPlace, key: &str, claim: Claim) {
        let Some((first_place, first_key)) = self.taken.get(&claim) else {
            self.taken.insert(claim, (place, key.to_owned()));
            return;
        };
        let message = match claim {
            // The key is empty for a UUID that is derived from the name.
            Claim::Uuid(_) if key.is_empty() || first_key.is_empty() => {
                format!("the same organization as at {first_place}")
            }
            Claim::Uuid(uuid) => format!("the same UUID as at {first_place}.{first_key}: {uuid:?}"),
            Claim::Username(_) => format!("the same username as at {first_place}"),
            Claim::Token(_) => format!("the same token as at {first_place}"),
        };
        self.report(place, key, message);
    }
}
