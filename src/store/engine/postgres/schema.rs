//! The program's schema in a database, which may have other schemas.

use std::time::{Duration, Instant};

use super::session::Session;
use crate::store::engine::Connection;
use crate::store::engine::parameters;
use crate::store::engine::statement_error::{Result, StatementError};

/// The migrations, numbered from 1. A released migration is never edited.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// The key of the advisory lock for creating and migrating the schema: "THNS". Of several programs that start at the
/// same time, one creates it.
const LOCK: i64 = 0x5448_4e53;

/// The time limit of a migration, including the wait for another program that migrates. Large tables take long.
const TIME_LIMIT: Duration = Duration::from_secs(60 * 60);

/// The schema that was found.
#[derive(Clone, Copy)]
pub(super) enum FoundSchema {
    /// The schema of this program, with this version.
    Ours(i64),
    /// No schema, or an empty one of that name.
    Nothing,
    /// A schema of that name that belongs to another program.
    Foreign,
}

/// Why the schema was not migrated.
pub(super) enum MigrationError {
    /// The schema that was found must not be changed.
    Found(FoundSchema),
    /// A statement failed.
    Failed(StatementError),
}

pub(in crate::store) fn newest_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

pub(super) fn find(session: &Session) -> Result<FoundSchema> {
    // A single statement, for a consistent snapshot: another process may be creating the schema.
    let (is_ours, is_used) = Connection::Postgres(session).one(
        "SELECT EXISTS (SELECT 1 FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
                        WHERE relnamespace = found.oid AND relname = 'schema_version' AND attname = 'program'),
                EXISTS (SELECT 1 FROM pg_class WHERE relnamespace = found.oid)
                OR EXISTS (SELECT 1 FROM pg_proc WHERE pronamespace = found.oid)
                OR EXISTS (SELECT 1 FROM pg_type WHERE typnamespace = found.oid)
         FROM (SELECT (SELECT oid FROM pg_namespace WHERE nspname = 'thanos_login') AS oid) AS found",
        &[],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    match (is_ours, is_used) {
        (true, _) => session.schema_version().map(FoundSchema::Ours),
        (false, true) => Ok(FoundSchema::Foreign),
        (false, false) => Ok(FoundSchema::Nothing),
    }
}

/// Runs the missing migrations, and returns the version before. If another process is migrating, this waits and then
/// finds the work done.
pub(super) fn migrate(session: &Session) -> std::result::Result<i64, MigrationError> {
    session.set_deadline(Instant::now() + TIME_LIMIT);
    session.begin()?;
    session.batch("SET LOCAL lock_timeout = 0")?;
    let connection = Connection::Postgres(session);
    connection.exists(
        "SELECT pg_advisory_xact_lock(:lock)",
        parameters! { ":lock": LOCK },
    )?;
    let version = match find(session)? {
        FoundSchema::Ours(version) if version <= newest_version() => version,
        FoundSchema::Nothing => 0,
        found => {
            session.roll_back()?;
            return Err(MigrationError::Found(found));
        }
    };
    let done = usize::try_from(version).unwrap_or_default();
    for migration in MIGRATIONS.iter().skip(done) {
        session.batch(migration)?;
    }
    session.commit()?;
    Ok(version)
}

impl From<StatementError> for MigrationError {
    fn from(error: StatementError) -> Self {
        Self::Failed(error)
    }
}
