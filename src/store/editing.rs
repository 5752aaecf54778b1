//! Changing single fields of users and organizations. A change is made as an import of one record, so that the same
//! rules apply.

use jiff::Timestamp;
use serde::Serialize;

use super::engine::{self, Connection, StatementError, parameters};
use super::event_recorder::EventRecorder;
use super::import::{Pins, import_in_transaction, several};
use super::organizations::{OrganizationRow, find_organizations};
use super::removal::remove_unused_person;
use super::users::{UserRow, find_user};
use super::{Error, Store};
use crate::account::{normalized_uuid, trimmed};
use crate::accounts::{
    Accounts, Finding, Loaded, Organization, Permission, RecordPlace, User, UserEntry,
};
use crate::fields::{Difference, differences};

/// A row after its fields were changed.
pub struct EditedRow<R> {
    /// The row after the change.
    pub row: R,
    /// The fields whose values differ from before. Empty if the row already had the requested values.
    pub changed: Vec<Difference>,
}

/// The outcome of a change: the edited row, `None` if the row no longer exists, or the findings that prevent the
/// change.
pub type EditOutcome<R> = Result<Option<EditedRow<R>>, Vec<Finding>>;

impl Store {
    /// Updates the user that has the record's UUID with the values of the record, and sets the `cleared` columns of its
    /// person to NULL. Its tokens remain valid.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn edit_user(
        &self,
        user: User,
        cleared: Vec<&'static str>,
        now: Timestamp,
    ) -> Result<EditOutcome<UserRow>, Error> {
        let recorder = self.recorder(now);
        self.write_unless_refused(move |connection| {
            let uuid = user.uuid.clone().unwrap_or_default();
            let find = || find_user(connection, "uuid", &uuid, now);
            let Some(before) = find()? else {
                return Ok(Ok(None));
            };
            let mut accounts = Accounts::default();
            accounts.users.push(UserEntry {
                place: RecordPlace::File,
                user,
                loaded: Loaded::Nothing,
            });
            if let Err(findings) =
                import_in_transaction(connection, accounts, Pins::Keep, &EventRecorder::none(now))?
            {
                return Ok(Err(findings));
            }
            let person = "SELECT person_id FROM users WHERE uuid = :uuid";
            clear(connection, "people", &cleared, person, &uuid)?;
            let Some(row) = find()? else {
                return Ok(Ok(None));
            };
            let edited = edited(&before, row)?;
            if let Some((old, new)) = listed(&edited.changed) {
                recorder.user(connection, before.id, Some(&old), Some(&new))?;
            }
            Ok(Ok(Some(edited)))
        })
    }

    /// Updates the organization that has the record's UUID, except its name and type, and sets the `cleared` columns to
    /// NULL. These are columns of its account manager, or `active_date`, or `account_manager_id`, which removes the
    /// account manager.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn edit_organization(
        &self,
        organization: Organization,
        cleared: Vec<&'static str>,
        now: Timestamp,
    ) -> Result<EditOutcome<OrganizationRow>, Error> {
        let recorder = self.recorder(now);
        self.write_unless_refused(move |connection| {
            let uuid = organization.identity();
            let find =
                || find_organizations(connection, "uuid", &uuid).map(|mut found| found.pop());
            let Some(before) = find()? else {
                return Ok(Ok(None));
            };
            let organization = Organization {
                name: before.name.clone(),
                org_type: before.org_type,
                ..organization
            };
            let mut accounts = Accounts::default();
            accounts
                .organizations
                .push((RecordPlace::File, organization));
            if let Err(findings) =
                import_in_transaction(connection, accounts, Pins::Keep, &EventRecorder::none(now))?
            {
                return Ok(Err(findings));
            }
            clear_organization(connection, &cleared, &uuid)?;
            let Some(row) = find()? else {
                return Ok(Ok(None));
            };
            let edited = edited(&before, row)?;
            if let Some((old, new)) = listed(&edited.changed) {
                recorder.organization(connection, before.id, Some(&old), Some(&new))?;
            }
            Ok(Ok(Some(edited)))
        })
    }

    /// The permission with a name or a UUID. The inner error explains why no single permission was found. An unknown
    /// name yields a new permission without a UUID.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn permission_called(&self, text: &str) -> Result<Result<Permission, String>, Error> {
        let text = trimmed(text);
        self.read(|connection| {
            let uuid = normalized_uuid(text);
            let found = permissions(connection, "name", text)?;
            let found = match (&found[..], &uuid) {
                ([], Some(uuid)) => permissions(connection, "uuid", uuid)?,
                _ => found,
            };
            Ok(match &found[..] {
                [] if uuid.is_some() => Err(format!("no such permission {text:?}")),
                [] => Ok(assigned(None, text)),
                [(uuid, name)] => Ok(assigned(Some(uuid.clone()), name)),
                found => {
                    let uuids: Vec<String> = found.iter().map(|(uuid, _)| uuid.clone()).collect();
                    Err(several("permissions", text, &uuids))
                }
            })
        })
    }
}

fn assigned(uuid: Option<String>, name: &str) -> Permission {
    Permission {
        uuid,
        name: name.to_owned(),
        display_name: None,
        description: None,
        assigned: Some(true),
    }
}

