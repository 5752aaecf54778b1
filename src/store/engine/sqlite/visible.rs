//! The views that statements read, the same in every database.
//!
//! `visible_users`, `visible_organizations` and `visible_events` are those that count: not those of an import that is under
//! way, or that was cut off. A token, and a user that counts, are of rows that do. `all_users` has the others too. Users have
//! a `username_key`, which is compared with [`Username::key`](crate::account::Username::key); it is the column itself here,
//! whose collation ignores case. `used_costs` has the bcrypt costs of users that can log in, and how many `users` have each;
//! there may be several rows of one cost.
//!
//! They are views of each connection: with views in the file, `integrity_check` does not see all damage.

use rusqlite::Connection;

/// Defines the views for a connection to a database with the present schema.
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
