//! What there is to know about a database file without changing it, for whoever judges it.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::database_file::{DatabaseFile, WhenMissing, file_bytes};
use super::error::OpenError;
use super::inspect::{connect_for_inspection, inspect};
use super::look::{Progress, look};
use super::migrate::newest_version;
use super::open::OLDEST_SQLITE;
use super::recover::recover;
use super::visible::define_views;

/// So many lines of damage say enough.
const MAX_LINES: u32 = 20;

/// Of how many users the names are read.
const MAX_NAMED: u32 = 10;

/// A database as it stands.
#[derive(Clone, Debug)]
pub struct Facts {
    /// What SQLite's `integrity_check` finds.
    pub damage: Vec<String>,
    /// Rows that refer to rows that are not there.
    pub dangling: u64,
    /// The schema it has; 0 when nothing was made in it yet.
    pub version: i32,
    /// The schema this program has.
    pub known_version: i32,
    /// All users.
    pub users: u64,
    /// Users whose hash has another cost than the wanted one.
    pub off_cost: u64,
    /// Users that can log in and have a hash of a higher cost than the wanted one, which every login pays.
    pub expensive: u64,
    /// Some of them by username and cost, the most expensive ones first.
    pub most_expensive: Vec<(String, u8)>,
    /// Users with one of the UUIDs that were asked for.
    pub known_users: Vec<String>,
    /// Tokens in clear.
    pub pinned: u64,
    /// Tokens that expired before the moment that was asked for.
    pub expired: u64,
    /// The file.
    pub database_bytes: u64,
    /// Its log.
    pub log_bytes: u64,
}

/// The version of SQLite that is linked, and whether it is new enough.
pub fn sqlite_version() -> (&'static str, bool) {
    let version = rusqlite::version();
    (version, rusqlite::version_number() >= OLDEST_SQLITE)
}

/// Reads the facts, and all of the file for it, of which `progress` hears. `user_uuids` are those of users to look for.
///
/// # Errors
/// [`OpenError`] for what is no database of ours that can be read.
pub fn facts(
    file: &DatabaseFile,
    cost: u8,
    user_uuids: &[String],
    expired_before: Timestamp,
    progress: Progress,
) -> Result<Facts, OpenError> {
    file.make_if_missing(WhenMissing::Refuse)?;
    recover(file)?;
    let version = inspect(file)?;
    let failed = |error| OpenError::new(file.given(), &error);
    let connection = connect_for_inspection(file).map_err(failed)?;
    let damage = look(&connection, MAX_LINES, progress).map_err(failed)?;
    let mut facts = Facts {
        damage: damage.lines,
        dangling: damage.dangling,
        version,
        known_version: newest_version(),
        users: 0,
        off_cost: 0,
        expensive: 0,
        most_expensive: Vec::new(),
        known_users: Vec::new(),
        pinned: 0,
        expired: 0,
        database_bytes: file_bytes(file.path()),
        log_bytes: file_bytes(&file.log()),
    };
    // The tables of an older schema may be others.
    if version == facts.known_version {
        define_views(&connection).map_err(failed)?;
        read_tables(&connection, &mut facts, cost, user_uuids, expired_before).map_err(failed)?;
    }
    Ok(facts)
}

fn read_tables(
    connection: &Connection,
    facts: &mut Facts,
    cost: u8,
    user_uuids: &[String],
    expired_before: Timestamp,
) -> rusqlite::Result<()> {
    facts.users = count(connection, "SELECT count(*) FROM visible_users")?;
    facts.pinned = count(
        connection,
        "SELECT count(*) FROM tokens WHERE pinned IS NOT NULL",
    )?;
    facts.off_cost = connection
        .query_one(
            "SELECT count(*) FROM visible_users WHERE cost <> :cost",
            named_params! { ":cost": cost },
            |row| row.get::<_, i64>(0),
        )?
        .unsigned_abs();
    facts.expensive = connection
        .query_one(
            "SELECT coalesce(sum(users), 0) FROM login_costs WHERE cost > :cost",
            named_params! { ":cost": cost },
            |row| row.get::<_, i64>(0),
        )?
        .unsigned_abs();
    facts.most_expensive = connection
        .prepare(
            "SELECT users.username, users.cost
             FROM visible_users AS users
             JOIN organizations ON organizations.id = users.org_id
             WHERE users.cost > :cost AND users.status = 'ACTIVE' AND organizations.status = 'ACTIVE'
             ORDER BY users.cost DESC, users.username
             LIMIT :limit",
        )?
        .query_map(
            named_params! { ":cost": cost, ":limit": MAX_NAMED },
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?
        .collect::<Result<_, _>>()?;
    facts.expired = connection
        .query_one(
            "SELECT count(*) FROM tokens WHERE expires_at <= :moment",
            named_params! { ":moment": expired_before.as_microsecond() },
            |row| row.get::<_, i64>(0),
        )?
        .unsigned_abs();
    let mut statement =
        connection.prepare("SELECT username FROM visible_users WHERE uuid = :uuid")?;
    for uuid in user_uuids {
        let username = statement
            .query_one(named_params! { ":uuid": uuid }, |row| row.get(0))
            .optional()?;
        facts.known_users.extend(username);
    }
    Ok(())
}

fn count(connection: &Connection, statement: &str) -> rusqlite::Result<u64> {
    let count: i64 = connection.query_one(statement, [], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}
