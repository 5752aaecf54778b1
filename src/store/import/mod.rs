//! Importing the accounts of a file atomically.
//!
//! Each record is looked up, compared and written in one transaction. Values that the file omits are not written, so
//! that concurrent changes of them by other processes are kept.
//!
//! A small import is one transaction. So is a large one in PostgreSQL, which has no single writer, and on a file system
//! without working locks. On others, a large one would block a server's writes for seconds, so it consists of several
//! short transactions. New rows get the id of the import, and rows whose import is in the table `imports` are not
//! visible. Changes of existing rows are collected meanwhile. The last transaction writes them and removes the import
//! from that table. A row that agrees with the file when it is compared is not examined again.

mod changes;
mod check;
mod columns;
mod context;
mod events;
mod find;
mod importer;
mod organizations;
mod outcome;
mod pass;
mod people;
mod permissions;
#[cfg(test)]
mod tests;
mod unfinished;
mod users;

use std::collections::HashSet;
use std::thread;
use std::time::Duration;

use crate::store::engine::{self, Connection, parameters};
use jiff::Timestamp;

use super::event_recorder::EventRecorder;
use super::{Error, Store};
use crate::accounts::{Accounts, Finding, RecordPlace};

pub use context::Pins;
pub use outcome::{ImportCheck, ImportOutcome, Imported, KnownHashes, RowCounts};

pub(super) use find::several;

use crate::store::engine::sqlite::ImportLockAttempt;
use events::record_import;
use find::HAS_UUID;
use pass::{ImportPass, check};
use unfinished::{BATCH, PAUSE, end, start};

/// The maximum number of organizations and users in a small import, which takes some tens of milliseconds.
const MAX_SMALL_IMPORT: usize = 1_000;

/// The input of an import.
pub struct Import {
    /// The accounts. Plain passwords have been replaced by hashes, or removed if the file has not changed them.
    pub accounts: Accounts,
    /// What happens to pinned tokens that the file does not mention.
    pub pins: Pins,
    /// The name of the file, for the event.
    pub file: String,
}

