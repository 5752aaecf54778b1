//! The import of one record: it is looked up, compared and, unless it is only checked, written in the same transaction.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::changes::Changes;
use super::columns::PERMISSIONS;
use super::context::{ImportContext, Pins};
use super::find::{self, HAS_TOKEN, HAS_UUID};
use super::organizations;
use super::outcome::{ImportCheck, ImportOutcome, RecordOutcome};
use super::permissions::{self, PermissionRows};
use super::users::{self, ReferencedRows};
use crate::accounts::{Finding, Organization, Permission, RecordPlace, UserEntry};
use crate::store::engine::{self, Connection, StatementError};
use crate::store::event_recorder::EventRecorder;
use crate::store::organizations::organization_called;

pub(super) const CHANGED: &str =
    "another process has changed these accounts in the meantime; import again";
const REMOVED: &str = "another process has removed its organization or a permission; import again";

const MEANT_TWICE: &str = "another permission of the file identifies the same row of the database";

/// The placeholder for the id of a row that a check does not write.
const NOT_WRITTEN: i64 = 0;

#[derive(Clone, Copy)]
pub(super) enum Record<'r> {
    Permission(&'r Permission),
    Organization(RecordPlace, &'r Organization),
    User(&'r UserEntry),
}

/// Checks or writes records, which must be passed in the order of [`Record`].
pub(super) struct Importer {
    pins: Pins,
    /// `None` if records are only checked.
    context: Option<ImportContext>,
    /// Whether records are compared with existing rows, to report what an import would change.
    compares: bool,
    changes: Changes,
    /// Users whose pinned token is to be set or removed at the end, each with the token.
    pinned: Vec<(i64, RecordPlace, Option<String>)>,
    /// The UUIDs that are given in records of organizations and permissions.
    given_uuids: HashSet<String>,
    /// The records of organizations, by the id of the row that they identify.
    organizations: HashMap<i64, RecordPlace>,
    /// The ids of organizations, by their index in the fixture.
    org_ids: HashMap<usize, i64>,
    /// The results of looking up organizations by name or UUID.
    called: HashMap<String, Result<i64, String>>,
    pub(super) permissions: PermissionRows,
    /// The UUIDs of users, whether existing or new.
    pub(super) identities: HashMap<RecordPlace, Uuid>,
    pub(super) checked: ImportCheck,
    /// Whether a record violated a constraint of the schema. Rows written before it may be rolled back, so no further
    /// records can be imported.
    pub(super) is_undone: bool,
}

impl Importer {
    /// Creates an importer. Without `recorder` it only checks records.
    pub(super) fn new(
        pins: Pins,
        recorder: Option<EventRecorder>,
        compares: bool,
        given_uuids: HashSet<String>,
    ) -> Self {
        Self {
            pins,
            context: recorder.as_ref().map(ImportContext::of),
            compares,
            changes: Changes::new(recorder),
            pinned: Vec::new(),
            given_uuids,
            organizations: HashMap::new(),
            org_ids: HashMap::new(),
            called: HashMap::new(),
            permissions: PermissionRows::default(),
            identities: HashMap::new(),
            checked: ImportCheck::default(),
            is_undone: false,
        }
    }

    /// Checks or writes one record.
    pub(super) fn record(
        &mut self,
        connection: &Connection,
        record: Record<'_>,
    ) -> engine::Result<()> {
        let taken = match self.context {
            Some(_) => connection.attempt(|| self.take(connection, record)),
            None => self.take(connection, record),
        };
        match taken {
            Err(error) if error.is_constraint() => self.explain(connection, record, error),
            result => result,
        }
    }

    /// Writes the changes and then the pinned tokens. If the outcome has findings, the transaction must be rolled back.
    pub(super) fn finish(mut self, connection: &Connection) -> engine::Result<ImportOutcome> {
        if let Some(context) = self.context
            && self.checked.findings.is_empty()
        {
            self.write_changes(connection, context.now)?;
        }
        Ok(self.checked.outcome())
    }

    fn write_changes(&mut self, connection: &Connection, now: Timestamp) -> engine::Result<()> {
        match self.changes.write(connection) {
            Ok(true) => {}
            Err(error) if !error.is_constraint() => return Err(error),
            Ok(false) | Err(_) => {
                self.refuse(RecordPlace::File, "", CHANGED);
                return Ok(());
            }
        }
        for (user_id, place, token) in std::mem::take(&mut self.pinned) {
            if !users::pin(connection, user_id, token.as_deref(), now)? {
                self.refuse(place, "auth_token", HAS_TOKEN);
            }
        }
        Ok(())
    }

    pub(super) fn refuse(&mut self, place: RecordPlace, key: &str, message: &str) {
        let finding = Finding::new(place, key, message);
        self.checked.findings.push(finding);
    }

    fn take(&mut self, connection: &Connection, record: Record<'_>) -> engine::Result<()> {
        match record {
            Record::Permission(permission) => self.permission(connection, permission),
            Record::Organization(place, it) => self.organization(connection, place, it),
            Record::User(entry) => self.user(connection, entry),
        }
    }

    fn permission(
        &mut self,
        connection: &Connection,
        permission: &Permission,
    ) -> engine::Result<()> {
        let uuid = permission.identity();
        let columns = permissions::columns(permission);
        let found = find::permission(connection, permission, &self.given_uuids)?;
        let row = match (found, self.context) {
            (Err(message), _) => Err(message),
            (Ok(Some(row)), _) if self.permissions.is_meant_twice(&uuid, row.id()) => {
                Err(MEANT_TWICE.to_owned())
            }
            (Ok(Some(row)), _) => {
                let columns = columns.differing_from(&row);
                Ok((row.id(), self.changes.row(connection, &row, columns)?))
            }
            (Ok(None), Some(_)) => {
                let columns = columns.with("uuid", Some(uuid.clone()));
                Ok((columns.insert(connection, PERMISSIONS)?, false))
            }
            (Ok(None), None) if find::has_uuid(connection, &uuid)? => Err(HAS_UUID.to_owned()),
            (Ok(None), None) => Ok((NOT_WRITTEN, false)),
        };
        // A check reports this at each user that has the permission.
        if self.context.is_some() && row.is_err() {
            self.refuse(RecordPlace::File, "", CHANGED);
        }
        self.permissions.add(uuid, row);
        Ok(())
    }

    fn organization(
        &mut self,
        connection: &Connection,
        place: RecordPlace,
        organization: &Organization,
    ) -> engine::Result<()> {
        let row = match find::organization(connection, organization, &self.given_uuids)? {
            Ok(row) => row,
            Err((key, message)) => {
                self.refuse(place, key, &message);
                return Ok(());
            }
        };
        if let Some(row) = &row {
            let first = *self.organizations.entry(row.id()).or_insert(place);
            if first != place {
                self.refuse(place, "", &format!("the same organization as at {first}"));
                return Ok(());
            }
        }
        if self.context.is_none() {
            self.check_organization(connection, place, organization, row.as_ref())?;
            if !self.compares {
                return Ok(());
            }
        }
        let (id, outcome) = match (row, self.context) {
            (Some(row), _) => {
                let changes = &mut self.changes;
                let differs = organizations::change(connection, &row, organization, changes)?;
                (row.id(), RecordOutcome::of(differs))
            }
            (None, Some(context)) => {
                let id = organizations::add(connection, organization, context)?;
                self.changes
                    .added_organization(connection, id, organization.status)?;
                (id, RecordOutcome::Added)
            }
            (None, None) => (NOT_WRITTEN, RecordOutcome::Added),
        };
        let index = place.organization();
        self.org_ids.extend(index.map(|index| (index, id)));
        self.checked.imported.organizations.count(outcome);
        Ok(())
    }

    fn user(&mut self, connection: &Connection, entry: &UserEntry) -> engine::Result<()> {
        let org_id = self.org_id(connection, entry)?;
        let row = match find::user(connection, &entry.user)? {
            Ok(row) => row,
            Err((key, message)) => {
                self.refuse(entry.place, key, &message);
                return Ok(());
            }
        };
        if self.context.is_none() {
            self.check_user(connection, entry, row.as_ref())?;
            if !self.compares {
                return Ok(());
            }
        }
        let (assignments, are_changed) = self.permissions.assignments(entry);
        let named = ReferencedRows {
            org_id,
            assignments,
        };
        let token = &entry.user.auth_token;
        let (id, outcome, sets_pin) = match (row, self.context) {
            (Some(row), _) => {
                let (pins, changes) = (self.pins, &mut self.changes);
                let differs = users::change(connection, &row, entry, &named, pins, changes)?;
                let sets_pin = token.is_some() || pins == Pins::Remove;
                (
                    row.id(),
                    RecordOutcome::of(differs || are_changed),
                    sets_pin,
                )
            }
            (None, Some(context)) => match users::add(connection, entry, &named, context)? {
                Some(id) => {
                    self.changes.added_user(connection, id, entry.user.status)?;
                    (id, RecordOutcome::Added, token.is_some())
                }
                // The user existed when the records were checked, so its record may omit required values.
                None => return self.check_user(connection, entry, None),
            },
            (None, None) => (NOT_WRITTEN, RecordOutcome::Added, false),
        };
        if sets_pin && outcome != RecordOutcome::Unchanged {
            self.pinned.push((id, entry.place, token.clone()));
        }
        self.checked.imported.users.count(outcome);
        Ok(())
    }

    fn org_id(
        &mut self,
        connection: &Connection,
        entry: &UserEntry,
    ) -> engine::Result<Option<i64>> {
        let org = match (entry.place.organization(), &entry.user.org) {
            (Some(index), _) => return Ok(self.org_ids.get(&index).copied()),
            (None, None) => return Ok(None),
            (None, Some(org)) => org,
        };
        if !self.called.contains_key(org) {
            let found = organization_called(connection, org)?.map(|found| found.id);
            self.called.insert(org.clone(), found);
        }
        match self.called[org].clone() {
            Ok(id) => Ok(Some(id)),
            Err(message) => {
                self.refuse(entry.place, "org", &message);
                Ok(None)
            }
        }
    }

    /// Explains the violation of a constraint by findings. If the check finds nothing wrong, the error itself is
    /// returned.
    fn explain(
        &mut self,
        connection: &Connection,
        record: Record<'_>,
        error: StatementError,
    ) -> engine::Result<()> {
        self.is_undone = true;
        let before = self.checked.findings.len();
        if let Record::User(entry) = record
            && error.is_foreign_key()
        {
            self.refuse(entry.place, "", REMOVED);
        } else {
            let context = self.context.take();
            self.take(connection, record)?;
            self.context = context;
        }
        match self.checked.findings.len() == before {
            true => Err(error),
            false => Ok(()),
        }
    }
}
