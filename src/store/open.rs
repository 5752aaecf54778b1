//! Opening, making, refusing and migrating the database file.
//!
//! A file is inspected through a connection that cannot write before anything is changed: what is refused stays as it was.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use rusqlite_migration::{M, Migrations};

use super::error::OpenError;

/// How long a connection waits for a lock that another one holds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// "THNS"; the first migration sets the same number.
const APPLICATION_ID: i32 = 0x5448_4e53;

/// Older versions lose commits when two connections write and the log is reset at the wrong moment.
pub(super) const OLDEST_SQLITE: i32 = 3_051_003;

/// The smallest page SQLite knows.
const MIN_PAGE_BYTES: u64 = 512;

/// Numbered by `user_version`, beginning with 1. A released one is never edited. `schema.sql` describes where they end.
const MIGRATIONS: &[M<'static>] = &[
    M::up(include_str!("migrations/1.sql")),
    M::up(include_str!("migrations/2.sql")),
    M::up(include_str!("migrations/3.sql")),
];

/// Whether a missing file is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenMissing {
    /// Make it, with mode 0600.
    Create,
    /// Refuse.
    Refuse,
}

/// What a commit promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A committed change survives a power failure.
    Full,
    /// Nothing survives; for databases that are thrown away.
    None,
}

/// An existing file that was brought up to the present schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrated {
    /// The version it had.
    pub from: i32,
    /// The version it has.
    pub to: i32,
}

/// Opens `path` for writing, with the present schema.
pub(super) fn writing_connection(
    path: &Path,
    missing: WhenMissing,
    durability: Durability,
) -> Result<(Connection, Option<Migrated>), OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        let found = rusqlite::version();
        return Err(OpenError::SqliteTooOld { found });
    }
    let version = if make_if_missing(path, missing)? {
        0
    } else {
        inspect(path)?
    };
    let mut connection = connect(path, durability)?;
    migrate(&mut connection, path, MIGRATIONS)?;
    let migrated = Migrated {
        from: version,
        to: newest_version(),
    };
    let changed = version != 0 && migrated.from != migrated.to;
    Ok((connection, changed.then_some(migrated)))
}

pub(super) fn newest_version() -> i32 {
    i32::try_from(MIGRATIONS.len()).expect("the list of migrations is short")
}

/// Says whether the file was made just now.
pub(super) fn make_if_missing(path: &Path, missing: WhenMissing) -> Result<bool, OpenError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => return Ok(false),
        Ok(_) => return Err(OpenError::NotAFile(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(OpenError::Create(path.to_owned(), error)),
    }
    if missing == WhenMissing::Refuse {
        return Err(OpenError::Missing(path.to_owned()));
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        // The mode given above is narrowed by the umask.
        .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)));
    match made {
        Ok(()) => Ok(true),
        // Another process was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(OpenError::Create(path.to_owned(), error)),
    }
}

/// Tells ours from everything else and gives the schema version; 0 for a database in which nothing was made yet, such as a
/// start that was killed half-way leaves behind.
pub(super) fn inspect(path: &Path) -> Result<i32, OpenError> {
    let sorted = |error| sort(path, error);
    let has_log = has_log(path);
    // SQLite takes a file shorter than its smallest page for an empty one.
    if !has_log && (1..MIN_PAGE_BYTES).contains(&file_bytes(path)) {
        return Err(OpenError::NotADatabase(path.to_owned()));
    }
    let connection = connect_for_inspection(path, has_log).map_err(sorted)?;
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i32>(0));
    let application_id = number("PRAGMA application_id").map_err(sorted)?;
    let version = number("PRAGMA user_version").map_err(sorted)?;
    let tables = number("SELECT count(*) FROM sqlite_schema").map_err(sorted)?;
    if application_id == 0 && version == 0 && tables == 0 {
        return Ok(0);
    }
    if application_id != APPLICATION_ID {
        return Err(OpenError::NotOurs(path.to_owned()));
    }
    if version > newest_version() {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found: version,
            known: newest_version(),
        });
    }
    match damage(&connection, path, has_log).map_err(sorted)? {
        None => Ok(version),
        Some(reason) => Err(OpenError::Malformed {
            path: path.to_owned(),
            reason,
        }),
    }
}

/// The first thing that is wrong with the pages. SQLite itself rounds the length of a file up to whole pages; with a log
/// beside it the end of the file may still be missing.
fn damage(connection: &Connection, path: &Path, has_log: bool) -> rusqlite::Result<Option<String>> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0));
    let expected = number("PRAGMA page_count")? * number("PRAGMA page_size")?;
    if !has_log && file_bytes(path) < expected.unsigned_abs() {
        return Ok(Some("the end is missing".to_owned()));
    }
    let findings: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    let finding = findings.lines().find(|line| !line.starts_with("***"));
    Ok(finding
        .filter(|finding| *finding != "ok")
        .map(str::to_owned))
}

/// 0 for a file that is not there.
pub(super) fn file_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

pub(super) fn log_path(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    PathBuf::from(log)
}

/// Whether newer pages may stand in a log beside the file.
pub(super) fn has_log(path: &Path) -> bool {
    file_bytes(&log_path(path)) > 0
}

/// Without a log beside it the file is read as immutable, since even a reading connection would make a log and leave it
/// behind. With one, the log holds the newest pages and must be read too.
pub(super) fn connect_for_inspection(path: &Path, has_log: bool) -> rusqlite::Result<Connection> {
    let immutable = if has_log { "" } else { "&immutable=1" };
    let uri = format!("file:{}?mode=ro{immutable}", uri_path(path));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// A path as SQLite's URI file names want it: `%`, `?` and `#` are special, and so are bytes that are not UTF-8.
fn uri_path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut encoded = String::new();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    // `file:` followed by two slashes would begin with a host name.
    if encoded.starts_with("//") {
        encoded.insert_str(0, "//");
    }
    encoded
}

