//! Login events: recording them, and limiting their number.
//!
//! A login with an unknown username runs the same statements as one of an existing user, and leaves no row.

use std::collections::HashSet;

use jiff::Timestamp;

use super::engine::{self, Connection, parameters};
use super::events::{self, COLUMNS, Event, LOGIN};
use super::failed_logins::{CounterKey, FailedLogins, put, remove};
use super::{Error, Store};

/// The maximum number of stored login events per user.
const MAX_LOGINS: u32 = 1_000;

/// The number of events that one call examines for changes to log.
const CHANGES_PAGE: i64 = 1_000;

/// The number of the newest events that are examined for addresses that have logged in.
const MAX_LOOKED_AT: u32 = 1 << 18;

/// The number of the oldest events that one call examines for those that are too old. Their dates need not be
/// ascending, because the clock may have been set.
const OLDEST: u32 = 500;

/// The condition for events that may be removed.
const ARE_OLD: &str =
    "id IN (SELECT id FROM events ORDER BY id LIMIT :oldest) AND time <= :until AND id <= :logged";

/// What is written for a login that got no token.
pub struct RecordedLogin {
    /// The counters that it has changed.
    pub counters: Vec<FailedLogins>,
    /// The counters to be removed.
    pub ended: Vec<CounterKey>,
    /// The event. `None` if events are not recorded.
    pub event: Option<Event>,
}

impl Store {
    /// Writes logins that got no token. `logins` is called when the transaction runs.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn record_logins(
        &self,
        logins: impl FnOnce() -> Vec<RecordedLogin> + Send + 'static,
    ) -> Result<(), Error> {
        self.write(move |connection| {
            logins()
                .iter()
                .try_for_each(|login| record(connection, login))
        })
    }

    /// At most `max` distinct pairs of a username and an address that has logged in as this user, the most recent
    /// first.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn known_addresses(&self, max: usize) -> Result<Vec<(String, String)>, Error> {
        self.read(|connection| {
            let logins: Vec<(String, String)> = connection.rows(
                "SELECT user_uuid, address
                 FROM (SELECT id, user_uuid, address, outcome FROM events ORDER BY id DESC LIMIT :looked_at) AS newest
                 WHERE outcome = 'succeeded' AND user_uuid IS NOT NULL AND address IS NOT NULL
                 ORDER BY id DESC",
                parameters! { ":looked_at": MAX_LOOKED_AT },
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let mut seen = HashSet::new();
            let mut known = Vec::new();
            for login in logins {
                if known.len() == max {
                    break;
                }
                if seen.contains(&login) {
                    continue;
                }
                let username = connection.first(
                    "SELECT username FROM users WHERE uuid = :user_uuid",
                    parameters! { ":user_uuid": login.0 },
                    |row| row.get(0),
                )?;
                known.extend(username.map(|username| (username, login.1.clone())));
                seen.insert(login);
            }
            Ok(known)
        })
    }

    /// The id of the newest event, from which [`Store::changes_after`] continues. `None` while accounts are being
    /// changed.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn newest_change(&self) -> Result<Option<i64>, Error> {
        let newest = "SELECT coalesce(max(id), 0) FROM events";
        self.read(|connection| {
            connection.between_changes(|| connection.one(newest, &[], |row| row.get(0)))
        })
    }

    /// The id of the newest event; 0 if there is none.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn last_event(&self) -> Result<i64, Error> {
        self.read(|connection| {
            connection.one("SELECT coalesce(max(id), 0) FROM events", &[], |row| {
                row.get(0)
            })
        })
    }

    /// A page of changes by operators after the event with an id, and the id to continue from. The page ends
    /// before the first event of an import in progress, which is not visible yet. For an import of many rows it
    /// contains only the event of the import as a whole, because so many lines would displace others from the log. On
    /// PostgreSQL the page is empty while a change is in progress, because events of that change may have lower ids
    /// than login events that are already visible.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn changes_after(&self, number: i64) -> Result<(Vec<Event>, i64), Error> {
        let changes = self
            .read(|connection| connection.between_changes(|| changes_after(connection, number)))?;
        Ok(changes.unwrap_or_else(|| (Vec::new(), number)))
    }

    /// Whether one of the oldest events up to the id `logged` is from `until` or before.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn has_old_events(&self, until: Timestamp, logged: i64) -> Result<bool, Error> {
        self.read(|connection| {
            connection.one(
                &format!("SELECT EXISTS (SELECT 1 FROM events WHERE {ARE_OLD})"),
                parameters! { ":oldest": OLDEST, ":until": until.as_microsecond(), ":logged": logged },
                |row| row.get(0),
            )
        })
    }

    /// Removes those of the oldest events up to the id `logged` that are from `until` or before, and returns their
    /// number. Skips rows that other transactions have locked, and does nothing while another server does this work.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn purge_events(&self, until: Timestamp, logged: i64) -> Result<usize, Error> {
        self.write_on_one_server(move |connection| {
            connection.execute(
                &format!(
                    "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE {ARE_OLD} {})",
                    connection.skip_locked()
                ),
                parameters! { ":oldest": OLDEST, ":until": until.as_microsecond(), ":logged": logged },
            )
        })
    }
}

