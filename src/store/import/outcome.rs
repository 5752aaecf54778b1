//! What becomes of the records of a file.

use std::collections::HashMap;

use serde::Serialize;

use crate::accounts::{Finding, Place};

/// How many rows were touched; the names and the order of the fields are those of `--json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
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

/// What the database says of the records.
#[derive(Default)]
pub struct Checked {
    /// In the order of the records.
    pub findings: Vec<Finding>,
    pub(super) imported: Imported,
    /// Of users who exist and have a password in clear.
    pub known_hashes: HashMap<Place, KnownHashes>,
}

/// What the password that a file gives in clear is compared with.
pub struct KnownHashes {
    /// Of the password that a file gave in clear when it was last loaded.
    pub loaded: Option<String>,
    /// Of the password that the user has.
    pub present: String,
}

impl Checked {
    pub(super) fn outcome(self) -> Outcome {
        match self.findings.is_empty() {
            true => Ok(self.imported),
            false => Err(self.findings),
        }
    }
}

/// What becomes of one record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Added,
    Changed,
    Unchanged,
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
    pub(super) fn count(&mut self, fate: Fate) {
        let count = match fate {
            Fate::Added => &mut self.added,
            Fate::Changed => &mut self.changed,
            Fate::Unchanged => &mut self.unchanged,
        };
        *count += 1;
    }
}