fn connect(path: &Path, durability: Durability) -> Result<Connection, OpenError> {
    let sorted = |error| sort(path, error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(sorted)?;
    // SQLite falls back on reading when it may not write.
    if connection.is_readonly("main").map_err(sorted)? {
        return Err(OpenError::NotWritable(path.to_owned()));
    }
    connection.busy_timeout(BUSY_TIMEOUT).map_err(sorted)?;
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::None => "OFF",
    };
    connection
        .pragma_update(None, "synchronous", synchronous)
        .and_then(|()| connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())))
        .and_then(|()| connection.pragma_update(None, "foreign_keys", true))
        .map_err(sorted)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Two processes that start on one old file both try; the one that comes second finds the work done.
fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &'static [M<'static>],
) -> Result<(), OpenError> {
    let migrations = Migrations::from_slice(migrations);
    let version = |connection: &Connection| {
        connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i32>(0))
    };
    loop {
        let before = version(connection).map_err(|error| sort(path, error))?;
        let Err(error) = migrations.to_latest(connection) else {
            return Ok(());
        };
        let after = version(connection).map_err(|error| sort(path, error))?;
        if after == before {
            return Err(OpenError::Migration(path.to_owned(), error));
        }
    }
}

pub(super) fn sort(path: &Path, error: rusqlite::Error) -> OpenError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => OpenError::NotADatabase(path),
        Some(ErrorCode::DatabaseCorrupt) => OpenError::Malformed {
            path,
            reason: error.to_string(),
        },
        Some(ErrorCode::ReadOnly) => OpenError::NotWritable(path),
        _ => OpenError::Sqlite(path, error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_migrations_are_valid_and_end_at_the_present_schema() {
        // A migrated table has its later columns last, and its text has fewer comments.
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
            .execute_batch(include_str!("../../schema.sql"))
            .unwrap();
        let mut migrated = Connection::open_in_memory().unwrap();
        Migrations::from_slice(MIGRATIONS)
            .to_latest(&mut migrated)
            .unwrap();
        assert_eq!(schema(&migrated), schema(&present));
    }

    #[test]
    fn a_path_with_special_characters_opens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a b?c#d%41é.db");
        writing_connection(&path, WhenMissing::Create, Durability::None).unwrap();
        assert!(path.exists());
        assert_eq!(inspect(&path).unwrap(), newest_version());
    }

    /// What a later release may bring: it touches every token, and is at it for a while.
    const LATER: &[M<'static>] = &[
        M::up(include_str!("migrations/1.sql")),
        M::up(include_str!("migrations/2.sql")),
        M::up(include_str!("migrations/3.sql")),
        M::up(
            "ALTER TABLE tokens ADD COLUMN note TEXT;
             UPDATE tokens SET note = hex(randomblob(200));",
        ),
    ];
    const TOKENS: i64 = 100_000;

    /// Says to the process that the test starts what it shall migrate.
    const TO_MIGRATE: &str = "TEST_DATABASE_TO_MIGRATE";

    /// Shows that the way to the next schema may be cut off anywhere.
    #[test]
    fn a_kill_in_the_middle_of_a_migration_leaves_the_old_schema_and_every_row() {
        if let Some(path) = std::env::var_os(TO_MIGRATE) {
            let path = Path::new(&path);
            let mut connection = connect(path, Durability::Full).unwrap();
            migrate(&mut connection, path, LATER).unwrap();
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("thanos-login.db");
        fill_with_tokens(&path);
        let this = "store::open::tests::\
                    a_kill_in_the_middle_of_a_migration_leaves_the_old_schema_and_every_row";
        let mut migrating = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this])
            .env(TO_MIGRATE, &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Far less than it is going to write, and more than it keeps in memory.
        while file_bytes(&log_path(&path)) < 4 << 20 {
            assert!(migrating.try_wait().unwrap().is_none(), "it wrote nothing");
            std::thread::sleep(Duration::from_millis(1));
        }
        migrating.kill().unwrap();
        migrating.wait().unwrap();

        assert_eq!(inspect(&path).unwrap(), newest_version());
        let count = |connection: &Connection, condition: &str| {
            let query = format!("SELECT count(*) FROM tokens WHERE {condition}");
            connection.query_row(&query, [], |row| row.get::<_, i64>(0))
        };
        let (mut connection, migrated) =
            writing_connection(&path, WhenMissing::Refuse, Durability::Full).unwrap();
        assert_eq!(migrated, None);
        assert_eq!(count(&connection, "TRUE").unwrap(), TOKENS);
        count(&connection, "note IS NULL").unwrap_err();
        // The next start does the whole of it.
        migrate(&mut connection, &path, LATER).unwrap();
        assert_eq!(count(&connection, "note IS NOT NULL").unwrap(), TOKENS);
        let integrity: String = connection
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(integrity, "ok");
    }

    fn fill_with_tokens(path: &Path) {
        let (connection, _) =
            writing_connection(path, WhenMissing::Create, Durability::Full).unwrap();
        // The rows of the user are another matter.
        connection
            .pragma_update(None, "foreign_keys", false)
            .unwrap();
        let fill = format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {TOKENS})
             INSERT INTO tokens (digest, user_id, issued_at) SELECT randomblob(32), 1, 0 FROM n"
        );
        connection.execute(&fill, []).unwrap();
    }

    #[test]
    fn many_openings_at_once_of_a_new_file_all_succeed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new.db");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    writing_connection(&path, WhenMissing::Create, Durability::Full).unwrap();
                });
            }
        });
    }
}
