//! What becomes of the records of a file.

use std::collections::HashMap;

use crate::accounts::{Finding, Place};

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

/// What was done, or why nothing was.
pub type Outcome = Result<Imported, Vec<Finding>>;

/// What the database says before anything is hashed.
#[derive(Default)]
pub struct Checked {
    /// In the order of the records.
    pub findings: Vec<Finding>,
    /// The hash that the user of a record with a password in clear has now.
    pub present_hashes: HashMap<Place, String>,
}

/// What became of one record.
pub(super) enum Fate {
    Added,
    Changed,
    Unchanged,
    /// It is only checked, or a finding says why.
    NotWritten,
}

impl Fate {
    /// Of a row that is there.
    pub(super) fn of(differs: bool) -> Self {
        if differs {
            Self::Changed
        } else {
            Self::Unchanged
        }
    }
}

impl Summary {
    pub(super) fn count(&mut self, fate: &Fate) {
        match fate {
            Fate::Added => self.added += 1,
            Fate::Changed => self.changed += 1,
            Fate::Unchanged => self.unchanged += 1,
            Fate::NotWritten => {}
        }
    }
}
