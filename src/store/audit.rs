//! The audit of a database: problems that an operator should look into. Changes nothing, except that an interrupted
//! `restore` is rolled back, as by every opening of the file.

use std::fmt::Display;
#[cfg(feature = "postgres")]
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

#[cfg(feature = "postgres")]
use super::engine::postgres::{Address, Servers};
#[cfg(feature = "postgres")]
use super::location::Location;

use super::engine::sqlite::connect::{Mode, connect};
use super::engine::sqlite::database_file::{DatabaseFile, file_bytes};
use super::engine::sqlite::identity::check_log_belongs;
use super::engine::sqlite::inspect::inspect;
use super::engine::sqlite::integrity::{IntegrityProgress, check_integrity};
use super::engine::sqlite::migrate::newest_version;
use super::engine::sqlite::open::OLDEST_SQLITE;
use super::engine::sqlite::recover::recover;
use super::engine::sqlite::visible::define_views;
use super::engine::{self, Connection, OpenError, Parameters, WhenMissing, parameters};
use super::rows::unsigned;
use crate::hashing::Cost;

/// The maximum number of lines that describe damage.
const MAX_LINES: u32 = 20;

/// The maximum number of users that a finding names.
const MAX_NAMED: u32 = 10;

/// A running server removes expired tokens within seconds. More than this number of tokens that expired long ago show
/// that no server is running, or that it cannot remove them.
const MANY_EXPIRED: u64 = 10_000;
/// The age from which an expired token counts as expired long ago.
const EXPIRED_LONG_AGO: SignedDuration = SignedDuration::from_hours(1);

/// SQLite restarts its log from the beginning at 4 MiB, unless a read transaction that stays open prevents that.
const BIG_LOG_BYTES: u64 = 64 << 20;

/// A problem to look into. The fields have the names and the order of `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditFinding {
    /// The name of the check. These names are stable.
    pub check: &'static str,
    /// What was found, and what to do about it.
    pub message: String,
}

impl AuditFinding {
    /// Creates a finding.
    pub fn new(check: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { check, message }
    }
}

/// Checks whether the linked SQLite is too old.
pub fn audit_sqlite() -> Option<AuditFinding> {
    old_sqlite(rusqlite::version_number(), rusqlite::version())
}

fn old_sqlite(number: i32, version: &str) -> Option<AuditFinding> {
    let is_old = number < OLDEST_SQLITE;
    let message = || format!("SQLite {version} has a bug that can lose commits");
    is_old.then(|| AuditFinding::new("sqlite", message()))
}

/// Audits a database file, which is read completely; `progress` is called meanwhile. `cost` is the bcrypt cost of new
/// hashes, and `demo_users` are the UUIDs of the demo accounts.
///
/// # Errors
/// [`OpenError`] if the file is not a database of this program or cannot be read.
pub fn audit_database(
    file: &DatabaseFile,
    cost: Cost,
    demo_users: &[String],
    now: Timestamp,
    progress: IntegrityProgress,
) -> Result<Vec<AuditFinding>, OpenError> {
    file.make_if_missing(WhenMissing::Refuse)?;
    recover(file)?;
    let version = inspect(file)?;
    let failed = |error| OpenError::new(file.given(), &error);
    let connection = connect(file.path(), Mode::Inspect).map_err(failed)?;
    check_log_belongs(file, &connection)?;
    let damage = check_integrity(&connection, MAX_LINES, progress).map_err(failed)?;
    let shown = file.given().display();
    let mut findings = Vec::new();
    let mut find = |check, message| findings.push(AuditFinding::new(check, message));
    for line in damage.lines {
        find("integrity", format!("{shown}: {line}; restore a backup"));
    }
    if damage.dangling > 0 {
        let rows = damage.dangling;
        find(
            "foreign_keys",
            format!("{shown}: rows that refer to missing rows: {rows}; restore a backup"),
        );
    }
    let known = newest_version();
    // An older schema may have different tables.
    if version == known {
        define_views(&connection).map_err(failed)?;
        let connection = Connection::Sqlite(&connection);
        audit_users(&connection, cost, demo_users, &mut find)
            .and_then(|()| audit_tokens(&connection, now, &mut find))
            .map_err(|error| OpenError::of_statement(file.given(), &error))?;
    } else {
        find("schema", old_schema(shown, version.into(), known.into()));
    }
    findings.extend(audit_log(file, file_bytes(&file.log())));
    Ok(findings)
}

