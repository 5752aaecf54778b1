//! A pass over all records of a file. Imports of many records take several transactions for it.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::check::same_users;
use super::importer::{Importer, Record, Terms};
use super::outcome::{Checked, Imported, Outcome};
use super::permissions;
use crate::accounts::Accounts;

pub(super) struct Pass {
    importer: Importer,
    left: Box<dyn Iterator<Item = Record> + Send>,
    imported: Imported,
}

/// Checks all records.
pub(super) fn check(connection: &Connection, accounts: &Accounts) -> rusqlite::Result<Checked> {
    let mut importer = Importer::new(None);
    for permission in permissions::distinct(&accounts.users) {
        importer.permission(connection, &permission)?;
    }
    for (place, organization) in &accounts.organizations {
        importer.organization(connection, *place, organization)?;
    }
    for entry in &accounts.users {
        importer.user(connection, entry)?;
    }
    let Importer {
        mut checked,
        identities,
        ..
    } = importer;
    let same_users = same_users(&accounts.users, &identities);
    checked.findings.extend(same_users);
    Ok(checked)
}

impl Pass {
    pub(super) fn new(accounts: Accounts, terms: Terms) -> Self {
        let permissions = permissions::distinct(&accounts.users).into_iter();
        let organizations = accounts.organizations.into_iter();
        let records = permissions
            .map(Record::Permission)
            .chain(organizations.map(|(place, it)| Record::Organization(place, it)))
            .chain(accounts.users.into_iter().map(Record::User));
        Self {
            importer: Importer::new(Some(terms)),
            left: Box::new(records),
            imported: Imported::default(),
        }
    }

    /// Goes on for about this long; says whether all records are done.
    pub(super) fn go_on(
        &mut self,
        connection: &Connection,
        time: Duration,
    ) -> rusqlite::Result<bool> {
        let start = Instant::now();
        for record in self.left.by_ref() {
            let fate = self.importer.record(connection, &record)?;
            match &record {
                Record::Permission(_) => {}
                Record::Organization(..) => self.imported.organizations.count(&fate),
                Record::User(_) => self.imported.users.count(&fate),
            }
            if start.elapsed() >= time {
                return Ok(false);
            }
        }
        Ok(true)
    }

    pub(super) fn has_findings(&self) -> bool {
        !self.importer.checked.findings.is_empty()
    }

    /// Writes the changes, unless there are findings.
    pub(super) fn finish(self, connection: &Connection) -> rusqlite::Result<Outcome> {
        let findings = self.importer.finish(connection)?;
        Ok(match findings.is_empty() {
            true => Ok(self.imported),
            false => Err(findings),
        })
    }
}