fn changes_after(connection: &Connection, number: i64) -> engine::Result<(Vec<Event>, i64)> {
    let last = connection.one(
        "SELECT CASE WHEN last > :number + :page THEN :number + :page ELSE last END
             FROM (SELECT coalesce(
                 (SELECT min(id) - 1 FROM events
                  WHERE id > :number AND import_id IN (SELECT id FROM imports)),
                 (SELECT max(id) FROM events WHERE id > :number),
                 :number) AS last) AS found",
        parameters! { ":number": number, ":page": CHANGES_PAGE },
        |row| row.get(0),
    )?;
    let changes = connection.rows(
        &format!(
            "SELECT {COLUMNS} FROM events
             WHERE id > :number AND id <= :last AND action <> :login
                   AND (import_id IS NULL OR coalesce(user_uuid, org_uuid) IS NULL)
             ORDER BY id"
        ),
        parameters! { ":number": number, ":last": last, ":login": LOGIN },
        |row| events::read(row, 0),
    )?;
    Ok((changes, last))
}

fn record(connection: &Connection, login: &RecordedLogin) -> engine::Result<()> {
    for counter in &login.counters {
        put(connection, counter)?;
    }
    for key in &login.ended {
        remove(connection, key)?;
    }
    login
        .event
        .as_ref()
        .map_or(Ok(()), |event| insert_login(connection, event))
}

