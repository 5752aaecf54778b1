//! One record of a file: looked up, compared and, unless it is only checked, written in the same transaction.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, ffi};
use uuid::Uuid;

use super::changes::{Changes, Target};
use super::check::Check;
use super::find::{self, Called, HAS_TOKEN, HAS_UUID, UserRow};
use super::organizations;
use super::outcome::{Checked, Fate};
use super::permissions::{self, PermissionRow, PermissionRows};
use super::users::{self, Named, Pins};
use crate::accounts::{Entry, Finding, Organization, Permission, Place};

pub(super) const CHANGED: &str =
    "another process has changed these accounts in the meantime; import again";
const REMOVED: &str = "another process has removed its organization or a permission; import again";

/// What holds for all records that are written.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) pins: Pins,
    pub(super) now: Timestamp,
    /// What is added does not count while this import is under way.
    pub(super) import_id: Option<i64>,
    /// A row that is there is a finding.
    pub(super) only_new: bool,
}

pub(super) enum Record {
    Permission(Permission),
    Organization(Place, Organization),
    User(Entry),
}

/// Takes the records in the order of [`Record`].
pub(super) struct Importer {
    /// `None` for a check.
    terms: Option<Terms>,
    changes: Changes,
    /// Tokens to be pinned at the end, with the user's row.
    tokens: Vec<(i64, Place, String)>,
    /// By the index of the organization.
    org_ids: HashMap<usize, i64>,
    called: Called,
    permissions: PermissionRows,
    /// The UUIDs that users have or will have.
    pub(super) identities: HashMap<Place, Uuid>,
    pub(super) checked: Checked,
}

impl Importer {
    pub(super) fn new(terms: Option<Terms>) -> Self {
        Self {
            terms,
            changes: Changes::default(),
            tokens: Vec::new(),
            org_ids: HashMap::new(),
            called: Called::default(),
            permissions: PermissionRows::default(),
            identities: HashMap::new(),
            checked: Checked::default(),
        }
    }

    /// Takes one record.
    pub(super) fn record(
        &mut self,
        connection: &Connection,
        record: &Record,
    ) -> rusqlite::Result<Fate> {
        match self.look_and_write(connection, record) {
            Err(error) if is_constraint(&error) => self.explain(connection, record, error),
            result => result,
        }
    }

    /// Writes the changes and pins the tokens of the records; gives the findings, with which nothing is to stay.
    pub(super) fn finish(mut self, connection: &Connection) -> rusqlite::Result<Vec<Finding>> {
        if self.checked.findings.is_empty() {
            self.write_changes(connection)?;
        }
        Ok(self.checked.findings)
    }

    fn write_changes(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        match std::mem::take(&mut self.changes).write(connection) {
            Ok(true) => self.pin_tokens(connection),
            Err(error) if !is_constraint(&error) => Err(error),
            Ok(false) | Err(_) => {
                self.refuse(Place::File, "", CHANGED);
                Ok(())
            }
        }
    }

    fn pin_tokens(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let now = self.terms.map(|terms| terms.now).unwrap_or_default();
        for (user_id, place, token) in std::mem::take(&mut self.tokens) {
            if !users::pin(connection, user_id, &token, now)? {
                self.refuse(place, "auth_token", HAS_TOKEN);
            }
        }
        Ok(())
    }

    fn refuse(&mut self, place: Place, key: &str, message: &str) -> Fate {
        let finding = Finding::new(place, key, message);
        self.checked.findings.push(finding);
        Fate::NotWritten
    }

    fn check_at<'c>(&'c mut self, connection: &'c Connection, place: Place) -> Check<'c> {
        Check {
            connection,
            place,
            findings: &mut self.checked.findings,
        }
    }

    fn look_and_write(
        &mut self,
        connection: &Connection,
        record: &Record,
    ) -> rusqlite::Result<Fate> {
        match record {
            Record::Permission(permission) => self.permission(connection, permission),
            Record::Organization(place, organization) => {
                self.organization(connection, *place, organization)
            }
            Record::User(entry) => self.user(connection, entry),
        }
    }

    pub(super) fn permission(
        &mut self,
        connection: &Connection,
        permission: &Permission,
    ) -> rusqlite::Result<Fate> {
        let uuid = permission.identity();
        let (row, fate) = match permissions::find(connection, &uuid, permission)? {
            Some((id, columns)) => {
                let is_changed = !columns.is_empty();
                if self.terms.is_some() {
                    let (table, uuid) = ("permissions", uuid.as_str());
                    let target = Target { table, id, uuid };
                    self.changes.row(connection, target, columns)?;
                }
                (PermissionRow::Has { id, is_changed }, Fate::of(is_changed))
            }
            None if self.terms.is_some() => {
                let id = permissions::add(connection, &uuid, permission)?;
                let is_changed = false;
                (PermissionRow::Has { id, is_changed }, Fate::Added)
            }
            None if find::has_uuid(connection, &uuid)? => (PermissionRow::Taken, Fate::NotWritten),
            None => return Ok(Fate::NotWritten),
        };
        self.permissions.0.insert(uuid, row);
        Ok(fate)
    }