impl Store {
    /// Checks the accounts against the database, before anything is hashed.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn check_import(&self, import: &Import) -> Result<ImportCheck, Error> {
        self.check_records(import, false)
    }

    /// Returns the outcome that [`Store::import`] would have, and writes nothing.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn dry_run(&self, import: &Import) -> Result<ImportOutcome, Error> {
        Ok(self.check_records(import, true)?.outcome())
    }

    /// Whether there are organizations or users other than those with these UUIDs.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn has_others(&self, uuids: &[String]) -> Result<bool, Error> {
        let uuids: HashSet<&str> = uuids.iter().map(String::as_str).collect();
        // Each UUID occurs at most once per table, so this many rows suffice to find another one.
        let limit = 2 * i64::try_from(uuids.len()).unwrap_or(i64::MAX / 2) + 1;
        let found = self.read(|connection| {
            connection.rows(
                "SELECT uuid FROM visible_organizations UNION ALL SELECT uuid FROM visible_users LIMIT :limit",
                parameters! { ":limit": limit },
                |row| row.get::<String>(0),
            )
        })?;
        Ok(found.iter().any(|uuid| !uuids.contains(uuid.as_str())))
    }

    fn check_records(&self, import: &Import, compares: bool) -> Result<ImportCheck, Error> {
        if !is_small(&import.accounts) && self.is_import_in_progress()? {
            return Err(Error::ImportInProgress);
        }
        self.read(|connection| {
            connection.in_snapshot(|connection| {
                check(connection, &import.accounts, import.pins, compares)
            })
        })
    }

    /// Writes the accounts. Findings arise only from changes that other processes have made after
    /// [`Store::check_import`].
    ///
    /// # Errors
    /// See [`Error`]. Nothing has been imported in that case.
    pub fn import(&self, import: Import, now: Timestamp) -> Result<ImportOutcome, Error> {
        let Import {
            accounts,
            pins,
            file,
        } = import;
        let recorder = self.recorder(now);
        let taking = match is_small(&accounts) {
            true => ImportLockAttempt::NotNeeded,
            false => self.database.take_import_lock(),
        };
        match taking {
            ImportLockAttempt::Held => Err(Error::ImportInProgress),
            ImportLockAttempt::Taken(_lock) => self.in_batches(accounts, pins, recorder, &file),
            ImportLockAttempt::NotNeeded | ImportLockAttempt::Impossible => self
                .write_unless_refused(move |connection| {
                    let import_id = match is_small(&accounts) {
                        true => None,
                        false => Some(start(connection)?),
                    };
                    let recorder = EventRecorder {
                        import_id,
                        ..recorder
                    };
                    let outcome = import_in_transaction(connection, accounts, pins, &recorder)?;
                    record_import(connection, &recorder, &file, &outcome)?;
                    import_id.map_or(Ok(()), |import_id| end(connection, import_id))?;
                    Ok(outcome)
                }),
        }
    }

    fn in_batches(
        &self,
        accounts: Accounts,
        pins: Pins,
        recorder: EventRecorder,
        file: &str,
    ) -> Result<ImportOutcome, Error> {
        self.remove_all_unfinished(&|| false)?;
        let import_id = self.write(|connection| {
            connection.tune_for_many_rows()?;
            start(connection)
        })?;
        let recorder = EventRecorder {
            import_id: Some(import_id),
            ..recorder
        };
        let pass = ImportPass::new(accounts, pins, recorder.clone());
        let outcome = self.batches(pass, import_id, recorder, file.to_owned());
        if !matches!(outcome, Ok(Ok(_)))
            && let Err(error) = self.remove_all_unfinished(&|| false)
        {
            tracing::warn!(%error, "cannot remove the rows of the failed import now; a running server or the next command removes them");
        }
        outcome
    }

    fn batches(
        &self,
        mut pass: ImportPass<Accounts>,
        import_id: i64,
        recorder: EventRecorder,
        file: String,
    ) -> Result<ImportOutcome, Error> {
        let mut is_done = false;
        while !is_done {
            (pass, is_done) = self.write(move |connection| {
                let is_done = pass.go_on(connection, BATCH)?;
                Ok((pass, is_done))
            })?;
            if pass.has_findings() {
                break;
            }
            thread::sleep(PAUSE);
        }
        self.write_unless_refused(move |connection| {
            let outcome = pass.finish(connection)?;
            record_import(connection, &recorder, &file, &outcome)?;
            end(connection, import_id)?;
            Ok(outcome)
        })
    }
}

/// Adds an organization or a user that must not exist yet. The caller records the event. If the outcome has findings,
/// the transaction must be rolled back.
pub(super) fn add_new(
    connection: &Connection,
    accounts: Accounts,
    now: Timestamp,
) -> engine::Result<ImportOutcome> {
    let outcome =
        import_in_transaction(connection, accounts, Pins::Keep, &EventRecorder::none(now))?;
    Ok(outcome.and_then(
        |imported| match imported.organizations.added + imported.users.added {
            0 => Err(vec![Finding::new(RecordPlace::File, "uuid", HAS_UUID)]),
            _ => Ok(imported),
        },
    ))
}

/// Writes the accounts in the present transaction. If the outcome has findings, the transaction must be rolled back.
pub(super) fn import_in_transaction(
    connection: &Connection,
    accounts: Accounts,
    pins: Pins,
    recorder: &EventRecorder,
) -> engine::Result<ImportOutcome> {
    if is_small(&accounts) {
        let findings = check(connection, &accounts, pins, false)?.findings;
        if !findings.is_empty() {
            return Ok(Err(findings));
        }
    } else {
        connection.tune_for_many_rows()?;
    }
    let mut pass = ImportPass::new(accounts, pins, recorder.clone());
    while !pass.go_on(connection, Duration::MAX)? {}
    pass.finish(connection)
}

fn is_small(accounts: &Accounts) -> bool {
    accounts.organizations.len() + accounts.users.len() <= MAX_SMALL_IMPORT
}
