//! One pass over the records of a file, in one transaction or in several: each record is looked up, compared and written in
//! the same one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, ffi};

use super::check::Checker;
use super::find::{self, Called, Found, HAS_TOKEN, HAS_UUID, UserRow};
use super::users::{self, Assignment, NewUser, Pins};
use super::{organizations, permissions};
use crate::accounts::{Accounts, Entry, Finding, Organization, Permission, Place};

const REMOVED: &str = "another process has removed its organization or a permission; import again";

/// How many rows were touched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// New rows.
    pub added: usize,
    /// Rows that differed.
    pub changed: usize,
    /// Rows that are as described.
    pub unchanged: usize,
}

/// What became of the records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Those of organizations.
    pub organizations: Summary,
    /// Those of users.
    pub users: Summary,
}

/// What holds for all records.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) pins: Pins,
    pub(super) now: Timestamp,
    /// What is added does not count while this import is under way; neither is anything changed by then.
    pub(super) import_id: Option<i64>,
    /// A row that is there is a finding.
    pub(super) only_new: bool,
}

pub(super) struct Pass {
    terms: Terms,
    left: Records,
    /// What waits for the last transaction.
    deferred: Records,
    /// Tokens that are pinned for new users, with the user's row.
    tokens: Vec<(i64, Place, String)>,
    is_last: bool,
    /// By the index of the organization.
    org_ids: Vec<i64>,
    called: Called,
    permission_ids: HashMap<String, i64>,
    changed_permissions: HashSet<i64>,
    findings: Vec<Finding>,
    imported: Imported,
}

#[derive(Default)]
struct Records {
    permissions: VecDeque<Permission>,
    organizations: VecDeque<(usize, Place, Organization)>,
    users: VecDeque<Entry>,
}

enum Fate {
    Added,
    Changed,
    Unchanged,
    Deferred,
    /// A finding says why.
    Refused,
}

impl Summary {
    fn count(&mut self, fate: &Fate) {
        match fate {
            Fate::Added => self.added += 1,
            Fate::Changed => self.changed += 1,
            Fate::Unchanged => self.unchanged += 1,
            Fate::Deferred | Fate::Refused => {}
        }
    }
}

