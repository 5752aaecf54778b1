//! On which terms records are written.

use jiff::Timestamp;

use crate::store::notes::Notes;

/// What becomes of a pinned token that the file says nothing of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pins {
    /// It stays, unless the password or status changes, which ends all tokens.
    Keep,
    /// There is none from now on.
    End,
}

/// What new rows get.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) now: Timestamp,
    /// What is added does not count while this import is under way.
    pub(super) import_id: Option<i64>,
}

impl Terms {
    /// Those of what is noted.
    pub(super) fn of(notes: &Notes) -> Self {
        Self {
            now: notes.now,
            import_id: notes.import_id,
        }
    }
}
