//! Changes of existing rows. Temporary tables collect them until all are known. Then one statement writes all rows in
//! which the same columns change. This blocks other writers for a fraction of the time that one statement per row would
//! take.

use super::columns::{Columns, FoundRow};
use super::events::record_changed_row;
use super::people;
use super::permissions::HasPermission;
use crate::account::{OrganizationStatus, UserStatus};
use crate::accounts::Person;
use crate::store::engine::{self, Connection, parameters};
use crate::store::event_recorder::EventRecorder;

/// The temporary tables. They have every column that may change, with its type.
const TABLES: &str = "
    CREATE TEMP TABLE IF NOT EXISTS changed_rows AS
    SELECT users.id AS kind, users.id AS row_id, users.uuid AS row_uuid,
           users.uuid, users.status, org_id, username, password_hash, loaded_hash_digest, loaded_password_hash,
           organizations.name, org_type, retailer_uuid, supplier_uuid, created_date, active_date,
           first_name, last_name, email, phone, display_name, description
    FROM users, organizations, people, permissions LIMIT 0;
    CREATE INDEX IF NOT EXISTS changed_rows_by_kind ON changed_rows (kind);
    CREATE TEMP TABLE IF NOT EXISTS changed_assignments AS
    SELECT users.id AS user_id, users.uuid, position, permission_id, assigned
    FROM users, permission_assignments LIMIT 0;
    DELETE FROM changed_rows;
    DELETE FROM changed_assignments;";

/// The column that is incremented instead of being set. When it changes, the user's tokens are removed.
pub(super) const REVISION: &str = "revision";

/// All changes of an import.
pub(super) struct Changes {
    /// Records the events. `None` if the changes are only detected, and not written.
    recorder: Option<EventRecorder>,
    is_prepared: bool,
    /// The kinds of change: the table, and the columns that change.
    kinds: Vec<(&'static str, Vec<&'static str>)>,
    rows: usize,
    /// Organizations that get an account manager, each with the manager's UUID and data.
    managers: Vec<(i64, String, Person)>,
}

impl Changes {
    pub(super) fn new(recorder: Option<EventRecorder>) -> Self {
        Self {
            recorder,
            is_prepared: false,
            kinds: Vec::new(),
            rows: 0,
            managers: Vec::new(),
        }
    }

    /// Collects the changes of a row, and returns whether there are any. Their events are recorded now, because the
    /// transaction that writes all changes must be short. The UUID of the row is stored to detect that its id has been
    /// reused by then.
    pub(super) fn row(
        &mut self,
        connection: &Connection,
        row: &FoundRow,
        columns: Columns,
    ) -> engine::Result<bool> {
        let Some(recorder) = self.recorder.as_ref().filter(|_| !columns.0.is_empty()) else {
            return Ok(!columns.0.is_empty());
        };
        record_changed_row(connection, recorder, row, &columns)?;
        self.prepare(connection)?;
        let names = columns.0.iter().map(|(column, _)| *column).collect();
        let kind = (row.table.name, names);
        let known = self.kinds.iter().position(|known| *known == kind);
        let kind = known.unwrap_or_else(|| {
            self.kinds.push(kind);
            self.kinds.len() - 1
        });
        self.rows += 1;
        let changed = columns
            .without(REVISION)
            .with("kind", Some(i64::try_from(kind).unwrap_or(i64::MAX)))
            .with("row_id", Some(row.id()))
            .with("row_uuid", Some(row.text("uuid").to_owned()));
        changed.insert_by("changed_rows", |insert, parameters| {
            connection.execute(insert, parameters)
        })?;
        Ok(true)
    }

    /// Records the event of an added user, with its status.
    pub(super) fn added_user(
        &self,
        connection: &Connection,
        id: i64,
        status: Option<UserStatus>,
    ) -> engine::Result<()> {
        let status = status.unwrap_or(UserStatus::Active).as_str();
        match &self.recorder {
            Some(recorder) => recorder.user(connection, id, None, Some(status)),
            None => Ok(()),
        }
    }

    /// Records the event of an added organization, with its status.
    pub(super) fn added_organization(
        &self,
        connection: &Connection,
        id: i64,
        status: Option<OrganizationStatus>,
    ) -> engine::Result<()> {
        let status = status.unwrap_or(OrganizationStatus::Active).as_str();
        match &self.recorder {
            Some(recorder) => recorder.organization(connection, id, None, Some(status)),
            None => Ok(()),
        }
    }

