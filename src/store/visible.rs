//! The users, organizations and events that count: not those of an import that is under way, or that was cut off.
//!
//! What reads them reads `visible_users`, `visible_organizations` and `visible_events`. A token, and a user that counts, are
//! of rows that do. They are views of each connection: with views in the file, `integrity_check` does not see all damage.

use rusqlite::Connection;

/// Defines the views for a connection to a database with the present schema.
pub(super) fn define_views(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TEMP VIEW visible_organizations AS
         SELECT * FROM organizations WHERE import_id IS NULL OR import_id NOT IN (SELECT id FROM imports);
         CREATE TEMP VIEW visible_users AS
         SELECT * FROM users WHERE import_id IS NULL OR import_id NOT IN (SELECT id FROM imports);
         CREATE TEMP VIEW visible_events AS
         SELECT * FROM events WHERE import_id IS NULL OR import_id NOT IN (SELECT id FROM imports);",
    )
}
