//! What the database says of records: which of them cannot be written, and why. Writes nothing.

use std::collections::HashMap;

use rusqlite::Connection;
use uuid::Uuid;

use super::find::{
    self, Called, Found, HAS_TOKEN, HAS_USERNAME, HAS_UUID, OrganizationRow, UserRow,
};
use super::organizations::{new_party_uuid, party_column};
use super::{people, users};
use crate::account::Username;
use crate::accounts::{Accounts, Entry, Finding, Organization, Place};

/// What the database says before anything is hashed.
#[derive(Default)]
pub struct Checked {
    /// In the order of the records.
    pub findings: Vec<Finding>,
    /// The hash that the user of an entry with a password in clear has now, by the entry's index.
    pub present_hashes: HashMap<usize, String>,
}

/// Checks all records.
pub(super) fn check(connection: &Connection, accounts: &Accounts) -> rusqlite::Result<Checked> {
    let mut checker = Checker::new(connection);
    for (place, organization) in &accounts.organizations {
        checker.organization(*place, organization)?;
    }
    checker.organizations_once(&accounts.organizations);
    for (index, entry) in accounts.users.iter().enumerate() {
        let identity = checker.user(index, entry)?;
        checker.user_once(index, identity, &accounts.users);
    }
    Ok(checker.checked)
}

pub(super) struct Checker<'c> {
    connection: &'c Connection,
    called: Called,
    /// Users by the UUID that they have or will have.
    seen: HashMap<Uuid, usize>,
    /// By UUID, whether something else has it.
    permissions: HashMap<String, bool>,
    pub(super) checked: Checked,
}

