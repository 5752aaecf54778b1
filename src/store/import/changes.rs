//! Changes of rows that are there. Temporary tables hold them until all are known; then one statement writes all rows in
//! which the same columns change, in a fraction of the time, during which nobody else can write, of a statement for each.

use rusqlite::types::Value;
use rusqlite::{Connection, named_params, params_from_iter};

use super::columns::{Columns, FoundRow};
use super::noted::note_row;
use super::people;
use super::permissions::HasPermission;
use crate::account::{OrganizationStatus, UserStatus};
use crate::accounts::Person;
use crate::store::notes::Notes;

/// The most columns of one row that change together.
const MOST_COLUMNS: usize = 8;

const TABLES: &str = "
    CREATE TEMP TABLE IF NOT EXISTS changed_rows
        (kind INTEGER, id INTEGER, uuid TEXT, v0, v1, v2, v3, v4, v5, v6, v7, PRIMARY KEY (kind, id)) WITHOUT ROWID;
    CREATE TEMP TABLE IF NOT EXISTS changed_assignments
        (user_id INTEGER, uuid TEXT, position INTEGER, permission_id INTEGER, assigned INTEGER);
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
    ) -> rusqlite::Result<bool> {
        let Some(notes) = self.notes.as_ref().filter(|_| !columns.0.is_empty()) else {
            return Ok(!columns.0.is_empty());
        };
        note_row(connection, notes, row, &columns)?;
        self.prepare(connection)?;
        let (names, values): (Vec<_>, Vec<_>) = columns.0.into_iter().unzip();
        let kind = (row.table.name, names);
        let known = self.kinds.iter().position(|known| *known == kind);
        let kind = known.unwrap_or_else(|| {
            self.kinds.push(kind);
            self.kinds.len() - 1
        });
        self.rows += 1;
        let start = [
            Value::Integer(i64::try_from(kind).unwrap_or(i64::MAX)),
            row.value("id").clone(),
            row.value("uuid").clone(),
        ];
        let rest = std::iter::repeat_n(Value::Null, MOST_COLUMNS - values.len());
        connection
            .prepare_cached(
                "INSERT INTO temp.changed_rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params_from_iter(
                start.into_iter().chain(values).chain(rest),
            ))?;
        Ok(true)
    }

    /// Notes a user that was added, with its status.
    pub(super) fn added_user(
        &self,
        connection: &Connection,
        id: i64,
        status: Option<UserStatus>,
    ) -> rusqlite::Result<()> {
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
    ) -> rusqlite::Result<()> {
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
    ) -> rusqlite::Result<()> {
        let Some(notes) = &self.notes else {
            return Ok(());
        };
        notes.user(connection, user.id(), None, Some("other permissions"))?;
        self.prepare(connection)?;
        let mut insert = connection.prepare_cached(
            "INSERT INTO temp.changed_assignments VALUES (:id, :uuid, :position, :permission_id, :assigned)",
        )?;
        let given = (0_i64..).zip(assignments);
        let given =
            given.map(|(position, (id, assigned))| (Some(position), Some(id), Some(assigned)));
        // The first row says that all present ones go.
        for (position, permission_id, assigned) in std::iter::once((None, None, None)).chain(given)
        {
            insert.execute(named_params! {
                ":id": user.value("id"),
                ":uuid": user.value("uuid"),
                ":position": position,
                ":permission_id": permission_id,
                ":assigned": assigned,
            })?;
        }
        Ok(())
    }

    pub(super) fn add_manager(
        &mut self,
        connection: &Connection,
        org_id: i64,
        uuid: String,
        manager: &Person,
    ) -> rusqlite::Result<()> {
        self.managers.push((org_id, uuid, manager.clone()));
        match &self.notes {
            Some(notes) => notes.organization(connection, org_id, None, Some("an account manager")),
            None => Ok(()),
        }
    }

    /// Writes all changes. `false` when a row is not there any more; then all is to be undone.
    pub(super) fn write(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let mut written = 0;
        for (kind, (table, columns)) in (0_i64..).zip(&self.kinds) {
            written += write_rows(connection, kind, table, columns)?;
        }
        for (org_id, uuid, manager) in &self.managers {
            let manager_id = people::add(connection, Some(manager), uuid.clone(), None)?;
            written += connection
                .prepare_cached(
                    "UPDATE organizations SET account_manager_id = :manager_id WHERE id = :org_id",
                )?
                .execute(named_params! { ":manager_id": manager_id, ":org_id": org_id })?;
        }
        let are_there = written == self.rows + self.managers.len();
        Ok(are_there && (!self.is_prepared || write_assignments(connection)?))
    }

    fn prepare(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if !self.is_prepared {
            connection.execute_batch(TABLES)?;
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
) -> rusqlite::Result<usize> {
    let assignment = |(index, column): (usize, &&str)| match *column {
        REVISION => format!("{REVISION} = {REVISION} + 1"),
        column => format!("{column} = changed.v{index}"),
    };
    let assignments: Vec<String> = columns.iter().enumerate().map(assignment).collect();
    let written = connection.execute(
        &format!(
            "UPDATE {table} SET {} FROM temp.changed_rows AS changed
             WHERE changed.kind = :kind AND {table}.id = changed.id AND {table}.uuid = changed.uuid",
            assignments.join(", ")
        ),
        named_params! { ":kind": kind },
    )?;
    if columns.contains(&REVISION) {
        connection.execute(
            "DELETE FROM tokens WHERE user_id IN (SELECT id FROM temp.changed_rows WHERE kind = :kind)",
            named_params! { ":kind": kind },
        )?;
    }
    Ok(written)
}

/// `false` when a user is not there any more.
fn write_assignments(connection: &Connection) -> rusqlite::Result<bool> {
    let are_there = connection.query_one(
        "SELECT NOT EXISTS (
             SELECT 1 FROM temp.changed_assignments AS changed
             WHERE NOT EXISTS (SELECT 1 FROM users WHERE id = changed.user_id AND uuid = changed.uuid)
         )",
        [],
        |row| row.get(0),
    )?;
    connection.execute_batch(
        "DELETE FROM permission_assignments WHERE user_id IN (SELECT user_id FROM temp.changed_assignments);
         INSERT INTO permission_assignments (user_id, position, permission_id, assigned)
         SELECT user_id, position, permission_id, assigned FROM temp.changed_assignments WHERE position IS NOT NULL;
         DELETE FROM temp.changed_rows;
         DELETE FROM temp.changed_assignments;",
    )?;
    Ok(are_there)
}