/// Checks whether a PostgreSQL database can be opened. Changes nothing.
///
/// # Errors
/// [`OpenError`] if it could not be opened.
#[cfg(feature = "postgres")]
pub fn check_servers(location: &Location, missing: WhenMissing) -> Result<(), OpenError> {
    match location {
        Location::File(_) => Ok(()),
        Location::Servers { address, authority } => {
            Servers::inspect(address.as_ref().clone(), authority.as_deref(), missing).map(drop)
        }
    }
}

/// Audits a PostgreSQL database. The integrity of its pages is checked by the server itself.
///
/// # Errors
/// [`OpenError`] if it is not a database of this program or cannot be read.
#[cfg(feature = "postgres")]
pub fn audit_servers(
    address: &Address,
    authority: Option<&Path>,
    cost: Cost,
    demo_users: &[String],
    now: Timestamp,
) -> Result<Vec<AuditFinding>, OpenError> {
    let (servers, [version, known]) =
        Servers::inspect(address.clone(), authority, WhenMissing::Refuse)?;
    let mut findings = Vec::new();
    let mut find = |check, message| findings.push(AuditFinding::new(check, message));
    for setting in servers.query(|connection| connection.unsafe_settings())? {
        find("durability", unsafe_setting(address, &setting));
    }
    if version == known {
        servers.query(|connection| {
            audit_users(connection, cost, demo_users, &mut find)?;
            audit_tokens(connection, now, &mut find)
        })?;
    } else {
        find("schema", old_schema(address, version, known));
    }
    Ok(findings)
}

#[cfg(feature = "postgres")]
fn unsafe_setting(address: &Address, setting: &str) -> String {
    let harm = match setting {
        "synchronous_commit" => {
            "this program still waits until its own commits are on disk, but other programs may lose their last commits"
        }
        _ => "after a power failure the database may be damaged",
    };
    format!("{address}: {setting} is off; {harm}")
}

fn old_schema(shown: impl Display, version: i64, known: i64) -> String {
    format!(
        "{shown}: has schema {version}, and this program {known}; `thanos-login init` migrates it"
    )
}

