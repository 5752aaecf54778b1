//! How a database is opened, whichever it is.

/// Whether a missing database is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenMissing {
    /// Make it; a file gets mode 0600.
    Create,
    /// Refuse.
    Refuse,
}

/// Who opens a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenedBy {
    /// A command. When another process has a file open, that one has looked at it.
    Command,
    /// A server. It relies on nobody, since the other process may only read, such as one that copies the log.
    Server,
}

/// An existing database that was brought up to the present schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version it had.
    pub from: i32,
    /// The version it has.
    pub to: i32,
}
