//! One record of a file: looked up, compared and, unless it is only checked, written in the same transaction.

use std::collections::HashMap;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, ffi};
use uuid::Uuid;

use super::check::Check;
use super::find::{self, Called, HAS_TOKEN, HAS_UUID, UserRow};
use super::organizations;
use super::outcome::{Checked, Fate};
use super::permissions::{self, PermissionRow, PermissionRows};
use super::users::{self, Named, Pins};
use crate::accounts::{Entry, Finding, Organization, Permission, Place};

const REMOVED: &str = "another process has removed its organization or a permission; import again";

/// What holds for all records that are written.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) pins: Pins,
    pub(super) now: Timestamp,
    /// What is added does not count while this import is under way; neither is anything changed by then.
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
    /// Whether changes wait for the last transaction.
    pub(super) defers: bool,
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
            defers: terms.is_some_and(|terms| terms.import_id.is_some()),
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
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                self.explain(connection, record, error)
            }
            result => result,
        }
    }

    /// Pins the tokens of the records.
    pub(super) fn pin_tokens(&mut self, connection: &Connection) -> rusqlite::Result<()> {
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

    fn writes_changes(&self) -> bool {
        self.terms.is_some() && !self.defers
    }

    fn fate_of(&self, differs: bool) -> Fate {
        match differs {
            false => Fate::Unchanged,
            true if self.defers => Fate::Deferred,
            true => Fate::Changed,
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
        let writes = self.writes_changes();
        let found = permissions::change(connection, &uuid, permission, writes)?;
        let (row, fate) = match found {
            Some((id, is_changed)) => {
                let fate = self.fate_of(is_changed);
                (PermissionRow::Has { id, is_changed }, fate)
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
                let writes = self.writes_changes();
                let differs = organizations::change(connection, &row, organization, writes)?;
                (row.id, self.fate_of(differs))
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
                let writes = self.writes_changes();
                let differs = users::change(connection, &row, entry, &named, terms.pins, writes)?;
                match self.fate_of(differs) {
                    Fate::Unchanged if are_changed => (row.id, Fate::Changed),
                    fate => (row.id, fate),
                }
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
