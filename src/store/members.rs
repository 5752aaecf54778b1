//! Reading an organization and its users for the account calls.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::LazyLock;
use std::{iter, thread};

use jiff::Timestamp;

use super::engine::{self, Connection, LongQuery, PAGE, Row, Value, parameters};
use super::rows::{moment, optional_moment, optional_person, person, spelled};
use super::{Error, Store};
use crate::account::{Assignment, OrgType, OrganizationStatus, Permission, Person, UserStatus};

/// The number of rows after which a list yields the processor. Without that, even a thread of low priority keeps its
/// processor for milliseconds, in which hundreds of requests could be answered.
const ROWS_AT_A_TIME: usize = 8;

/// An organization, as returned to its users.
pub struct Organization {
    /// The organization's UUID.
    pub uuid: String,
    /// The name that is displayed to people.
    pub name: String,
    /// Whether it is a retailer or a supplier.
    pub org_type: OrgType,
    /// The status.
    pub status: OrganizationStatus,
    /// When it joined.
    pub created_date: Timestamp,
    /// When it became active, if known.
    pub active_date: Option<Timestamp>,
    /// The account manager, if it has one.
    pub account_manager: Option<Person>,
}

/// A user, as returned to users of the same organization.
pub struct Member {
    /// The user's UUID.
    pub uuid: String,
    /// The personal data.
    pub person: Person,
    /// The permissions, in order.
    pub permissions: Vec<Assignment>,
    /// The status.
    pub status: UserStatus,
}

impl Store {
    /// Reads the organization with a UUID.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn organization(&self, uuid: &str) -> Result<Option<Organization>, Error> {
        self.read(|connection| {
            connection.first("SELECT organizations.uuid, name, org_type, status, created_date, active_date,
                            people.uuid, first_name, last_name, email, phone
                     FROM organizations LEFT JOIN people ON people.id = organizations.account_manager_id
                     WHERE organizations.uuid = :uuid", parameters! { ":uuid": uuid }, organization)
        })
    }

    /// Calls `receive` with each user of the organization with a UUID, ordered by username. Returns `false` if the
    /// organization is not ACTIVE or does not exist. (An organization with many users is DEACTIVATED while they are
    /// being deleted.)
    ///
    /// # Errors
    /// See [`Error`].
    pub fn for_each_member(
        &self,
        org_uuid: &str,
        mut receive: impl FnMut(Member) + Send,
    ) -> Result<bool, Error> {
        self.read_long(LongQuery::List, |connection| connection.in_snapshot(|connection| {
            let org_id: Option<i64> = connection.first("SELECT id FROM organizations WHERE uuid = :uuid AND status = 'ACTIVE'", parameters! { ":uuid": org_uuid }, |row| row.get(0))?;
            let Some(org_id) = org_id else {
                return Ok(false);
            };
            let rows = Cell::new(0_usize);
            let let_others_go_first = || {
                rows.set(rows.get() + 1);
                if rows.get().is_multiple_of(ROWS_AT_A_TIME) {
                    thread::yield_now();
                }
            };
            connection.pages(
                "SELECT users.id, users.uuid, users.status, people.uuid, first_name, last_name, email, phone
                 FROM visible_users AS users JOIN people ON people.id = users.person_id
                 WHERE users.org_id = :org_id
                 ORDER BY users.username_key",
                parameters! { ":org_id": org_id },
                |row| {
                    let_others_go_first();
                    Ok((row.get(0)?, member(row)?))
                },
                |page| {
                    let mut permissions = permissions(connection, page.iter().map(|(id, _)| *id))?;
                    for (id, mut member) in page {
                        let_others_go_first();
                        member.permissions = permissions.remove(&id).unwrap_or_default();
                        receive(member);
                    }
                    Ok(())
                },
            )?;
            Ok(true)
        }))
    }

    /// Finds one user of an organization.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn member(&self, org_id: i64, uuid: &str) -> Result<Option<Member>, Error> {
        self.read(|connection| {
            connection.first("SELECT users.id, users.uuid, users.status, people.uuid, first_name, last_name, email, phone
                     FROM visible_users AS users JOIN people ON people.id = users.person_id
                     WHERE users.uuid = :uuid AND users.org_id = :org_id", parameters! { ":uuid": uuid, ":org_id": org_id }, |row| {
                    let permissions = permissions_of(connection, row.get(0)?)?;
                    Ok(Member { permissions, ..member(row)? })
                })
        })
    }
}

