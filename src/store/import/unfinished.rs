//! What an import of many rows has added before all of it counts, and removing that.

use std::thread;
use std::time::Duration;

use crate::store::engine::sqlite::Taking;
use crate::store::engine::{self, Connection, StatementError, parameters};
use crate::store::{Error, Store};

/// About how long a batch keeps others from writing.
pub(super) const BATCH: Duration = Duration::from_millis(40);

/// So many rows are removed in less than that.
const SOME: usize = 1_000;

/// Between two batches, so that another process that tries to write gets its turn: SQLite has no queue.
pub(super) const PAUSE: Duration = Duration::from_millis(4);

/// Starts an import: what has its number does not count until [`end`].
pub(super) fn start(connection: &Connection) -> engine::Result<i64> {
    connection.one("INSERT INTO imports (first_permission) SELECT coalesce(max(id), 0) + 1 FROM permissions RETURNING id", &[], |row| row.get(0))
}

/// All that an import has added counts from now on.
pub(super) fn end(connection: &Connection, import_id: i64) -> engine::Result<()> {
    let ended = connection.execute(
        "DELETE FROM imports WHERE id = :import_id",
        parameters! { ":import_id": import_id },
    )?;
    match ended {
        1 => Ok(()),
        // Another process took it for left behind, where two do not see each other's locks.
        _ => Err(StatementError::NoRow),
    }
}

/// A row and the person that goes with it.
type Row = (i64, Option<i64>);

impl Store {
    /// Removes what imports have left behind whose process has ended. `is_stopping` may end that early; the next call goes on.
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
            Taking::Taken(_lock) => self.remove_all_unfinished(is_stopping),
            Taking::Held | Taking::Impossible => Ok(()),
        }
    }

    /// Whether another process adds many rows now.
    pub(super) fn is_import_under_way(&self) -> Result<bool, Error> {
        Ok(self.has_unfinished()? && matches!(self.database.take_import_lock(), Taking::Held))
    }

    fn has_unfinished(&self) -> Result<bool, Error> {
        self.read(|connection| {
            connection.one("SELECT EXISTS (SELECT 1 FROM imports)", &[], |row| {
                row.get(0)
            })
        })
    }

    /// Only for the holder of the lock: no other import of many rows is under way then.
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

/// The last ones, since what was added last is found soonest.
fn some_unfinished(connection: &Connection, table: &str, person: &str) -> engine::Result<Vec<Row>> {
    connection.rows(&format!(
            "SELECT id, {person} FROM {table} WHERE import_id IN (SELECT id FROM imports) ORDER BY id DESC LIMIT {SOME}"
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
