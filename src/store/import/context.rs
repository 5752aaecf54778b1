//! Parameters of an import that are the same for all records.

use jiff::Timestamp;

use crate::store::event_recorder::EventRecorder;

/// What happens to a pinned token that the file does not mention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pins {
    /// It is kept, unless the password or the status changes, which revokes all tokens.
    Keep,
    /// It is removed.
    Remove,
}

/// Values for new rows.
#[derive(Clone, Copy)]
pub(super) struct ImportContext {
    pub(super) now: Timestamp,
    /// The import of many rows that adds the rows. They are not visible while it is in progress.
    pub(super) import_id: Option<i64>,
}

impl ImportContext {
    /// The same time and import as those of the recorded events.
    pub(super) fn of(recorder: &EventRecorder) -> Self {
        Self {
            now: recorder.now,
            import_id: recorder.import_id,
        }
    }
}