fn organization(row: &Row<'_>) -> engine::Result<Organization> {
    Ok(Organization {
        uuid: row.get(0)?,
        name: row.get(1)?,
        org_type: spelled(row, 2)?,
        status: spelled(row, 3)?,
        created_date: moment(row, 4)?,
        active_date: optional_moment(row, 5)?,
        account_manager: optional_person(row, 6)?,
    })
}

/// Reads a user without its permissions.
fn member(row: &Row<'_>) -> engine::Result<Member> {
    Ok(Member {
        permissions: Vec::new(),
        uuid: row.get(1)?,
        status: spelled(row, 2)?,
        person: person(row, 3)?,
    })
}

const PERMISSIONS: &str = "SELECT user_id, assigned, uuid, name, display_name, description
     FROM permission_assignments JOIN permissions ON permissions.id = permission_assignments.permission_id";

/// The permissions of a user, in order.
pub(super) fn permissions_of(
    connection: &Connection,
    user_id: i64,
) -> engine::Result<Vec<Assignment>> {
    connection.rows(
        &format!("{PERMISSIONS} WHERE user_id = :user_id ORDER BY position"),
        parameters! { ":user_id": user_id },
        assignment,
    )
}

/// The permissions of a page of users, by the id of the user. Users without permissions are omitted.
pub(super) fn permissions(
    connection: &Connection,
    user_ids: impl Iterator<Item = i64>,
) -> engine::Result<HashMap<i64, Vec<Assignment>>> {
    static STATEMENT: LazyLock<(Vec<String>, String)> = LazyLock::new(|| {
        let names: Vec<String> = (0..PAGE).map(|number| format!(":user_{number}")).collect();
        let users = names.join(", ");
        let text = format!("{PERMISSIONS} WHERE user_id IN ({users}) ORDER BY user_id, position");
        (names, text)
    });
    let (names, statement) = &*STATEMENT;
    // The same statement serves any number of users: unused parameters are 0, which is the id of no row.
    let values = user_ids.chain(iter::repeat(0)).map(Value::Integer);
    let parameters: Vec<_> = names.iter().map(String::as_str).zip(values).collect();
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    connection.for_each(statement, &parameters, |row| {
        found.entry(row.get(0)?).or_default().push(assignment(row)?);
        Ok(())
    })?;
    Ok(found)
}

fn assignment(row: &Row<'_>) -> engine::Result<Assignment> {
    Ok(Assignment {
        assigned: row.get(1)?,
        permission: Permission {
            uuid: row.get(2)?,
            name: row.get(3)?,
            display_name: row.get(4)?,
            description: row.get(5)?,
        },
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;
    use crate::store::{Durability, WhenMissing};

    /// More lists than there are connections for look-ups.
    const LISTS: usize = 6;

    const ORGANIZATION: &str = "00000000-0000-4000-8000-000000000001";

    fn store_with_a_user(directory: &std::path::Path) -> Store {
        let path = directory.join("one.db");
        let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
        store
            .write(|connection| {
                connection.batch(
                    "INSERT INTO people (id, uuid) VALUES (1, '00000000-0000-4000-8000-000000000001');
                     INSERT INTO organizations (id, uuid, name, org_type, retailer_uuid, status, created_date)
                         SELECT 1, uuid, 'one', 'RETAILER', uuid, 'ACTIVE', 0 FROM people;
                     INSERT INTO users (id, uuid, org_id, person_id, username, password_hash, status)
                         SELECT 1, uuid, 1, 1, 'zoe', '$2b$10$' || printf('%053d', 0), 'ACTIVE' FROM people",
                )
            })
            .unwrap();
        store
    }

    #[test]
    fn neither_look_ups_nor_metrics_wait_for_lists() {
        let directory = tempfile::tempdir().unwrap();
        let store = &store_with_a_user(directory.path());
        // Wait for the lists that have got a connection.
        let (started, is_over) = (&Barrier::new(3), &Barrier::new(3));
        thread::scope(|scope| {
            let mut lists: Vec<_> = (0..LISTS)
                .map(|number| {
                    scope.spawn(move || {
                        let mut users = 0;
                        store
                            .for_each_member(ORGANIZATION, |_| {
                                users += 1;
                                started.wait();
                                is_over.wait();
                            })
                            .unwrap();
                        assert_eq!(users, 1, "{number}");
                    })
                })
                .collect();
            for _ in 0..LISTS / 2 {
                started.wait();
                assert_eq!(
                    store.organization(ORGANIZATION).unwrap().unwrap().name,
                    "one"
                );
                assert_eq!(store.metrics(Timestamp::UNIX_EPOCH).unwrap().tokens_live, 0);
                is_over.wait();
            }
            assert!(lists.drain(..).all(|list| list.join().is_ok()));
        });
    }
}
