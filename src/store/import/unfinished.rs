//! The start and the end of an import of many rows, and the removal of rows that an interrupted one has left behind.

use std::thread;
use std::time::Duration;

use crate::store::engine::sqlite::ImportLockAttempt;
use crate::store::engine::{self, Connection, StatementError, parameters};
use crate::store::{Error, Store};

/// About how long a batch blocks other writers.
pub(super) const BATCH: Duration = Duration::from_millis(40);

/// The number of rows that one transaction removes, which takes less than [`BATCH`].
const ROWS_PER_REMOVAL: usize = 1_000;

/// The pause between two batches, in which other processes can write: SQLite has no queue of writers.
pub(super) const PAUSE: Duration = Duration::from_millis(4);

/// Starts an import and returns its id. Rows with this id are not visible until [`end`].
pub(super) fn start(connection: &Connection) -> engine::Result<i64> {
    connection.one("INSERT INTO imports (first_permission) SELECT coalesce(max(id), 0) + 1 FROM permissions RETURNING id", &[], |row| row.get(0))
}

/// Ends an import: the rows that it has added become visible.
pub(super) fn end(connection: &Connection, import_id: i64) -> engine::Result<()> {
    let ended = connection.execute(
        "DELETE FROM imports WHERE id = :import_id",
        parameters! { ":import_id": import_id },
    )?;
    match ended {
        1 => Ok(()),
        // Another process removed it as interrupted. That is possible on file systems without working locks.
        _ => Err(StatementError::NoRow),
    }
}

/// The id of a row, and that of the person to be removed with it.
type Row = (i64, Option<i64>);

impl Store {
    /// Removes the rows of imports whose process has ended. Returns early if `is_stopping` returns `true`; the next
    /// call continues.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn remove_unfinished_imports(&self, is_stopping: &dyn Fn() -> bool) -> Result<(), Error> {
        if !self.database.has_import_lock() {
            return self.remove_all_unfinished(is_stopping);
        }
        if !self.has_unfinished()? && !self.database.is_import_lock_there() {
            return Ok(());
        }
        match self.database.take_import_lock() {
            ImportLockAttempt::Taken(_lock) => self.remove_all_unfinished(is_stopping),
            ImportLockAttempt::Held
            | ImportLockAttempt::NotNeeded
            | ImportLockAttempt::Impossible => Ok(()),
        }
    }

    /// Whether an import of many rows is in progress.
    pub(super) fn is_import_in_progress(&self) -> Result<bool, Error> {
        Ok(self.has_unfinished()?
            && matches!(self.database.take_import_lock(), ImportLockAttempt::Held))
    }

    fn has_unfinished(&self) -> Result<bool, Error> {
        self.read(|connection| {
            connection.one("SELECT EXISTS (SELECT 1 FROM imports)", &[], |row| {
                row.get(0)
            })
        })
    }

    /// Removes the rows of all interrupted imports. Only the holder of the lock may call this, because no other import
    /// of many rows is in progress then.
    pub(super) fn remove_all_unfinished(
        &self,
        is_stopping: &dyn Fn() -> bool,
    ) -> Result<(), Error> {
        if !self.has_unfinished()? {
            return Ok(());
        }
        for (table, person) in [
            ("users", "person_id"),
            ("organizations", "account_manager_id"),
            ("events", "NULL"),
        ] {
            loop {
                let rows = self.read(|connection| some_unfinished(connection, table, person))?;
                if rows.is_empty() {
                    break;
                }
                if is_stopping() {
                    return Ok(());
                }
                self.write(move |connection| remove(connection, table, &rows))?;
                thread::sleep(PAUSE);
            }
        }
        self.write(|connection| {
            connection.execute(
                "DELETE FROM permissions
                 WHERE id >= (SELECT min(first_permission) FROM imports)
                       AND id NOT IN (SELECT permission_id FROM permission_assignments)",
                &[],
            )?;
            connection.execute("DELETE FROM imports", &[])?;
            Ok(())
        })
    }
}

/// Some rows of interrupted imports, newest first, because the newest rows of a table are found fastest.
fn some_unfinished(connection: &Connection, table: &str, person: &str) -> engine::Result<Vec<Row>> {
    connection.rows(&format!(
            "SELECT id, {person} FROM {table} WHERE import_id IN (SELECT id FROM imports) ORDER BY id DESC LIMIT {ROWS_PER_REMOVAL}"
        ), &[], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn remove(connection: &Connection, table: &str, rows: &[Row]) -> engine::Result<()> {
    let remove = format!("DELETE FROM {table} WHERE id = :id");
    for (id, person_id) in rows {
        connection.execute(&remove, parameters! { ":id": id })?;
        if let Some(person_id) = person_id {
            connection.execute(
                "DELETE FROM people WHERE id = :id",
                parameters! { ":id": person_id },
            )?;
        }
    }
    Ok(())
}
