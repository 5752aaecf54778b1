//! A pass over all records of a file. A large import spreads it over several transactions.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::check::same_users;
use super::context::Pins;
use super::importer::{Importer, Record};
use super::outcome::{ImportCheck, ImportOutcome};
use super::permissions;
use crate::accounts::{Accounts, Permission};
use crate::store::engine::{self, Connection};
use crate::store::event_recorder::EventRecorder;

/// The state of a pass.
pub(super) struct ImportPass<A> {
    importer: Importer,
    accounts: A,
    permissions: Vec<Permission>,
    /// The number of records that are done.
    done: usize,
}

/// Checks all records. With `compares`, the result also contains the numbers of rows that an import would add and
/// change. Writes nothing.
pub(super) fn check(
    connection: &Connection,
    accounts: &Accounts,
    pins: Pins,
    compares: bool,
) -> engine::Result<ImportCheck> {
    let given = given_uuids(accounts);
    let mut pass = ImportPass::start(accounts, Importer::new(pins, None, compares, given));
    while !pass.go_on(connection, Duration::MAX)? {}
    let Importer {
        mut checked,
        identities,
        ..
    } = pass.importer;
    let same_users = same_users(&accounts.users, &identities);
    checked.findings.extend(same_users);
    Ok(checked)
}

impl ImportPass<Accounts> {
    pub(super) fn new(accounts: Accounts, pins: Pins, recorder: EventRecorder) -> Self {
        let given = given_uuids(&accounts);
        Self::start(accounts, Importer::new(pins, Some(recorder), true, given))
    }
}

impl<A: Borrow<Accounts>> ImportPass<A> {
    fn start(accounts: A, importer: Importer) -> Self {
        Self {
            importer,
            permissions: permissions::distinct(&accounts.borrow().users),
            accounts,
            done: 0,
        }
    }

    /// Processes records for about the given time. Returns `true` if all records are done, or if no further ones can be
    /// processed.
    pub(super) fn go_on(
        &mut self,
        connection: &Connection,
        time: Duration,
    ) -> engine::Result<bool> {
        let start = Instant::now();
        while let Some(record) = record(&self.permissions, self.accounts.borrow(), self.done) {
            self.importer.record(connection, record)?;
            self.done += 1;
            if self.importer.is_undone {
                return Ok(true);
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
    pub(super) fn finish(self, connection: &Connection) -> engine::Result<ImportOutcome> {
        self.importer.finish(connection)
    }
}

/// The UUIDs that are given for organizations and permissions. Users are not included, because a username always
/// identifies its user.
fn given_uuids(accounts: &Accounts) -> HashSet<String> {
    let organizations = accounts.organizations.iter().map(|(_, it)| &it.uuid);
    let users = accounts.users.iter().map(|entry| &entry.user);
    let permissions = users.flat_map(|user| user.permissions.iter().flatten());
    let permissions = permissions.map(|permission| &permission.uuid);
    organizations
        .chain(permissions)
        .flatten()
        .cloned()
        .collect()
}

/// The record with an index. Permissions come first, then organizations, then users, because users refer to the others.
fn record<'r>(
    permissions: &'r [Permission],
    accounts: &'r Accounts,
    index: usize,
) -> Option<Record<'r>> {
    if let Some(permission) = permissions.get(index) {
        return Some(Record::Permission(permission));
    }
    let index = index - permissions.len();
    if let Some((place, organization)) = accounts.organizations.get(index) {
        return Some(Record::Organization(*place, organization));
    }
    let index = index - accounts.organizations.len();
    accounts.users.get(index).map(Record::User)
}