impl<'c> Checker<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Self {
            connection,
            called: Called::default(),
            seen: HashMap::new(),
            permissions: HashMap::new(),
            checked: Checked::default(),
        }
    }

    fn report(&mut self, place: Place, key: impl Into<String>, message: impl Into<String>) {
        let finding = Finding::new(place, key, message);
        self.checked.findings.push(finding);
    }

    /// Reports a UUID that is to be written and that a row has.
    fn uuid(&mut self, place: Place, key: &str, uuid: &str) -> rusqlite::Result<()> {
        if find::has_uuid(self.connection, uuid)? {
            self.report(place, key, HAS_UUID);
        }
        Ok(())
    }

    pub(super) fn organization(
        &mut self,
        place: Place,
        organization: &Organization,
    ) -> rusqlite::Result<()> {
        match find::organization(self.connection, organization)? {
            Found::Taken(key, message) => self.report(place, key, message),
            Found::New => {
                self.uuid(place, "uuid", &organization.identity())?;
                let party_key = party_column(organization.org_type);
                self.uuid(place, party_key, &organization.party_uuid())?;
                if let Some(manager) = &organization.account_manager {
                    let uuid = organization.manager_uuid(manager);
                    self.uuid(place, "account_manager.uuid", &uuid)?;
                }
            }
            Found::Row(row) => self.existing_organization(place, organization, &row)?,
        }
        Ok(())
    }

    fn existing_organization(
        &mut self,
        place: Place,
        organization: &Organization,
        row: &OrganizationRow,
    ) -> rusqlite::Result<()> {
        if let Some(uuid) = new_party_uuid(row, organization) {
            self.uuid(place, party_column(organization.org_type), &uuid)?;
        }
        let Some(manager) = &organization.account_manager else {
            return Ok(());
        };
        let uuid = match row.manager_id {
            None => Some(organization.manager_uuid(manager)),
            Some(id) => self.other_uuid(id, manager.uuid.as_deref())?,
        };
        uuid.map_or(Ok(()), |uuid| {
            self.uuid(place, "account_manager.uuid", &uuid)
        })
    }

    /// A UUID that is given to a person who has another one.
    fn other_uuid(&self, person_id: i64, given: Option<&str>) -> rusqlite::Result<Option<String>> {
        let Some(given) = given else {
            return Ok(None);
        };
        let present = people::uuid(self.connection, person_id)?;
        Ok((given != present).then(|| given.to_owned()))
    }

    /// Gives the UUID that the user has or will have.
    pub(super) fn user(&mut self, index: usize, entry: &Entry) -> rusqlite::Result<Option<String>> {
        let place = entry.place;
        let has_org = self.org(entry)?;
        let identity = match find::user(self.connection, &entry.user)? {
            Found::Taken(key, message) => {
                self.report(place, key, message);
                None
            }
            Found::New => self.new_user(entry, has_org)?,
            Found::Row(row) => {
                self.existing_user(entry, &row)?;
                if entry.user.password.is_some() {
                    let hashes = &mut self.checked.present_hashes;
                    hashes.insert(index, row.password_hash);
                }
                Some(row.uuid)
            }
        };
        self.permissions(entry)?;
        Ok(identity)
    }

    /// Whether the entry says an organization, or one that cannot be found, which is reported.
    fn org(&mut self, entry: &Entry) -> rusqlite::Result<bool> {
        let Some(org) = entry
            .user
            .org
            .as_ref()
            .filter(|_| entry.organization.is_none())
        else {
            return Ok(entry.organization.is_some());
        };
        if let Err(message) = self.called.find(self.connection, org)? {
            self.report(entry.place, "org", message);
        }
        Ok(true)
    }

    fn new_user(&mut self, entry: &Entry, has_org: bool) -> rusqlite::Result<Option<String>> {
        let (place, user) = (entry.place, &entry.user);
        if user.password.is_none() && user.password_hash.is_none() {
            self.report(place, "", "needs a `password` or a `password_hash`");
        }
        if !has_org {
            self.report(place, "org", "missing, and --org names none");
        }
        if let Some(token) = &user.auth_token {
            self.token(place, token, None)?;
        }
        let Some(username) = &user.username else {
            // Without a UUID too, the file alone shows it.
            if user.uuid.is_some() && entry.organization.is_none() {
                self.report(place, "username", "missing");
            }
            return Ok(None);
        };
        self.new_username(place, username);
        let uuid = user.new_uuid(username);
        self.uuid(place, "uuid", &uuid)?;
        self.uuid(place, "person.uuid", &user.new_person_uuid(username))?;
        Ok(Some(uuid))
    }

    fn existing_user(&mut self, entry: &Entry, row: &UserRow) -> rusqlite::Result<()> {
        let (place, user) = (entry.place, &entry.user);
        if let Some(username) = &user.username
            && !username.as_str().eq_ignore_ascii_case(&row.username)
        {
            self.new_username(place, username);
            if find::another_has_username(self.connection, username.as_str(), row.id)? {
                self.report(place, "username", HAS_USERNAME);
            }
        }
        let given = user
            .person
            .as_ref()
            .and_then(|person| person.uuid.as_deref());
        if let Some(uuid) = self.other_uuid(row.person_id, given)? {
            self.uuid(place, "person.uuid", &uuid)?;
        }
        match &user.auth_token {
            Some(token) => self.token(place, token, Some(row.id)),
            None => Ok(()),
        }
    }

    fn new_username(&mut self, place: Place, username: &Username) {
        if let Some(message) = username.oddity() {
            self.report(place, "username", message);
        }
    }

    fn token(&mut self, place: Place, token: &str, user_id: Option<i64>) -> rusqlite::Result<()> {
        if find::another_has_token(self.connection, &users::digest(token), user_id)? {
            self.report(place, "auth_token", HAS_TOKEN);
        }
        Ok(())
    }

    fn permissions(&mut self, entry: &Entry) -> rusqlite::Result<()> {
        for (index, permission) in entry.user.permissions.iter().flatten().enumerate() {
            let uuid = permission.identity();
            let is_taken = match self.permissions.get(&uuid) {
                Some(is_taken) => *is_taken,
                None => {
                    let is_taken = find::permission_id(self.connection, &uuid)?.is_none()
                        && find::has_uuid(self.connection, &uuid)?;
                    self.permissions.insert(uuid, is_taken);
                    is_taken
                }
            };
            if is_taken {
                let key = format!("permissions[{index}].uuid");
                self.report(entry.place, key, HAS_UUID);
            }
        }
        Ok(())
    }

    /// Two records that mean one organization, though the file alone does not show it.
    fn organizations_once(&mut self, organizations: &[(Place, Organization)]) {
        let mut seen: HashMap<String, &(Place, Organization)> = HashMap::new();
        for record in organizations {
            let (place, organization) = record;
            let Some((first_place, first)) = seen.get(&organization.identity()) else {
                seen.insert(organization.identity(), record);
                continue;
            };
            if first.uuid.is_none() || organization.uuid.is_none() {
                self.report(
                    *place,
                    "",
                    format!("the same organization as at {first_place}"),
                );
            }
        }
    }

    /// Two records that mean one user, though the file alone does not show it.
    fn user_once(&mut self, index: usize, identity: Option<String>, entries: &[Entry]) {
        let Some(identity) = identity.and_then(|uuid| Uuid::try_parse(&uuid).ok()) else {
            return;
        };
        let Some(first) = self.seen.get(&identity) else {
            self.seen.insert(identity, index);
            return;
        };
        let (first, again) = (&entries[*first], &entries[index]);
        let both_have_uuids = first.user.uuid.is_some() && again.user.uuid.is_some();
        let have_one_name = match (&first.user.username, &again.user.username) {
            (Some(one), Some(other)) => one.as_str().eq_ignore_ascii_case(other.as_str()),
            _ => false,
        };
        if !both_have_uuids && !have_one_name {
            let message = format!("the same user as at {}", first.place);
            self.report(again.place, "", message);
        }
    }
}
