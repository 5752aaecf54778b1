//! A summary of the content of a database, for confirmation prompts and reports. The database may have an older schema.

use jiff::Timestamp;
use rusqlite::Connection;

use super::engine::{self, Row};
use super::rows::{optional_moment, unsigned};

/// A summary of the content of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// The number of users.
    pub users: u64,
    /// The time of the most recent successful login.
    pub newest_login: Option<Timestamp>,
}

impl Content {
    /// Reads the summary. The `visible_*` views are not used, because they need the present schema.
    pub(super) fn of(connection: &Connection) -> engine::Result<Self> {
        const ALL: &str = "SELECT count(*), max(last_login) FROM users";
        let counting =
            format!("{ALL} WHERE import_id IS NULL OR import_id NOT IN (SELECT id FROM imports)");
        let content = |row: &Row<'_>| {
            Ok(Self {
                users: unsigned(row, 0)?,
                newest_login: optional_moment(row, 1)?,
            })
        };
        let query = match connection.prepare(&counting) {
            Ok(_) => &counting,
            Err(_) => ALL,
        };
        engine::Connection::Sqlite(connection).one(query, &[], content)
    }
}

/// Whether the database holds nothing that could be lost. `false` for an older schema or a damaged database.
pub(super) fn is_without_content(connection: &Connection) -> bool {
    let is_true = |query| connection.query_one(query, [], |row| row.get::<_, bool>(0));
    is_true("SELECT count(*) = 0 FROM sqlite_schema").unwrap_or(false)
        || is_true(
            "SELECT NOT EXISTS (SELECT 1 FROM organizations) AND NOT EXISTS (SELECT 1 FROM users)
                 AND NOT EXISTS (SELECT 1 FROM events)",
        )
        .unwrap_or(false)
}
