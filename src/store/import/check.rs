//! What the database says of a record: whether it can be written, and why not. Writes nothing.

use std::collections::HashMap;

use rusqlite::Connection;
use uuid::Uuid;

use super::find::{
    HAS_TOKEN, HAS_USERNAME, HAS_UUID, OrganizationRow, UserRow, another_has_token,
    another_has_username, has_uuid,
};
use super::organizations::new_party_uuid;
use super::{people, users};
use crate::account::Username;
use crate::accounts::{Entry, Finding, Organization, Person, Place, User};

/// Checks one record.
pub(super) struct Check<'c> {
    pub(super) connection: &'c Connection,
    pub(super) place: Place,
    pub(super) findings: &'c mut Vec<Finding>,
}

impl Check<'_> {
    fn report(&mut self, key: impl Into<String>, message: impl Into<String>) {
        let finding = Finding::new(self.place, key, message);
        self.findings.push(finding);
    }

    /// Reports a UUID that is to be written and that a row has.
    fn uuid(&mut self, key: &str, uuid: Option<String>) -> rusqlite::Result<()> {
        if let Some(uuid) = uuid
            && has_uuid(self.connection, &uuid)?
        {
            self.report(key, HAS_UUID);
        }
        Ok(())
    }

    /// The same of a person: that of a new one, or one that is given to the person of a row.
    fn person_uuid(
        &mut self,
        key: &str,
        id: Option<i64>,
        person: Option<&Person>,
        of_new: Option<String>,
    ) -> rusqlite::Result<()> {
        let Some(id) = id else {
            return self.uuid(key, of_new);
        };
        match person.and_then(|person| person.uuid.clone()) {
            Some(given) if given != people::uuid(self.connection, id)? => {
                self.uuid(key, Some(given))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn organization(
        &mut self,
        organization: &Organization,
        row: Option<&OrganizationRow>,
    ) -> rusqlite::Result<()> {
        self.uuid("uuid", row.is_none().then(|| organization.identity()))?;
        let party_key = organization.org_type.party_key();
        self.uuid(party_key, new_party_uuid(row, organization))?;
        let manager = organization.account_manager.as_ref();
        let id = row.and_then(|row| row.manager_id);
        let of_new = manager.map(|manager| organization.manager_uuid(manager));
        self.person_uuid("account_manager.uuid", id, manager, of_new)
    }

    /// Gives the UUID that the user has or will have.
    pub(super) fn user(
        &mut self,
        entry: &Entry,
        row: Option<&UserRow>,
    ) -> rusqlite::Result<Option<Uuid>> {
        let user = &entry.user;
        if let Some(token) = &user.auth_token
            && another_has_token(
                self.connection,
                &users::digest(token),
                row.map(|row| row.id),
            )?
        {
            self.report("auth_token", HAS_TOKEN);
        }
        let is_inside = entry.place.organization().is_some();
        if row.is_none() {
            if user.password.is_none() && user.password_hash.is_none() {
                self.report("", "needs a `password` or a `password_hash`");
            }
            if !is_inside && user.org.is_none() {
                self.report("org", "missing, and --org names none");
            }
            // Without a UUID too, the file alone shows it.
            if user.username.is_none() && user.uuid.is_some() && !is_inside {
                self.report("username", "missing");
            }
        }
        let is_present =
            |name: &str| row.is_some_and(|row| name.eq_ignore_ascii_case(&row.username));
        let new_name = user
            .username
            .as_ref()
            .filter(|name| !is_present(name.as_str()));
        if let Some(username) = new_name {
            if let Some(message) = username.oddity() {
                self.report("username", message);
            }
            if let Some(row) = row
                && another_has_username(self.connection, username.as_str(), row.id)?
            {
                self.report("username", HAS_USERNAME);
            }
        }
        let derived = |uuid: fn(&User, &Username) -> String| {
            let username = user.username.as_ref().filter(|_| row.is_none())?;
            Some(uuid(user, username))
        };
        let new = derived(User::new_uuid);
        self.uuid("uuid", new.clone())?;
        let id = row.map(|row| row.person_id);
        let of_new = derived(User::new_person_uuid);
        self.person_uuid("person.uuid", id, user.person.as_ref(), of_new)?;
        let identity = row.map(|row| row.uuid.clone()).or(new);
        Ok(identity.and_then(|uuid| Uuid::try_parse(&uuid).ok()))
    }
}

/// Two records that mean one user, though the file alone does not show it.
pub(super) fn same_users(entries: &[Entry], identities: &HashMap<Place, Uuid>) -> Vec<Finding> {
    let mut seen: HashMap<&Uuid, &Entry> = HashMap::new();
    let mut findings = Vec::new();
    for entry in entries {
        let Some(identity) = identities.get(&entry.place) else {
            continue;
        };
        let Some(first) = seen.get(identity) else {
            seen.insert(identity, entry);
            continue;
        };
        let lower =
            |entry: &Entry| Some(entry.user.username.as_ref()?.as_str().to_ascii_lowercase());
        let both_have_uuids = first.user.uuid.is_some() && entry.user.uuid.is_some();
        let have_one_name = lower(first).is_some() && lower(first) == lower(entry);
        if !both_have_uuids && !have_one_name {
            let message = format!("the same user as at {}", first.place);
            findings.push(Finding::new(entry.place, "", message));
        }
    }
    findings
}
