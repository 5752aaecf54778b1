//! Changes of rows that are there. Temporary tables hold them until all are known; then one statement writes all rows in
//! which the same columns change, in a fraction of the time, during which nobody else can write, of a statement for each.

use super::columns::{Columns, FoundRow};
use super::noted::note_row;
use super::people;
use super::permissions::HasPermission;
use crate::account::{OrganizationStatus, UserStatus};
use crate::accounts::Person;
use crate::store::engine::{self, Connection, parameters};
use crate::store::notes::Notes;

/// They have every column that may change, with the type that it has.
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

/// A column that counts up instead of taking a value; the user's tokens end with it.
pub(super) const REVISION: &str = "revision";

/// All changes of an import.
pub(super) struct Changes {
    /// `None` where they are only noticed, and not to be written.
    notes: Option<Notes>,
    is_prepared: bool,
    /// The table of each kind of change, and the columns that change in it.
    kinds: Vec<(&'static str, Vec<&'static str>)>,
    rows: usize,
    /// Organizations that get an account manager, with the UUID of that.
    managers: Vec<(i64, String, Person)>,
}

impl Changes {
    pub(super) fn new(notes: Option<Notes>) -> Self {
        Self {
            notes,
            is_prepared: false,
            kinds: Vec::new(),
            rows: 0,
            managers: Vec::new(),
        }
    }

    /// Takes the changes of a row, and notes them now, since the transaction that writes all of them is to be short; says
    /// whether there are any. Its UUID shows later that its number is not another row's.
    pub(super) fn row(
        &mut self,
        connection: &Connection,
        row: &FoundRow,
        columns: Columns,
    ) -> engine::Result<bool> {
        let Some(notes) = self.notes.as_ref().filter(|_| !columns.0.is_empty()) else {
            return Ok(!columns.0.is_empty());
        };
        note_row(connection, notes, row, &columns)?;
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

    /// Notes a user that was added, with its status.
    pub(super) fn added_user(
        &self,
        connection: &Connection,
        id: i64,
        status: Option<UserStatus>,
    ) -> engine::Result<()> {
        let status = status.unwrap_or(UserStatus::Active).as_str();
        match &self.notes {
            Some(notes) => notes.user(connection, id, None, Some(status)),
            None => Ok(()),
        }
    }

    /// Notes an organization that was added, with its status.
    pub(super) fn added_organization(
        &self,
        connection: &Connection,
        id: i64,
        status: Option<OrganizationStatus>,
    ) -> engine::Result<()> {
        let status = status.unwrap_or(OrganizationStatus::Active).as_str();
        match &self.notes {
            Some(notes) => notes.organization(connection, id, None, Some(status)),
            None => Ok(()),
        }
    }

    /// Takes the permissions that a user has from then on, and no other.
    pub(super) fn assignments(
        &mut self,
        connection: &Connection,
        user: &FoundRow,
        assignments: &[HasPermission],
    ) -> engine::Result<()> {
        let Some(notes) = &self.notes else {
            return Ok(());
        };
        notes.user(connection, user.id(), None, Some("other permissions"))?;
        self.prepare(connection)?;
        let given = (0_i64..).zip(assignments);
        let given =
            given.map(|(position, (id, assigned))| (Some(position), Some(id), Some(assigned)));
        // The first row says that all present ones go.
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

    pub(super) fn add_manager(
        &mut self,
        connection: &Connection,
        org_id: i64,
        uuid: String,
        manager: &Person,
    ) -> engine::Result<()> {
        self.managers.push((org_id, uuid, manager.clone()));
        match &self.notes {
            Some(notes) => notes.organization(connection, org_id, None, Some("an account manager")),
            None => Ok(()),
        }
    }

    /// Writes all changes. `false` when a row is not there any more; then all is to be undone.
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

/// Writes no other columns, so that only indexes and triggers of these have work. Says how many rows there were.
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

/// `false` when a user is not there any more.
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
