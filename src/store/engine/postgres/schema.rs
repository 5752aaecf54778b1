//! The program's schema in a database that may have others.

use std::time::{Duration, Instant};

use super::session::Session;
use crate::store::engine::Connection;
use crate::store::engine::parameters;
use crate::store::engine::statement_error::{Result, StatementError};

/// Each a transaction of its own, numbered from 1. A released one is never edited. `schema.sql` describes where they end.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// So that of several programs that start on an empty database one makes the schema: "THNS".
const LOCK: i64 = 0x5448_4e53;

/// The tables are made or changed by one at a time, and those who wait find it done. Large tables take their time.
const PATIENCE: Duration = Duration::from_secs(60 * 60);

/// What there is.
#[derive(Clone, Copy)]
pub(super) enum Found {
    /// The schema, with this version.
    Ours(i64),
    /// Nothing, or an empty schema of that name.
    Nothing,
    /// A schema of that name that is another program's.
    Foreign,
}

/// Why the schema is not brought up to date.
pub(super) enum Refusal {
    /// What there is by now is not to be touched.
    Found(Found),
    /// A statement failed.
    Failed(StatementError),
}

pub(in crate::store) fn newest_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

pub(super) fn find(session: &Session) -> Result<Found> {
    // One statement sees the schema at one moment, which another process may be making.
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
        (true, _) => session.schema_version().map(Found::Ours),
        (false, true) => Ok(Found::Foreign),
        (false, false) => Ok(Found::Nothing),
    }
}

/// Runs what is missing after a version, and says which that was. Who comes second waits, and finds it done.
pub(super) fn migrate(session: &Session) -> std::result::Result<i64, Refusal> {
    session.set_deadline(Instant::now() + PATIENCE);
    session.begin()?;
    session.batch("SET LOCAL lock_timeout = 0")?;
    let connection = Connection::Postgres(session);
    connection.exists(
        "SELECT pg_advisory_xact_lock(:lock)",
        parameters! { ":lock": LOCK },
    )?;
    let version = match find(session)? {
        Found::Ours(version) if version <= newest_version() => version,
        Found::Nothing => 0,
        found => {
            session.roll_back()?;
            return Err(Refusal::Found(found));
        }
    };
    let done = usize::try_from(version).unwrap_or_default();
    for migration in MIGRATIONS.iter().skip(done) {
        session.batch(migration)?;
    }
    session.commit()?;
    Ok(version)
}

impl From<StatementError> for Refusal {
    fn from(error: StatementError) -> Self {
        Self::Failed(error)
    }
}