fn audit_users(
    connection: &Connection,
    cost: Cost,
    demo_users: &[String],
    find: &mut impl FnMut(&'static str, String),
) -> engine::Result<()> {
    let cost_number = cost.get();
    let of_cost = parameters! { ":cost": cost_number };
    let off = "SELECT count(*) FROM visible_users WHERE cost <> :cost";
    let off = count(connection, off, of_cost)?;
    if off > 0 {
        let all = count(connection, "SELECT count(*) FROM visible_users", &[])?;
        find(
            "bcrypt_cost",
            format!(
                "{off} of {all} users have a hash of another cost than {cost}; their next login changes it"
            ),
        );
    }
    let expensive =
        "SELECT CAST(coalesce(sum(users), 0) AS BIGINT) FROM used_costs WHERE cost > :cost";
    let expensive = count(connection, expensive, of_cost)?;
    if expensive > 0 {
        let named = most_expensive(connection, cost)?;
        find("expensive_hash", expensive_text(expensive, &named, cost));
    }
    let with_uuid = "SELECT username FROM visible_users WHERE uuid = :uuid";
    for uuid in demo_users {
        let username: Option<String> =
            connection.first(with_uuid, parameters! { ":uuid": uuid }, |row| row.get(0))?;
        if let Some(username) = username {
            find(
                "demo_users",
                format!(
                    "{username:?} is a demo user, whose password is public; `thanos-login user set-status` switches it off"
                ),
            );
        }
    }
    Ok(())
}

/// Some of the users that can log in and have a hash of a higher cost, the most expensive ones first. Every login takes
/// as long as the most expensive hash.
fn most_expensive(connection: &Connection, cost: Cost) -> engine::Result<Vec<(String, u8)>> {
    connection.rows("SELECT users.username, users.cost
             FROM visible_users AS users
             JOIN organizations ON organizations.id = users.org_id
             WHERE users.cost > :cost AND users.status = 'ACTIVE' AND organizations.status = 'ACTIVE'
             ORDER BY users.cost DESC, users.username_key
             LIMIT :limit", parameters! { ":cost": cost.get(), ":limit": MAX_NAMED }, |row| Ok((row.get(0)?, row.get(1)?)))
}

fn expensive_text(count: u64, named: &[(String, u8)], cost: Cost) -> String {
    let mut users: Vec<String> = named
        .iter()
        .map(|(username, cost)| format!("{username:?} (cost {cost})"))
        .collect();
    let others = count.saturating_sub(users.len() as u64);
    if others > 0 {
        users.push(format!("{others} more"));
    }
    let users = users.join(", ");
    format!(
        "every login takes as long as the most expensive hash requires, and these users have a hash of a higher cost than {cost}: {users}; their next login or `thanos-login user passwd` changes it"
    )
}

fn audit_tokens(
    connection: &Connection,
    now: Timestamp,
    find: &mut impl FnMut(&'static str, String),
) -> engine::Result<()> {
    let pinned = "SELECT count(*) FROM tokens WHERE pinned IS NOT NULL";
    let pinned = count(connection, pinned, &[])?;
    if pinned > 0 {
        find(
            "pinned_tokens",
            format!(
                "tokens that are stored in plain text and never expire: {pinned}; `thanos-login token revoke` ends them"
            ),
        );
    }
    let long_ago = now.checked_sub(EXPIRED_LONG_AGO).unwrap_or(now);
    let expired = "SELECT count(*) FROM tokens WHERE expires_at <= :moment";
    let long_ago = long_ago.as_microsecond();
    let expired = count(connection, expired, parameters! { ":moment": long_ago })?;
    if expired > MANY_EXPIRED {
        find(
            "expired_tokens",
            format!(
                "tokens that expired more than an hour ago: {expired}; a running server removes them, or `thanos-login token purge`"
            ),
        );
    }
    Ok(())
}

fn audit_log(file: &DatabaseFile, bytes: u64) -> Option<AuditFinding> {
    let (shown, mebibytes) = (file.given().display(), bytes >> 20);
    (bytes > BIG_LOG_BYTES).then(|| {
        AuditFinding::new(
            "wal",
            format!(
                "{shown}-wal has {mebibytes} MiB; a program keeps a read transaction open, or the last program did not close the file"
            ),
        )
    })
}

fn count(connection: &Connection, query: &str, parameters: Parameters<'_>) -> engine::Result<u64> {
    connection.one(query, parameters, |row| unsigned(row, 0))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn an_old_sqlite_is_found_and_the_one_that_is_linked_is_new_enough() {
        let old = old_sqlite(3_051_002, "3.51.2").unwrap();
        assert_eq!(old.check, "sqlite");
        assert_eq!(audit_sqlite(), None);
    }

    #[test]
    fn some_users_with_expensive_hashes_are_named_and_the_others_are_counted() {
        let named = [("a".to_owned(), 15), ("b".to_owned(), 13)];
        let text = expensive_text(12, &named, Cost::DEFAULT);
        assert!(
            text.contains("than 12: \"a\" (cost 15), \"b\" (cost 13), 10 more;"),
            "{text}"
        );
    }

    #[test]
    fn a_log_that_cannot_restart_is_reported_by_its_size() {
        let file = DatabaseFile::resolve(Path::new("thanos-login.db")).unwrap();
        assert_eq!(audit_log(&file, BIG_LOG_BYTES), None);
        let found = audit_log(&file, BIG_LOG_BYTES + 1).unwrap();
        assert_eq!(found.check, "wal");
    }
}
