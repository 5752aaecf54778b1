//! What an import of many rows has added before all of it counts, and removing that.

use std::thread;
use std::time::Duration;

use rusqlite::{Connection, named_params};

use super::lock::{ImportLock, Taking};
use crate::store::{Error, Store};

/// About how long a batch keeps others from writing.
pub(super) const BATCH: Duration = Duration::from_millis(40);

/// So many rows are removed in less than that.
const SOME: usize = 1_000;

/// Between two batches, so that another process that tries to write gets its turn: SQLite has no queue.
pub(super) const PAUSE: Duration = Duration::from_millis(4);

/// Starts an import: what has its number does not count until [`end`].
pub(super) fn start(connection: &Connection) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(
            "INSERT INTO imports (first_permission) SELECT coalesce(max(id), 0) + 1 FROM permissions RETURNING id",
        )?
        .query_one([], |row| row.get(0))
}

/// All that an import has added counts from now on.
pub(super) fn end(connection: &Connection, import_id: i64) -> rusqlite::Result<()> {
    let ended = connection
        .prepare_cached("DELETE FROM imports WHERE id = :import_id")?
        .execute(named_params! { ":import_id": import_id })?;
    match ended {
        1 => Ok(()),
        // Another process took it for left behind, where two do not see each other's locks.
        none => Err(rusqlite::Error::StatementChangedRows(none)),
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
        let Some(path) = &self.import_lock else {
            return self.remove_all_unfinished(is_stopping);
        };
        if !self.has_unfinished()? && path.symlink_metadata().is_err() {
            return Ok(());
        }
        match ImportLock::take(path) {
            Taking::Taken(_lock) => self.remove_all_unfinished(is_stopping),
            Taking::Held | Taking::Impossible => Ok(()),
        }
    }

    /// Whether another process adds many rows now.
    pub(super) fn is_import_under_way(&self) -> Result<bool, Error> {
        let Some(path) = &self.import_lock else {
            return Ok(false);
        };
        Ok(self.has_unfinished()? && matches!(ImportLock::take(path), Taking::Held))
    }

    fn has_unfinished(&self) -> Result<bool, Error> {
        self.read(|connection| {
            connection
                .prepare_cached("SELECT EXISTS (SELECT 1 FROM imports)")?
                .query_one([], |row| row.get(0))
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
                [],
            )?;
            connection.execute("DELETE FROM imports", [])?;
            Ok(())
        })
    }
}

/// The last ones, since what was added last is found soonest.
fn some_unfinished(
    connection: &Connection,
    table: &str,
    person: &str,
) -> rusqlite::Result<Vec<Row>> {
    connection
        .prepare_cached(&format!(
            "SELECT id, {person} FROM {table} WHERE import_id IN (SELECT id FROM imports) ORDER BY id DESC LIMIT {SOME}"
        ))?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn remove(connection: &Connection, table: &str, rows: &[Row]) -> rusqlite::Result<()> {
    let mut remove = connection.prepare_cached(&format!("DELETE FROM {table} WHERE id = :id"))?;
    let mut remove_person = connection.prepare_cached("DELETE FROM people WHERE id = :id")?;
    for (id, person_id) in rows {
        remove.execute(named_params! { ":id": id })?;
        if let Some(person_id) = person_id {
            remove_person.execute(named_params! { ":id": person_id })?;
        }
    }
    Ok(())
}
