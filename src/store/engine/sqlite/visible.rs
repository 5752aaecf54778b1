//! The views that statements read. Both engines have views with the same names and columns.
//!
//! `visible_users`, `visible_organizations` and `visible_events` exclude the rows of an import that is in progress or
//! was interrupted. Tokens and visible users refer to visible rows only. `all_users` also has the users that are not
//! visible. Users have a `username_key`, which is compared with [`Username::key`](crate::account::Username::key); here
//! it is the column `username` itself, whose collation ignores case. `used_costs` has the bcrypt costs of users that
//! can log in and, in the column `users`, the numbers of these users; a cost may occur in several rows.
//!
//! They are temporary views of each connection, because `integrity_check` does not find all damage in a file that
//! contains views.

use rusqlite::Connection;

/// Creates the views for a connection. The database must have the present schema.
pub(in crate::store) fn define_views(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "CREATE TEMP VIEW visible_organizations AS
         SELECT * FROM organizations WHERE import_id IS NULL OR import_id NOT IN (SELECT id FROM imports);
         CREATE TEMP VIEW all_users AS SELECT *, username AS username_key FROM users;
         CREATE TEMP VIEW visible_users AS
         SELECT * FROM all_users WHERE import_id IS NULL OR import_id NOT IN (SELECT id FROM imports);
         CREATE TEMP VIEW visible_events AS
         SELECT * FROM events WHERE import_id IS NULL OR import_id NOT IN (SELECT id FROM imports);
         CREATE TEMP VIEW used_costs AS SELECT cost, users FROM login_costs WHERE users > 0;",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_username_and_the_highest_cost_are_found_by_indexes() {
        let connection = Connection::open_in_memory().unwrap();
        let schema = include_str!("../../../../schema.sql");
        connection.execute_batch(schema).unwrap();
        define_views(&connection).unwrap();
        for (query, plan) in [
            (
                "SELECT id FROM visible_users WHERE username_key = 'zoe'",
                "SEARCH users USING INDEX sqlite_autoindex_users_3 (username=?)",
            ),
            (
                "SELECT id FROM visible_users WHERE org_id = 1 ORDER BY username_key",
                "SEARCH users USING COVERING INDEX users_by_org (org_id=?)",
            ),
            (
                "SELECT id FROM all_users WHERE username_key = 'zoe'",
                "SEARCH users USING COVERING INDEX sqlite_autoindex_users_3 (username=?)",
            ),
            (
                "SELECT cost FROM used_costs ORDER BY cost DESC LIMIT 1",
                "SCAN login_costs",
            ),
        ] {
            let mut steps = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {query}"))
                .unwrap();
            let steps = steps.query_map([], |row| row.get(3)).unwrap();
            let steps: Vec<String> = steps.collect::<Result<_, _>>().unwrap();
            assert_eq!(steps[0], plan, "{query}");
            let sorts = |step: &String| step.contains("TEMP B-TREE");
            assert!(!steps.iter().any(sorts), "{steps:?}");
        }
    }
}
