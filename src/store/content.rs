//! What a database has, for a question or a report. It may have an older schema, and be any that SQLite can read.

use jiff::Timestamp;
use rusqlite::Connection;

use super::engine::{self, Row};
use super::rows::{optional_moment, unsigned};

/// What a database has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Content {
    /// How many users.
    pub users: u64,
    /// The newest login of any of them that succeeded.
    pub newest_login: Option<Timestamp>,
}

impl Content {
    /// The views of those that count are only for the present schema.
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

/// Whether nothing would be lost with it. An older or damaged one is not asked.
pub(super) fn is_without_content(connection: &Connection) -> bool {
    let is_true = |query| connection.query_one(query, [], |row| row.get::<_, bool>(0));
    is_true("SELECT count(*) = 0 FROM sqlite_schema").unwrap_or(false)
        || is_true(
            "SELECT NOT EXISTS (SELECT 1 FROM organizations) AND NOT EXISTS (SELECT 1 FROM users)
                 AND NOT EXISTS (SELECT 1 FROM events)",
        )
        .unwrap_or(false)
}