impl Pass {
    pub(super) fn new(accounts: Accounts, terms: Terms) -> Self {
        Self {
            terms,
            org_ids: vec![0; accounts.organizations.len()],
            left: Records {
                permissions: permissions::distinct(&accounts.users).into(),
                organizations: (0..)
                    .zip(accounts.organizations)
                    .map(|(index, (place, organization))| (index, place, organization))
                    .collect(),
                users: accounts.users.into(),
            },
            deferred: Records::default(),
            tokens: Vec::new(),
            is_last: false,
            called: Called::default(),
            permission_ids: HashMap::new(),
            changed_permissions: HashSet::new(),
            findings: Vec::new(),
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
        loop {
            if let Some(permission) = self.left.permissions.pop_front() {
                self.permission(connection, permission)?;
            } else if let Some((index, place, organization)) = self.left.organizations.pop_front() {
                self.organization(connection, index, place, organization)?;
            } else if let Some(entry) = self.left.users.pop_front() {
                self.user(connection, entry)?;
            } else {
                return Ok(true);
            }
            if start.elapsed() >= time {
                return Ok(false);
            }
        }
    }

    /// Does what waits for the last transaction.
    pub(super) fn finish(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.is_last = true;
        self.left = std::mem::take(&mut self.deferred);
        while !self.go_on(connection, Duration::MAX)? {}
        for (user_id, place, token) in std::mem::take(&mut self.tokens) {
            if !users::pin(connection, user_id, &token, self.terms.now)? {
                self.report(place, "auth_token", HAS_TOKEN);
            }
        }
        Ok(())
    }

    /// Findings, if there are any.
    pub(super) fn outcome(&mut self) -> Result<Imported, Vec<Finding>> {
        if self.findings.is_empty() {
            Ok(self.imported)
        } else {
            Err(std::mem::take(&mut self.findings))
        }
    }

    fn defers(&self) -> bool {
        self.terms.import_id.is_some() && !self.is_last
    }

    fn report(&mut self, place: Place, key: &str, message: &str) {
        self.findings.push(Finding::new(place, key, message));
    }

    fn permission(
        &mut self,
        connection: &Connection,
        permission: Permission,
    ) -> rusqlite::Result<()> {
        let uuid = permission.identity();
        let Some((id, difference)) = permissions::difference(connection, &uuid, &permission)?
        else {
            let id = permissions::add(connection, &uuid, &permission)?;
            self.permission_ids.insert(uuid, id);
            return Ok(());
        };
        self.permission_ids.insert(uuid, id);
        if difference.is_empty() {
            return Ok(());
        }
        self.changed_permissions.insert(id);
        if self.defers() {
            self.deferred.permissions.push_back(permission);
            return Ok(());
        }
        difference.update(connection, "permissions", id)
    }

    fn organization(
        &mut self,
        connection: &Connection,
        index: usize,
        place: Place,
        organization: Organization,
    ) -> rusqlite::Result<()> {
        let fate = match self.write_organization(connection, index, place, &organization) {
            Err(error) if is_constraint(&error) => {
                let mut checker = Checker::new(connection);
                checker.organization(place, &organization)?;
                self.explain(place, checker, error)?
            }
            result => result?,
        };
        self.imported.organizations.count(&fate);
        if matches!(fate, Fate::Deferred) {
            let deferred = (index, place, organization);
            self.deferred.organizations.push_back(deferred);
        }
        Ok(())
    }

    fn write_organization(
        &mut self,
        connection: &Connection,
        index: usize,
        place: Place,
        organization: &Organization,
    ) -> rusqlite::Result<Fate> {
        let Terms { import_id, now, .. } = self.terms;
        let row = match find::organization(connection, organization)? {
            Found::Taken(key, message) => {
                self.report(place, key, message);
                return Ok(Fate::Refused);
            }
            Found::New => {
                let id = organizations::add(connection, organization, import_id, now)?;
                self.org_ids[index] = id;
                return Ok(Fate::Added);
            }
            Found::Row(row) => row,
        };
        if self.terms.only_new {
            self.report(place, "uuid", HAS_UUID);
            return Ok(Fate::Refused);
        }
        self.org_ids[index] = row.id;
        let difference = organizations::Difference::of(connection, &row, organization)?;
        if difference.is_empty() {
            return Ok(Fate::Unchanged);
        }
        if self.defers() {
            return Ok(Fate::Deferred);
        }
        difference.write(connection, &row, organization)?;
        Ok(Fate::Changed)
    }

    fn user(&mut self, connection: &Connection, entry: Entry) -> rusqlite::Result<()> {
        let fate = match self.write_user(connection, &entry) {
            Err(error) if is_constraint(&error) => {
                let mut checker = Checker::new(connection);
                checker.user(0, &entry)?;
                self.explain(entry.place, checker, error)?
            }
            result => result?,
        };
        self.imported.users.count(&fate);
        if matches!(fate, Fate::Deferred) {
            self.deferred.users.push_back(entry);
        }
        Ok(())
    }

    fn write_user(&mut self, connection: &Connection, entry: &Entry) -> rusqlite::Result<Fate> {
        let org_id = match self.org_id(connection, entry)? {
            Ok(org_id) => org_id,
            Err(message) => {
                self.report(entry.place, "org", &message);
                return Ok(Fate::Refused);
            }
        };
        match find::user(connection, &entry.user)? {
            Found::Taken(key, message) => {
                self.report(entry.place, key, message);
                Ok(Fate::Refused)
            }
            Found::New => self.add_user(connection, entry, org_id),
            Found::Row(row) => self.change_user(connection, entry, &row, org_id),
        }
    }

    /// The organization that the record says, if it says one.
    fn org_id(
        &mut self,
        connection: &Connection,
        entry: &Entry,
    ) -> rusqlite::Result<Result<Option<i64>, String>> {
        match (entry.organization, &entry.user.org) {
            (Some(index), _) => Ok(Ok(self.org_ids.get(index).copied())),
            (None, Some(org)) => Ok(self.called.find(connection, org)?.map(Some)),
            (None, None) => Ok(Ok(None)),
        }
    }

    fn add_user(
        &mut self,
        connection: &Connection,
        entry: &Entry,
        org_id: Option<i64>,
    ) -> rusqlite::Result<Fate> {
        let user = &entry.user;
        let (Some(username), Some(password_hash), Some(org_id)) =
            (&user.username, &user.password_hash, org_id)
        else {
            // It was there when the records were checked.
            let mut checker = Checker::new(connection);
            checker.user(0, entry)?;
            self.findings.append(&mut checker.checked.findings);
            return Ok(Fate::Refused);
        };
        let new = NewUser {
            username,
            password_hash,
            org_id,
            import_id: self.terms.import_id,
        };
        let (assignments, _) = self.assignments(entry);
        let assignments = assignments.unwrap_or_default();
        let id = users::add(connection, &new, entry, &assignments)?;
        if let Some(token) = &user.auth_token {
            self.tokens.push((id, entry.place, token.clone()));
        }
        Ok(Fate::Added)
    }

    fn change_user(
        &mut self,
        connection: &Connection,
        entry: &Entry,
        row: &UserRow,
        org_id: Option<i64>,
    ) -> rusqlite::Result<Fate> {
        let Terms {
            pins,
            now,
            only_new,
            ..
        } = self.terms;
        if only_new {
            self.report(entry.place, "uuid", HAS_UUID);
            return Ok(Fate::Refused);
        }
        let (assignments, are_changed) = self.assignments(entry);
        let assignments = assignments.as_deref();
        let difference = users::Difference::of(connection, row, entry, org_id, assignments, pins)?;
        if difference.is_empty() {
            return Ok(if are_changed {
                Fate::Changed
            } else {
                Fate::Unchanged
            });
        }
        if self.defers() {
            return Ok(Fate::Deferred);
        }
        if !difference.write(connection, row, entry, now)? {
            self.report(entry.place, "auth_token", HAS_TOKEN);
            return Ok(Fate::Refused);
        }
        Ok(Fate::Changed)
    }

    /// The permissions that a record says, and whether one of them has another text than before.
    fn assignments(&self, entry: &Entry) -> (Option<Vec<Assignment>>, bool) {
        let assignments: Option<Vec<Assignment>> = entry.user.permissions.as_ref().map(|given| {
            let assignment = |permission: &Permission| {
                let id = self.permission_ids.get(&permission.identity())?;
                Some((*id, permission.assigned))
            };
            given.iter().filter_map(assignment).collect()
        });
        let mut all = assignments.iter().flatten();
        let are_changed = all.any(|(id, _)| self.changed_permissions.contains(id));
        (assignments, are_changed)
    }

    /// Another process has changed a row since the records were checked, or SQLite is right to complain.
    fn explain(
        &mut self,
        place: Place,
        checker: Checker<'_>,
        error: rusqlite::Error,
    ) -> rusqlite::Result<Fate> {
        let mut findings = checker.checked.findings;
        let code = error.sqlite_error().map(|error| error.extended_code);
        if code == Some(ffi::SQLITE_CONSTRAINT_FOREIGNKEY) {
            findings.push(Finding::new(place, "", REMOVED));
        }
        if findings.is_empty() {
            return Err(error);
        }
        self.findings.append(&mut findings);
        Ok(Fate::Refused)
    }
}

fn is_constraint(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
}