fn permissions(
    connection: &Connection,
    column: &'static str,
    value: &str,
) -> engine::Result<Vec<(String, String)>> {
    connection.rows(
        &format!("SELECT uuid, name FROM permissions WHERE {column} = :value ORDER BY uuid"),
        parameters! { ":value": value },
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}

fn clear_organization(
    connection: &Connection,
    cleared: &[&'static str],
    uuid: &str,
) -> engine::Result<()> {
    let (own, of_manager): (Vec<_>, Vec<_>) = cleared
        .iter()
        .partition(|column| ["active_date", "account_manager_id"].contains(column));
    let manager = "SELECT account_manager_id FROM organizations WHERE uuid = :uuid";
    clear(connection, "people", &of_manager, manager, uuid)?;
    let manager_id: Option<i64> =
        connection.one(manager, parameters! { ":uuid": uuid }, |row| row.get(0))?;
    let itself = "SELECT id FROM organizations WHERE uuid = :uuid";
    clear(connection, "organizations", &own, itself, uuid)?;
    match manager_id {
        Some(id) => remove_unused_person(connection, id),
        None => Ok(()),
    }
}

/// Sets columns to NULL in the row whose id the query `id` selects for a UUID. The names and the query are constants of
/// this program, never input.
fn clear(
    connection: &Connection,
    table: &str,
    columns: &[&str],
    id: &str,
    uuid: &str,
) -> engine::Result<()> {
    for column in columns {
        connection.execute(
            &format!("UPDATE {table} SET {column} = NULL WHERE id = ({id})"),
            parameters! { ":uuid": uuid },
        )?;
    }
    Ok(())
}

fn edited<R: Serialize>(before: &R, row: R) -> engine::Result<EditedRow<R>> {
    let changed = differences(before, &row).map_err(|error| StatementError::column(0, error))?;
    Ok(EditedRow { row, changed })
}

/// The changed fields as text, with the old and with the new values. `None` if no field changed.
fn listed(changed: &[Difference]) -> Option<(String, String)> {
    let listed = |text: fn(&Difference) -> &str| {
        let fields = changed.iter().map(|it| format!("{}={}", it.name, text(it)));
        fields.collect::<Vec<_>>().join(", ")
    };
    (!changed.is_empty()).then(|| (listed(|it| &it.before), listed(|it| &it.after)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::Person;
    use crate::store::{Actor, Durability, WhenMissing};

    const USER: &str = "00000000-0000-4000-8000-000000000002";
    const ORGANIZATION: &str = "00000000-0000-4000-8000-000000000001";

    fn events(store: &Store) -> Vec<[Option<String>; 5]> {
        let query = "SELECT actor, coalesce(user_uuid, org_uuid), object, before, after FROM events ORDER BY id";
        let read = |connection: &Connection| {
            connection.rows(query, &[], |row| {
                Ok([
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ])
            })
        };
        store.read(read).unwrap()
    }

    #[test]
    fn a_change_is_one_event_with_the_changed_fields_and_no_change_is_no_event() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("one.db");
        let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
        let store = store.with_actor(Actor {
            system_user: "alice".into(),
            command: "user set",
        });
        store
            .write(|connection| {
                connection.batch(
                    "INSERT INTO people (id, uuid, phone) VALUES (1, '00000000-0000-4000-8000-000000000003', '1');
                     INSERT INTO organizations (id, uuid, name, org_type, retailer_uuid, status, created_date)
                         VALUES (1, '00000000-0000-4000-8000-000000000001', 'one', 'RETAILER',
                                 '00000000-0000-4000-8000-000000000004', 'ACTIVE', 0);
                     INSERT INTO users (id, uuid, org_id, person_id, username, password_hash, status)
                         VALUES (1, '00000000-0000-4000-8000-000000000002', 1, 1, 'zoe',
                                 '$2b$10$' || printf('%053d', 0), 'ACTIVE')",
                )
            })
            .unwrap();
        let now = Timestamp::UNIX_EPOCH;
        for _ in 0..2 {
            let user = User {
                uuid: Some(USER.to_owned()),
                person: Some(Person {
                    first_name: Some("Zoe".to_owned()),
                    ..Person::default()
                }),
                ..User::default()
            };
            let edited = store.edit_user(user, vec!["phone"], now).unwrap();
            assert_eq!(edited.unwrap().unwrap().row.phone, None);
        }
        let organization = store.organization_row(ORGANIZATION).unwrap().unwrap();
        let organization = Organization {
            name: "two".to_owned(),
            org_type: organization.org_type,
            status: None,
            uuid: Some(organization.uuid),
            retailer_uuid: None,
            supplier_uuid: None,
            created_date: Some(Timestamp::from_second(1).unwrap()),
            active_date: None,
            account_manager: None,
            users: Vec::new(),
        };
        let edited = store
            .edit_organization(organization, Vec::new(), now)
            .unwrap();
        assert_eq!(edited.unwrap().unwrap().row.name, "one");
        let expected = [
            [
                "alice",
                USER,
                "zoe",
                "first_name=-, phone=1",
                "first_name=Zoe, phone=-",
            ],
            [
                "alice",
                ORGANIZATION,
                "one",
                "created_date=1970-01-01T00:00:00Z",
                "created_date=1970-01-01T00:00:01Z",
            ],
        ];
        assert_eq!(
            events(&store),
            expected.map(|event| event.map(|text| Some(text.to_owned())))
        );
    }

    #[test]
    fn a_removed_row_is_not_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("one.db");
        let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
        let user = User {
            uuid: Some(USER.to_owned()),
            ..User::default()
        };
        let edited = store.edit_user(user, vec!["phone"], Timestamp::UNIX_EPOCH);
        assert!(edited.unwrap().unwrap().is_none());
    }
}
