//! Checks of a record against the database: whether it can be written, and if not, why. Writes nothing.

use std::collections::HashMap;

use uuid::Uuid;

use super::columns::FoundRow;
use super::find::{
    HAS_DERIVED_UUID, HAS_TOKEN, HAS_USERNAME, HAS_UUID, another_has_token, has_uuid,
};
use super::importer::Importer;
use super::organizations::new_party_uuid;
use super::outcome::KnownHashes;
use super::{people, users};
use crate::account::Username;
use crate::accounts::{Finding, Organization, Person, RecordPlace, User, UserEntry};
use crate::store::engine::{self, Connection};
use crate::store::users::another_has_username;

impl Importer {
    pub(super) fn check_organization(
        &mut self,
        connection: &Connection,
        place: RecordPlace,
        organization: &Organization,
        row: Option<&FoundRow>,
    ) -> engine::Result<()> {
        let new = row.is_none().then(|| organization.identity());
        self.check_uuid(connection, place, "uuid", new, organization.uuid.as_ref())?;
        let party_key = organization.org_type.party_key();
        let party_uuid = new_party_uuid(row, organization);
        let given = organization.given_party_uuid();
        self.check_uuid(connection, place, party_key, party_uuid, given)?;
        let manager = organization.account_manager.as_ref();
        let of_new = manager.map(|manager| organization.manager_uuid(manager));
        let id = row.and_then(|row| row.number("account_manager_id"));
        let uuid = new_person_uuid(connection, id, manager, of_new)?;
        let given = manager.and_then(|manager| manager.uuid.as_ref());
        self.check_uuid(connection, place, "account_manager.uuid", uuid, given)
    }

    pub(super) fn check_user(
        &mut self,
        connection: &Connection,
        entry: &UserEntry,
        row: Option<&FoundRow>,
    ) -> engine::Result<()> {
        let UserEntry { place, user, .. } = entry;
        let place = *place;
        if let Some(token) = &user.auth_token
            && another_has_token(connection, &users::digest(token), row.map(FoundRow::id))?
        {
            self.refuse(place, "auth_token", HAS_TOKEN);
        }
        if row.is_none() {
            let is_inside = place.organization().is_some();
            if user.password.is_none() && user.password_hash.is_none() {
                self.refuse(place, "", "needs a `password` or a `password_hash`");
            }
            if !is_inside && user.org.is_none() {
                self.refuse(place, "org", "missing, and --org is not given");
            }
            // If the UUID is missing too, the check of the file alone has already reported it.
            if user.username.is_none() && user.uuid.is_some() && !is_inside {
                self.refuse(place, "username", "missing");
            }
        }
        let is_present = |name: &Username| {
            row.is_some_and(|row| name.as_str().eq_ignore_ascii_case(row.text("username")))
        };
        if let Some(username) = user.username.as_ref().filter(|name| !is_present(name)) {
            if let Some(message) = username.rejection_reason() {
                self.refuse(place, "username", &message);
            }
            if let Some(row) = row
                && another_has_username(connection, username, row.id())?
            {
                self.refuse(place, "username", HAS_USERNAME);
            }
        }
        let derived = |uuid: fn(&User, &Username) -> String| {
            let username = user.username.as_ref().filter(|_| row.is_none())?;
            Some(uuid(user, username))
        };
        let new = derived(User::new_uuid);
        let given = user.uuid.as_ref();
        self.check_uuid(connection, place, "uuid", new.clone(), given)?;
        let (id, of_new) = (
            row.and_then(|row| row.number("person_id")),
            derived(User::new_person_uuid),
        );
        let uuid = new_person_uuid(connection, id, user.person.as_ref(), of_new)?;
        let given = user.person.as_ref();
        let given = given.and_then(|person| person.uuid.as_ref());
        self.check_uuid(connection, place, "person.uuid", uuid, given)?;
        for (key, message) in self.permissions.refused(entry) {
            self.refuse(place, &key, &message);
        }
        if let (Some(row), Some(_)) = (row, &user.password) {
            let loaded = row.text("loaded_password_hash");
            let hashes = KnownHashes {
                loaded: (!loaded.is_empty()).then(|| loaded.to_owned()),
                present: row.text("password_hash").to_owned(),
            };
            self.checked.known_hashes.insert(place, hashes);
        }
        let identity = row.map(|row| row.text("uuid").to_owned()).or(new);
        let identity = identity.and_then(|uuid| Uuid::try_parse(&uuid).ok());
        self.identities.extend(identity.map(|uuid| (place, uuid)));
        Ok(())
    }

    /// Reports a UUID that would be written and that an existing row has. `given` is `None` if the UUID is derived from
    /// a name.
    fn check_uuid(
        &mut self,
        connection: &Connection,
        place: RecordPlace,
        key: &str,
        uuid: Option<String>,
        given: Option<&String>,
    ) -> engine::Result<()> {
        if let Some(uuid) = uuid
            && has_uuid(connection, &uuid)?
        {
            let message = match given {
                Some(_) => HAS_UUID,
                None => HAS_DERIVED_UUID,
            };
            self.refuse(place, key, message);
        }
        Ok(())
    }
}

/// The UUID that would be written for a person. `None` if it does not change.
fn new_person_uuid(
    connection: &Connection,
    id: Option<i64>,
    person: Option<&Person>,
    of_new: Option<String>,
) -> engine::Result<Option<String>> {
    let given = person.and_then(|person| person.uuid.clone());
    match (id, given) {
        (None, _) => Ok(of_new),
        (Some(id), Some(given)) if given != people::with_id(connection, id)?.text("uuid") => {
            Ok(Some(given))
        }
        _ => Ok(None),
    }
}

/// Findings for pairs of records that identify the same user in the database, although the file alone does not show
/// that.
pub(super) fn same_users(
    entries: &[UserEntry],
    identities: &HashMap<RecordPlace, Uuid>,
) -> Vec<Finding> {
    let key = |entry: &UserEntry| entry.user.username.as_ref().map(Username::key);
    let mut seen: HashMap<&Uuid, &UserEntry> = HashMap::new();
    let mut findings = Vec::new();
    for entry in entries {
        let Some(identity) = identities.get(&entry.place) else {
            continue;
        };
        let first = *seen.entry(identity).or_insert(entry);
        if first.place == entry.place {
            continue;
        }
        let both_have_uuids = first.user.uuid.is_some() && entry.user.uuid.is_some();
        let have_one_name = key(first).is_some() && key(first) == key(entry);
        if !both_have_uuids && !have_one_name {
            let message = format!("the same user as at {}", first.place);
            findings.push(Finding::new(entry.place, "", message));
        }
    }
    findings
}
