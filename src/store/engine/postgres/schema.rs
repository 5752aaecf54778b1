//! The program's schema in a database that may have others.

use super::session::Session;
use crate::store::engine::Connection;
use crate::store::engine::parameters;
use crate::store::engine::statement_error::Result;

/// Each a transaction of its own, numbered from 1. A released one is never edited. `schema.sql` describes where they end.
const MIGRATIONS: &[&str] = &[include_str!("schema.sql")];

/// So that of several programs that start on an empty database one makes the schema: "THNS".
const LOCK: i64 = 0x5448_4e53;

/// What there was.
pub(super) enum Found {
    /// The schema, with this version.
    Ours(i64),
    /// Nothing of that name.
    Nothing,
    /// A schema of that name that is another program's.
    Foreign,
}

pub(super) fn newest_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

pub(super) fn find(session: &Session) -> Result<Found> {
    let connection = Connection::Postgres(session);
    let is_there = connection.exists(
        "SELECT 1 FROM pg_namespace WHERE nspname = 'thanos_login'",
        &[],
    )?;
    if !is_there {
        return Ok(Found::Nothing);
    }
    let has_version = "SELECT 1 FROM pg_class WHERE relnamespace = 'thanos_login'::regnamespace AND relname = 'schema_version'";
    if connection.exists(has_version, &[])? {
        return session.schema_version().map(Found::Ours);
    }
    let has_tables = "SELECT 1 FROM pg_class WHERE relnamespace = 'thanos_login'::regnamespace";
    Ok(match connection.exists(has_tables, &[])? {
        true => Found::Foreign,
        false => Found::Nothing,
    })
}

/// Runs what is missing after a version; whoever comes second waits, and finds it done.
pub(super) fn migrate(session: &Session) -> Result<()> {
    session.begin()?;
    let connection = Connection::Postgres(session);
    connection.exists(
        "SELECT pg_advisory_xact_lock(:lock)",
        parameters! { ":lock": LOCK },
    )?;
    let done = match find(session)? {
        Found::Ours(version) => usize::try_from(version).unwrap_or(usize::MAX),
        Found::Nothing | Found::Foreign => 0,
    };
    for migration in MIGRATIONS.iter().skip(done) {
        session.batch(migration)?;
    }
    session.commit()
}