/// Adds a login event, and removes the oldest one of the user if there are too many. For an unknown username it removes
/// the event that it has added.
pub(super) fn insert_login(connection: &Connection, event: &Event) -> engine::Result<()> {
    let id = events::insert(connection, event, None)?;
    connection.execute(
        "DELETE FROM events WHERE id = :id AND user_uuid IS NULL",
        parameters! { ":id": id },
    )?;
    connection.execute(
        &format!(
            "DELETE FROM events WHERE id IN (
                 SELECT id FROM events WHERE user_uuid = :user_uuid
                     AND number <= (SELECT max(number) FROM events WHERE user_uuid = :user_uuid) - :max {})",
            connection.skip_locked()
        ),
        parameters! { ":user_uuid": event.user_uuid, ":max": MAX_LOGINS },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use rusqlite::hooks::{AuthContext, Authorization};

    use super::super::events::LoginOutcome;
    use super::super::failed_logins::LimitKind;
    use super::super::{Durability, WhenMissing};
    use super::*;

    fn failed(user_uuid: Option<&str>) -> RecordedLogin {
        let counter = |kind, number| FailedLogins {
            key: [number; 16],
            kind,
            user_uuid: user_uuid.map(str::to_owned),
            address: None,
            failures: 1,
            first_failure: Timestamp::UNIX_EPOCH,
            unlocks: 0,
            locked_until: None,
        };
        RecordedLogin {
            counters: LimitKind::ALL
                .into_iter()
                .zip(0..)
                .map(|(kind, number)| counter(kind, number))
                .collect(),
            ended: vec![[9; 16]],
            event: Some(Event {
                action: LOGIN.to_owned(),
                outcome: Some(LoginOutcome::Failed),
                address: Some("192.0.2.1".to_owned()),
                user_uuid: user_uuid.map(str::to_owned),
                times: 1,
                ..Event::default()
            }),
        }
    }

    /// The steps that SQLite runs for a login on a new database, and the number of rows that remain in each table.
    fn prepared(user_uuid: Option<&str>) -> (Vec<String>, [i64; 2]) {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection
            .execute_batch(include_str!("../../schema.sql"))
            .unwrap();
        let prepared = Arc::new(Mutex::new(Vec::new()));
        let actions = Arc::clone(&prepared);
        let note = move |context: AuthContext<'_>| {
            actions
                .lock()
                .unwrap()
                .push(format!("{:?}", context.action));
            Authorization::Allow
        };
        connection.authorizer(Some(note)).unwrap();
        record(&Connection::Sqlite(&connection), &failed(user_uuid)).unwrap();
        let prepared = prepared.lock().unwrap().clone();
        let rows = ["failed_logins", "events"].map(|table| {
            let query = format!("SELECT count(*) FROM {table}");
            connection.query_one(&query, [], |row| row.get(0)).unwrap()
        });
        (prepared, rows)
    }

    #[test]
    fn a_login_with_an_unknown_username_runs_the_same_statements_and_leaves_no_event() {
        let (of_a_user, of_nobody) = (prepared(Some("a")), prepared(None));
        assert_eq!(of_a_user.0, of_nobody.0);
        assert!(of_a_user.0.len() > 10, "{of_a_user:?}");
        assert_eq!(of_a_user.1, [3, 1]);
        assert_eq!(of_nobody.1, [3, 0]);
    }

    #[test]
    fn changes_are_returned_once_and_those_of_an_import_after_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
        let other = rusqlite::Connection::open(&path).unwrap();
        let add = |action: &str, outcome: &str, import_id: &str| {
            let values = format!("1, '{action}', {outcome}, {import_id}");
            let insert = "INSERT INTO events (time, action, outcome, import_id) VALUES";
            other
                .execute_batch(&format!("{insert} ({values})"))
                .unwrap();
        };
        let mut last = store.last_event().unwrap();
        let mut next = || {
            let (changes, number) = store.changes_after(last).unwrap();
            last = number;
            let actions = changes.into_iter().map(|event| event.action);
            actions.collect::<Vec<_>>().join(", ")
        };
        assert_eq!(next(), "");
        other
            .execute_batch("INSERT INTO imports (id, first_permission) VALUES (7, 1)")
            .unwrap();
        add("user add", "NULL", "3");
        add("login", "'failed'", "NULL");
        add("user import", "NULL", "7");
        let of_many = "INSERT INTO events (time, action, user_uuid, import_id) VALUES (1, 'user import', 'u', 7)";
        other.execute_batch(of_many).unwrap();
        add("org add", "NULL", "NULL");
        assert_eq!((next(), next()), ("user add".into(), String::new()));
        other.execute_batch("DELETE FROM imports").unwrap();
        assert_eq!(next(), "user import, org add");
        other.execute_batch("DELETE FROM events").unwrap();
        assert_eq!(next(), "");
        let many = "WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 1500)
                    INSERT INTO events (time, action) SELECT 1, 'user add' FROM numbers";
        other.execute_batch(many).unwrap();
        let counts = [(); 3].map(|()| next().matches("user add").count());
        assert_eq!(counts, [1000, 500, 0]);
        assert_eq!(store.last_event().unwrap(), last);
    }

    #[test]
    fn an_event_that_is_not_logged_yet_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("test.db");
        let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(
                "INSERT INTO imports (id, first_permission) VALUES (7, 1);
                 INSERT INTO events (time, action, import_id)
                     VALUES (1, 'user add', NULL), (1, 'user import', 7), (1, 'org add', NULL)",
            )
            .unwrap();
        let (_, logged) = store.changes_after(0).unwrap();
        assert_eq!(store.purge_events(Timestamp::MAX, logged).unwrap(), 1);
        assert!(!store.has_old_events(Timestamp::MAX, logged).unwrap());
        assert!(store.has_old_events(Timestamp::MAX, logged + 1).unwrap());
    }
}