    /// Collects the new permissions of a user, which replace the present ones.
    pub(super) fn assignments(
        &mut self,
        connection: &Connection,
        user: &FoundRow,
        assignments: &[HasPermission],
    ) -> engine::Result<()> {
        let Some(recorder) = &self.recorder else {
            return Ok(());
        };
        recorder.user(connection, user.id(), None, Some("other permissions"))?;
        self.prepare(connection)?;
        let given = (0_i64..).zip(assignments);
        let given =
            given.map(|(position, (id, assigned))| (Some(position), Some(id), Some(assigned)));
        // The first row, without a position, means that all present permissions are removed.
        for (position, permission_id, assigned) in std::iter::once((None, None, None)).chain(given)
        {
            connection.execute(
                "INSERT INTO changed_assignments (user_id, uuid, position, permission_id, assigned)
                 VALUES (:id, :uuid, :position, :permission_id, :assigned)",
                parameters! {
                    ":id": user.value("id"),
                    ":uuid": user.value("uuid"),
                    ":position": position,
                    ":permission_id": permission_id,
                    ":assigned": assigned,
                },
            )?;
        }
        Ok(())
    }

    /// Collects a new account manager for an organization that has none.
    pub(super) fn add_manager(
        &mut self,
        connection: &Connection,
        org_id: i64,
        uuid: String,
        manager: &Person,
    ) -> engine::Result<()> {
        self.managers.push((org_id, uuid, manager.clone()));
        match &self.recorder {
            Some(recorder) => {
                recorder.organization(connection, org_id, None, Some("an account manager"))
            }
            None => Ok(()),
        }
    }

    /// Writes all changes. Returns `false` if a row no longer exists; the transaction must be rolled back then.
    pub(super) fn write(&self, connection: &Connection) -> engine::Result<bool> {
        let mut written = 0;
        for (kind, (table, columns)) in (0_i64..).zip(&self.kinds) {
            written += write_rows(connection, kind, table, columns)?;
        }
        for (org_id, uuid, manager) in &self.managers {
            let manager_id = people::add(connection, Some(manager), uuid.clone(), None)?;
            written += connection.execute(
                "UPDATE organizations SET account_manager_id = :manager_id WHERE id = :org_id",
                parameters! { ":manager_id": manager_id, ":org_id": org_id },
            )?;
        }
        let are_there = written == self.rows + self.managers.len();
        Ok(are_there && (!self.is_prepared || write_assignments(connection)?))
    }

    fn prepare(&mut self, connection: &Connection) -> engine::Result<()> {
        if !self.is_prepared {
            connection.batch(TABLES)?;
            self.is_prepared = true;
        }
        Ok(())
    }
}

/// Writes one kind of change, and returns the number of rows written. Only the changed columns are set, so that no
/// other indexes and triggers are involved.
fn write_rows(
    connection: &Connection,
    kind: i64,
    table: &str,
    columns: &[&str],
) -> engine::Result<usize> {
    let assignment = |column: &&str| match *column {
        REVISION => format!("{REVISION} = {REVISION} + 1"),
        column => format!("{column} = changed.{column}"),
    };
    let assignments: Vec<String> = columns.iter().map(assignment).collect();
    let written = connection.execute(
        &format!(
            "UPDATE {table} SET {} FROM changed_rows AS changed
             WHERE changed.kind = :kind AND {table}.id = changed.row_id AND {table}.uuid = changed.row_uuid",
            assignments.join(", ")
        ),
        parameters! { ":kind": kind },
    )?;
    if columns.contains(&REVISION) {
        connection.execute(
            "DELETE FROM tokens WHERE user_id IN (SELECT row_id FROM changed_rows WHERE kind = :kind)",
            parameters! { ":kind": kind },
        )?;
    }
    Ok(written)
}

/// Writes the new permissions of all users. Returns `false` if a user no longer exists.
fn write_assignments(connection: &Connection) -> engine::Result<bool> {
    let are_there = connection.one("SELECT NOT EXISTS (
             SELECT 1 FROM changed_assignments AS changed
             WHERE NOT EXISTS (SELECT 1 FROM users WHERE id = changed.user_id AND uuid = changed.uuid)
         )", &[], |row| row.get(0))?;
    connection.batch(
        "DELETE FROM permission_assignments WHERE user_id IN (SELECT user_id FROM changed_assignments);
         INSERT INTO permission_assignments (user_id, position, permission_id, assigned)
         SELECT user_id, position, permission_id, assigned FROM changed_assignments WHERE position IS NOT NULL;
         DELETE FROM changed_rows;
         DELETE FROM changed_assignments;",
    )?;
    Ok(are_there)
}