    pub(super) fn organization(
        &mut self,
        connection: &Connection,
        place: Place,
        organization: &Organization,
    ) -> rusqlite::Result<Fate> {
        let row = match find::organization(connection, organization)? {
            Ok(row) => row,
            Err((key, message)) => return Ok(self.refuse(place, key, message)),
        };
        let Some(terms) = self.terms else {
            let mut check = self.check_at(connection, place);
            check.organization(organization, row.as_ref())?;
            return Ok(Fate::NotWritten);
        };
        let (id, fate) = match row {
            None => {
                let id = organizations::add(connection, organization, terms.import_id, terms.now)?;
                (id, Fate::Added)
            }
            Some(_) if terms.only_new => return Ok(self.refuse(place, "uuid", HAS_UUID)),
            Some(row) => {
                let changes = &mut self.changes;
                let differs = organizations::change(connection, &row, organization, changes)?;
                (row.id, Fate::of(differs))
            }
        };
        let index = place.organization();
        self.org_ids.extend(index.map(|index| (index, id)));
        Ok(fate)
    }

    pub(super) fn user(
        &mut self,
        connection: &Connection,
        entry: &Entry,
    ) -> rusqlite::Result<Fate> {
        let org_id = match (entry.place.organization(), &entry.user.org) {
            (Some(index), _) => self.org_ids.get(&index).copied(),
            (None, Some(org)) => match self.called.find(connection, org)? {
                Ok(id) => Some(id),
                Err(message) => {
                    self.refuse(entry.place, "org", &message);
                    None
                }
            },
            (None, None) => None,
        };
        let row = match find::user(connection, &entry.user)? {
            Ok(row) => row,
            Err((key, message)) => return Ok(self.refuse(entry.place, key, message)),
        };
        let Some(terms) = self.terms else {
            return self.check_user(connection, entry, row.as_ref());
        };
        let (assignments, are_changed) = self.permissions.assignments(entry);
        let named = Named {
            org_id,
            assignments,
        };
        let (id, fate) = match row {
            None => match users::add(connection, entry, &named, terms.import_id)? {
                Some(id) => (id, Fate::Added),
                // It was there when the records were checked.
                None => return self.check_user(connection, entry, None),
            },
            Some(_) if terms.only_new => {
                return Ok(self.refuse(entry.place, "uuid", HAS_UUID));
            }
            Some(row) => {
                let changes = &mut self.changes;
                let differs = users::change(connection, &row, entry, &named, terms.pins, changes)?;
                (row.id, Fate::of(differs || are_changed))
            }
        };
        if let (Fate::Added | Fate::Changed, Some(token)) = (&fate, &entry.user.auth_token) {
            self.tokens.push((id, entry.place, token.clone()));
        }
        Ok(fate)
    }

    fn check_user(
        &mut self,
        connection: &Connection,
        entry: &Entry,
        row: Option<&UserRow>,
    ) -> rusqlite::Result<Fate> {
        let mut check = self.check_at(connection, entry.place);
        if let Some(uuid) = check.user(entry, row)? {
            self.identities.insert(entry.place, uuid);
        }
        if let (Some(row), Some(_)) = (row, &entry.user.password) {
            let hash = row.password_hash.clone();
            self.checked.present_hashes.insert(entry.place, hash);
        }
        for key in self.permissions.taken(entry) {
            self.refuse(entry.place, &key, HAS_UUID);
        }
        Ok(Fate::NotWritten)
    }

    /// Another process has changed a row since the records were checked, or SQLite is right to complain.
    fn explain(
        &mut self,
        connection: &Connection,
        record: &Record,
        error: rusqlite::Error,
    ) -> rusqlite::Result<Fate> {
        let code = error.sqlite_error().map(|error| error.extended_code);
        if let (Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY), Record::User(entry)) = (code, record) {
            return Ok(self.refuse(entry.place, "", REMOVED));
        }
        let before = self.checked.findings.len();
        let terms = self.terms.take();
        let fate = self.look_and_write(connection, record)?;
        self.terms = terms;
        if self.checked.findings.len() == before {
            return Err(error);
        }
        Ok(fate)
    }
}

fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}
