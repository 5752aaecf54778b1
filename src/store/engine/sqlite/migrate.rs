//! Creating the schema, and migrating older files to it.

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use super::codes::reason;
use super::database_file::DatabaseFile;
use crate::store::engine::OpenError;

/// The migrations, numbered from 1; `user_version` is the number of the last one that was applied. A released migration
/// is never edited. `schema.sql` is the schema that results from all of them.
const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("migrations/1.sql")),
    M::up(include_str!("migrations/2.sql")),
    M::up(include_str!("migrations/3.sql")),
    M::up(include_str!("migrations/4.sql")),
    M::up(include_str!("migrations/5.sql")),
];

pub(in crate::store) fn newest_version() -> i32 {
    i32::try_from(MIGRATIONS.len()).expect("the list of migrations is short")
}

/// Applies the missing migrations. If two processes open an old file at the same time, the second one finds the work
/// done.
pub(in crate::store) fn migrate(
    connection: &mut Connection,
    file: &DatabaseFile,
) -> Result<(), OpenError> {
    run(connection, file, MIGRATIONS)
}

fn run(
    connection: &mut Connection,
    file: &DatabaseFile,
    migrations: &'static [M<'static>],
) -> Result<(), OpenError> {
    let migrations = Migrations::from_slice(migrations);
    let version = |connection: &Connection| {
        connection
            .query_one("PRAGMA user_version", [], |row| row.get::<_, i32>(0))
            .map_err(|error| OpenError::new(file.given(), &error))
    };
    loop {
        let before = version(connection)?;
        let Err(error) = migrations.to_latest(connection) else {
            return Ok(());
        };
        if version(connection)? == before {
            let path = file.given().to_owned();
            let reason = match error {
                rusqlite_migration::Error::RusqliteError { err, .. } => reason(&err),
                other => other.to_string(),
            };
            return Err(OpenError::Migration { path, reason });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::database_file::file_bytes;
    use super::super::inspect::inspect;
    use super::super::open::{Durability, writing_connection};
    use super::*;
    use crate::store::engine::{Migrated, OpenedBy, WhenMissing};

    #[test]
    fn the_migrations_are_valid_and_result_in_the_present_schema() {
        // The columns are compared without their order, because a migrated table has the columns that were added later
        // at its end. Comments differ too.
        let schema = |connection: &Connection| -> Vec<String> {
            connection
                .prepare(
                    "SELECT name || ': ' || sql FROM sqlite_schema WHERE type <> 'table' AND sql IS NOT NULL
                     UNION ALL
                     SELECT format('%s: %s %s %d %s %d %d', tables.name, columns.name, columns.type,
                                   \"notnull\", dflt_value, pk, hidden)
                     FROM pragma_table_list AS tables, pragma_table_xinfo(tables.name) AS columns
                     WHERE tables.name NOT LIKE 'sqlite%'
                     UNION ALL
                     SELECT format('%s -> %s', tables.name, keys.\"table\" || keys.\"from\" || keys.on_delete)
                     FROM pragma_table_list AS tables, pragma_foreign_key_list(tables.name) AS keys
                     ORDER BY 1",
                )
                .and_then(|mut statement| statement.query_map([], |row| row.get(0))?.collect())
                .unwrap()
        };
        let present = Connection::open_in_memory().unwrap();
        present
            .execute_batch(include_str!("../../../../schema.sql"))
            .unwrap();
        let mut migrated = Connection::open_in_memory().unwrap();
        Migrations::from_slice(MIGRATIONS)
            .to_latest(&mut migrated)
            .unwrap();
        assert_eq!(schema(&migrated), schema(&present));
    }

    /// A migration that a later release might have. It changes every token, which takes a while.
    const LATER: &[M<'static>] = &[
        M::up(include_str!("migrations/1.sql")),
        M::up(include_str!("migrations/2.sql")),
        M::up(include_str!("migrations/3.sql")),
        M::up(include_str!("migrations/4.sql")),
        M::up(include_str!("migrations/5.sql")),
        M::up(
            "ALTER TABLE tokens ADD COLUMN note TEXT;
             UPDATE tokens SET note = hex(randomblob(200));",
        ),
    ];
    const TOKENS: i64 = 100_000;

    /// The environment variable with the path of the database that the test's child process migrates.
    const TO_MIGRATE: &str = "TEST_DATABASE_TO_MIGRATE";

    /// A migration may be interrupted at any point.
    #[test]
    fn a_kill_during_a_migration_leaves_the_old_schema_and_every_row() {
        if let Some(path) = std::env::var_os(TO_MIGRATE) {
            let (mut connection, file, _) = open(Path::new(&path), WhenMissing::Refuse);
            run(&mut connection, &file, LATER).unwrap();
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("thanos-login.db");
        fill_with_tokens(&path);
        let this = "store::engine::sqlite::migrate::tests::\
                    a_kill_during_a_migration_leaves_the_old_schema_and_every_row";
        let mut migrating = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this])
            .env(TO_MIGRATE, &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Less than the migration writes in total, and more than SQLite keeps in memory.
        let file = DatabaseFile::resolve(&path).unwrap();
        while file_bytes(&file.log()) < 4 << 20 {
            assert!(migrating.try_wait().unwrap().is_none(), "it wrote nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
        migrating.kill().unwrap();
        migrating.wait().unwrap();

        assert_eq!(inspect(&file).unwrap(), newest_version());
        let count = |connection: &Connection, condition: &str| {
            let query = format!("SELECT count(*) FROM tokens WHERE {condition}");
            connection.query_one(&query, [], |row| row.get::<_, i64>(0))
        };
        let (mut connection, _, migrated) = open(&path, WhenMissing::Refuse);
        assert_eq!(migrated, None);
        assert_eq!(count(&connection, "TRUE").unwrap(), TOKENS);
        count(&connection, "note IS NULL").unwrap_err();
        // The next start makes the whole migration.
        run(&mut connection, &file, LATER).unwrap();
        assert_eq!(count(&connection, "note IS NOT NULL").unwrap(), TOKENS);
        let integrity: String = connection
            .query_one("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(integrity, "ok");
    }

    fn open(path: &Path, missing: WhenMissing) -> (Connection, DatabaseFile, Option<Migrated>) {
        let file = DatabaseFile::resolve(path).unwrap();
        let (by, durability) = (OpenedBy::Command, Durability::Full);
        let progress = Box::new(|_, _| {});
        let opened = writing_connection(&file, missing, durability, by, progress).unwrap();
        (opened.connection, file, opened.migrated)
    }

    fn fill_with_tokens(path: &Path) {
        let (connection, ..) = open(path, WhenMissing::Create);
        let owner = "
            INSERT INTO people (id, uuid) VALUES (1, '00000000-0000-4000-8000-000000000001');
            INSERT INTO organizations (id, uuid, name, org_type, retailer_uuid, status, created_date)
            VALUES (1, '00000000-0000-4000-8000-000000000002', 'x', 'RETAILER',
                    '00000000-0000-4000-8000-000000000003', 'ACTIVE', 0);
            INSERT INTO users (id, uuid, org_id, person_id, username, password_hash, status)
            VALUES (1, '00000000-0000-4000-8000-000000000004', 1, 1, 'x',
                    '$2b$04$KG/joNZtprVqnb03qEXKYe2vwMk5Oqq7gD6vLU8yhLRR9aeZH0UCK', 'ACTIVE');";
        connection.execute_batch(owner).unwrap();
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TOKENS})
             INSERT INTO tokens (digest, user_id, issued_at) SELECT randomblob(32), 1, 0 FROM n"
        );
        connection.execute(&fill, []).unwrap();
    }
}
