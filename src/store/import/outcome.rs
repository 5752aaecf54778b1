//! The outcome of an import, in total and per record.

use std::collections::HashMap;

use serde::Serialize;

use crate::accounts::{Finding, RecordPlace};

/// The numbers of rows by what happened to them. The fields have the names and the order of `--json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RowCounts {
    /// The number of new rows.
    pub added: usize,
    /// The number of rows that differed from the file.
    pub changed: usize,
    /// The number of rows that agreed with the file.
    pub unchanged: usize,
}

/// The result of an import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The numbers of organizations.
    pub organizations: RowCounts,
    /// The numbers of users.
    pub users: RowCounts,
}

/// The result of an import, or the findings that prevented it.
pub type ImportOutcome = Result<Imported, Vec<Finding>>;

/// The result of checking records against the database.
#[derive(Default)]
pub struct ImportCheck {
    /// The findings, in the order of the records.
    pub findings: Vec<Finding>,
    pub(super) imported: Imported,
    /// The stored hashes of existing users for whom the file gives a plain password.
    pub known_hashes: HashMap<RecordPlace, KnownHashes>,
}

/// The stored hashes with which a plain password from a file is compared.
pub struct KnownHashes {
    /// The hash of the plain password that was last loaded from a file.
    pub loaded: Option<String>,
    /// The hash of the user's present password.
    pub present: String,
}

impl ImportCheck {
    pub(super) fn outcome(self) -> ImportOutcome {
        match self.findings.is_empty() {
            true => Ok(self.imported),
            false => Err(self.findings),
        }
    }
}

/// What happens to the row of one record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordOutcome {
    Added,
    Changed,
    Unchanged,
}

impl RecordOutcome {
    /// The outcome of an existing row.
    pub(super) fn of(differs: bool) -> Self {
        if differs {
            Self::Changed
        } else {
            Self::Unchanged
        }
    }
}

impl RowCounts {
    pub(super) fn count(&mut self, outcome: RecordOutcome) {
        let count = match outcome {
            RecordOutcome::Added => &mut self.added,
            RecordOutcome::Changed => &mut self.changed,
            RecordOutcome::Unchanged => &mut self.unchanged,
        };
        *count += 1;
    }
}
