//! Options and results of opening a database of either kind.

/// What to do if the database does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenMissing {
    /// Create it. A file gets mode 0600.
    Create,
    /// Return an error.
    Refuse,
}

/// The kind of process that opens a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenedBy {
    /// A command. If another process has the file open, the command relies on that process having checked the file.
    Command,
    /// A server. It always checks the file itself, because another process may be a mere reader, such as one that
    /// replicates the log.
    Server,
}

/// A migration to the present schema that has been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The schema version before.
    pub from: i32,
    /// The schema version now.
    pub to: i32,
}
